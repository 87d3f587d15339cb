"""The numbers of many documents: the digits of all columns are gathered first, then all become values at once.

JSON's own numbers, exponents aside; anything else is refused. A decimal number is a whole number divided by a power of
ten: both are exact floats up to fifteen digits, so the quotient is the float nearest to the text, as any JSON reader
finds it. Columns with longer ones go through a cast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.decode import digits
from ticklake.decode.layout import NoLayoutError, Path
from ticklake.decode.windows import WORD_BYTES, Bytes, Places, Text, Words, first_of

Flags = npt.NDArray[np.bool_]

NUMBER_BYTES_MAX: Final = 40
"""Longer ones are somebody's joke."""

_U = np.uint64
_LOWEST: Final = _U(0xFF)
_MINUS, _POINT, _ZERO, _N = b"-.0n"
_NULL, _TRUE, _FALSE = (_U(int.from_bytes(word, "little")) for word in (b"null", b"true", b"false"))
_FOUR_BYTES, _FIVE_BYTES, _ALL_BITS = _U(2**32 - 1), _U(2**40 - 1), _U(2**64 - 1)
_EXACT_DIGITS: Final = 15
_POWERS: Final = 10 ** np.arange(digits.DIGITS_MAX + 1, dtype=np.uint64)
_FLOAT_POWERS: Final = _POWERS.astype(np.float64)
_INT64_MAX: Final = _U(2**63 - 1)


@dataclass(frozen=True, slots=True)
class _Number:
    """A column whose digits wait to become values.

    Attributes:
        path: where it stands.
        whole: how many words its digits before the point take, or all digits where one word holds them.
        fraction: how many words those behind the point take.
        fractions: digits behind the point, per document; None for integers.
        negative: which are; None when none is.
        null: which are; None when none is.
        text: the bytes of each, where only a cast is exact enough.
    """

    path: Path
    whole: int
    fraction: int = 0
    fractions: Places | None = None
    negative: Flags | None = None
    null: Flags | None = None
    text: pa.Array | None = None


class Numbers:
    """The numbers of one text."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._numbers: list[_Number] = []
        self._words: list[Words] = []

    def add_fixed(self, path: Path, window: Bytes, start: int, count: int) -> None:
        """Positive integers of `count` digits that begin at byte `start` of each row.

        Raises:
            NoLayoutError: they are too many, or the first is 0.
        """
        words = digits.in_window(window, start, count)
        self._words += words
        self._numbers.append(_Number(path, len(words)))

    def add(self, path: Path, places: Places, lengths: Places, words: Words, *, is_integer: bool) -> None:
        """Numbers or nulls.

        Args:
            path: where they stand.
            places: where each begins.
            lengths: of each, in bytes.
            words: the first word of each.
            is_integer: whether there can be no point.

        Raises:
            NoLayoutError: one is no JSON number.
        """
        starts, most = places, int(lengths.max())
        null = nulls(lengths, words)
        if null is not None:
            lengths = np.where(null, 0, lengths)
        negative: Flags | None = (words & _LOWEST) == _MINUS
        if negative is not None and negative.any():
            places, lengths = places + negative, lengths - negative
            words = (
                words >> digits.bits_of(negative.astype(np.int64)) if most <= WORD_BYTES else self._text.words(places)
            )
        else:
            negative = None
        whole = lengths if is_integer else self._points(places, lengths, words, most)
        fractions = np.maximum(lengths - whole - 1, 0)
        is_bad = (whole < 1) | (((words & _LOWEST) == _ZERO) & (whole > 1)) | (lengths - whole == 1)
        if (is_bad if null is None else is_bad & ~null).any():
            raise NoLayoutError("a number with leading zeros, or without digits before or behind its point")
        behind: list[Words] = []
        text = None
        if most > WORD_BYTES:
            front = digits.before(self._text, places + whole, whole)
            if not is_integer:
                behind = digits.before(self._text, places + lengths, fractions)
                if (whole + fractions).max() > _EXACT_DIGITS:
                    text = self._text.pieces(starts, places - starts + lengths)
        else:
            front = [digits.to_end(words if is_integer else _without_point(words, whole), whole + fractions)]
        self._words += front + behind
        self._numbers.append(
            _Number(path, len(front), len(behind), None if is_integer else fractions, negative, null, text)
        )

    def columns(self) -> Iterator[tuple[Path, pa.Array]]:
        """What was added: int64 or float64.

        Raises:
            NoLayoutError: there are other bytes among the digits, or an integer that int64 cannot hold.
        """
        if not self._numbers:
            return
        values = digits.eight(np.concatenate(self._words)).reshape(len(self._words), -1)
        row = 0
        for number in self._numbers:
            point = row + number.whole
            whole, behind = values[row:point], values[point : point + number.fraction]
            row = point + number.fraction
            yield number.path, _column(number, digits.together(whole), behind)

    def _points(self, places: Places, lengths: Places, words: Words, most: int) -> Places:
        """How many digits stand before each point, or in all."""
        if most <= WORD_BYTES:
            return np.minimum(first_of(words, _POINT), lengths)
        return np.minimum(self._text.reach(places, words, _POINT, limit=most), lengths)


def nulls(lengths: Places, words: Words) -> Flags | None:
    """Which scalars say null; None when none does."""
    if not ((words & _LOWEST) == _N).any():
        return None
    null: Flags = (lengths == 4) & ((words & _FOUR_BYTES) == _NULL)
    return null


def booleans(lengths: Places, words: Words) -> pa.Array:
    """Scalars that say true, false or null.

    Raises:
        NoLayoutError: one says something else.
    """
    is_true = (lengths == 4) & ((words & _FOUR_BYTES) == _TRUE)
    is_null = (lengths == 4) & ((words & _FOUR_BYTES) == _NULL)
    is_false = (lengths == 5) & ((words & _FIVE_BYTES) == _FALSE)
    if not (is_true | is_null | is_false).all():
        raise NoLayoutError("neither true nor false")
    return pa.array(is_true, mask=is_null)


def _without_point(words: Words, points: Places) -> Words:
    """Words whose byte at `points` is taken out."""
    bits = digits.bits_of(points)
    without: Words = (words & ~(_ALL_BITS << bits)) | ((words >> (bits + _U(8))) << bits)
    return without


def _column(number: _Number, whole: Words, behind: Words) -> pa.Array:
    if number.text is not None:
        text = number.text if number.null is None else pc.if_else(pa.array(number.null), None, number.text)
        return text.cast(pa.string()).cast(pa.float64())
    values: npt.NDArray[Any]
    if number.fractions is None:
        limit = _INT64_MAX if number.negative is None else _INT64_MAX + number.negative
        if (whole > limit).any():
            raise NoLayoutError("an integer that int64 cannot hold")
        values = whole.astype(np.int64)
    else:
        if len(behind):
            whole = whole * _POWERS[number.fractions] + digits.together(behind)
        values = whole.astype(np.float64) / _FLOAT_POWERS[number.fractions]
    if number.negative is not None:
        values = np.where(number.negative, -values, values)
    return pa.array(values, mask=number.null)
