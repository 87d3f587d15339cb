"""Digits to numbers, eight at a time: exactly what they say, or a refusal."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Final

import numpy as np

from ticklake.decode.layout import NoLayoutError
from ticklake.decode.windows import WORD_BYTES, Bytes, Places, Text, Words, word_at

DIGITS_MAX: Final = 19
"""Any so many digits fit a word."""

_U = np.uint64
_ZEROS: Final = _U(0x3030303030303030)
_TEN_TO_EIGHT: Final = _U(10**8)
_BITS, _WORD_BITS = _U(3), _U(64)  # a byte as bits: shift by three


def bits_of(counts: Places) -> Words:
    """Bytes as bits, to shift by."""
    bits: Words = counts.astype(np.uint64) << _BITS
    return bits


def to_end(words: Words, counts: Places) -> Words:
    """The first `counts` bytes of each word moved to its end, digits 0 before them."""
    bits = bits_of(counts)
    moved: Words = (words << (_WORD_BITS - bits)) | (_ZEROS >> bits)
    return moved


def before(text: Text, ends: Places, counts: Places) -> list[Words]:
    """The `counts` digits before each end, as words, the highest first, digits 0 before them.

    Raises:
        NoLayoutError: they are too many.
    """
    most = max(int(counts.max()), 1)
    if most > DIGITS_MAX:
        raise NoLayoutError("a number of very many digits")
    found = []
    for behind in range((most - 1) // WORD_BYTES * WORD_BYTES, -1, -WORD_BYTES):
        words = text.words(ends - (behind + WORD_BYTES))
        found.append(_without(words, bits_of(np.clip(behind + WORD_BYTES - counts, 0, WORD_BYTES))))
    return found


def in_window(window: Bytes, start: int, count: int) -> list[Words]:
    """The `count` digits that begin at byte `start` of each row, as `before` gives them.

    Raises:
        NoLayoutError: they are too many, or the first is 0.
    """
    if count > DIGITS_MAX or (window[:, start] == ord("0")).any():
        raise NoLayoutError("a number of very many digits or with leading zeros")
    found = []
    for behind in range((count - 1) // WORD_BYTES * WORD_BYTES, -1, -WORD_BYTES):
        words = word_at(window, start + count - behind - WORD_BYTES)
        found.append(_without(words, _U(8 * max(behind + WORD_BYTES - count, 0))))
    return found


def eight(words: Words) -> Words:
    """What the eight digits of each word say. Works in place.

    Raises:
        NoLayoutError: there is something else among them.
    """
    other = words + _U(0x4646464646464646)  # sets the high bit of each byte above 9
    words -= _ZEROS  # and this one that of each byte below 0
    other |= words
    other &= _U(0x8080808080808080)
    if other.max():  # cheaper than `any`
        raise NoLayoutError("not a plain number")
    np.right_shift(words, _U(8), out=other)
    words *= _U(10)
    words += other  # every other byte: two digits
    np.right_shift(words, _U(16), out=other)
    for pairs, weights in ((words, _U(100 + (10**6 << 32))), (other, _U(1 + (10**4 << 32)))):
        pairs &= _U(0x000000FF000000FF)
        pairs *= weights
    words += other
    words >>= _U(32)
    return words


def together(parts: Iterable[Words]) -> Words:
    """The numbers that several words of eight digits each say, the highest first."""
    return reduce(lambda value, part: value * _TEN_TO_EIGHT + part, parts)


def _without(words: Words, bits: Words | np.uint64) -> Words:
    """Words with digits 0 in place of their first `bits`."""
    kept: Words = ((words >> bits) << bits) | (_ZEROS >> (_WORD_BITS - bits))
    return kept
