"""Many documents as one text, read at one place of each at once: windows of bytes, and how far it is to the next mark.

A word is eight bytes of a document, the first one the lowest: one operation on words works on eight characters of every
document.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.decode.layout import NoLayoutError

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

WORD: Final = np.dtype("<u8")
WORD_BYTES: Final = WORD.itemsize

_MARGIN_BYTES: Final = 8_192  # around the text: no window is longer
_ROOM_KEPT_BYTES: Final = 8 * 2**20
_ONES, _HIGHS, _ONE = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080), np.uint64(1)
_BITS_TO_BYTES: Final = np.uint8(3)


class _Room(threading.local):
    """Memory that a thread uses again for each text: to touch fresh memory costs more than the copy into it."""

    def __init__(self) -> None:
        self._kept: Bytes = np.empty(0, np.uint8)

    def take(self, size_bytes: int) -> Bytes:
        """So much of it; what was taken before is overwritten."""
        if size_bytes > _ROOM_KEPT_BYTES:
            return np.empty(size_bytes, np.uint8)
        if len(self._kept) < size_bytes:
            self._kept = np.empty(size_bytes * 5 // 4, np.uint8)
        return self._kept[:size_bytes]


_room = _Room()


class Text:
    """Documents, one behind the other, with room around them for windows that reach too far.

    A thread has one text at a time: a new one takes the place of the one before.

    Attributes:
        starts: where each document begins.
        ends: where each ends.
    """

    def __init__(self, documents: pa.Array) -> None:
        """Copies the bytes of a binary array without nulls, which also brings them near the processor."""
        count = len(documents)
        _, offsets, content = documents.buffers()
        marks = np.frombuffer(offsets, np.int32, count + 1, documents.offset * 4).astype(np.int64)
        first, size = int(marks[0]), int(marks[-1] - marks[0])
        self._end = _MARGIN_BYTES + size
        self._bytes = _room.take(self._end + _MARGIN_BYTES)
        self._bytes[:_MARGIN_BYTES] = 0
        self._bytes[self._end :] = 0
        self._bytes[_MARGIN_BYTES : self._end] = np.frombuffer(content, np.uint8, size, first)
        marks += _MARGIN_BYTES - first
        self.starts, self.ends = marks[:-1], marks[1:]

    def windows(self, places: Places, size_bytes: int) -> Bytes:
        """The `size_bytes` from each place on, one row each: a copy.

        Raises:
            NoLayoutError: a window reaches out of the room around the text.
        """
        if size_bytes > _MARGIN_BYTES or places.max() > len(self._bytes) - size_bytes:
            raise NoLayoutError("a document that is cut off, or too long between two scalars")
        everywhere: npt.NDArray[Any] = np.ndarray(
            (len(self._bytes) - size_bytes + 1,),
            f"V{size_bytes}",
            self._bytes.data,
            strides=(1,),  # they overlap
        )
        return everywhere[places].view(np.uint8).reshape(len(places), size_bytes)

    def words(self, places: Places) -> Words:
        """The word from each place on."""
        return self.windows(places, WORD_BYTES).view(WORD)[:, 0]

    def reach(self, places: Places, words: Words, mark: int, *, limit: int) -> Places:
        """How many bytes lie between each place and the next `mark`; `words` are the first words there.

        Looks no further than `limit` bytes: where there is no mark, it says a multiple of eight not below `limit`.
        """
        found = first_of(words, mark)
        seen = WORD_BYTES
        while seen < limit and len(further := np.flatnonzero(found == seen)):
            found[further] += first_of(self.words(places[further] + seen), mark)
            seen += WORD_BYTES
        return found

    def pieces(self, starts: Places, lengths: Places) -> pa.Array:
        """The `lengths` bytes from each start on, as a binary array: a copy."""
        bounds = np.empty(2 * len(starts) + 1, np.int32)
        bounds[:-1:2], bounds[1::2], bounds[-1] = starts, starts + lengths, self._end
        buffers = [None, pa.py_buffer(bounds), pa.py_buffer(self._bytes)]
        between = pa.Array.from_buffers(pa.binary(), 2 * len(starts), buffers)
        return between.take(pa.array(np.arange(0, 2 * len(starts), 2, dtype=np.int32)))


def word_at(window: Bytes, start: int) -> Words:
    """The word that begins at byte `start` of each row: a copy."""
    rows, row_bytes = window.shape
    words: Words = np.ndarray((rows,), WORD, window.data, start, (row_bytes,))
    return words.copy()


def first_of(words: Words, mark: int) -> Places:
    """In each word the place of the first byte that is `mark`; 8 where there is none."""
    found = words ^ (_ONES * np.uint64(mark))  # zero where the mark is
    found = (found - _ONES) & ~found & _HIGHS  # its lowest bit stands in the first byte that is zero
    return (np.bitwise_count((found & -found) - _ONE) >> _BITS_TO_BYTES).astype(np.int64)
