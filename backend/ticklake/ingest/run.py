"""A run of plain messages of one lane, still as the socket gave it: cut by native code, never message by message.

On the wire such a run is `MSG subject sid reply size`, line end, payload, line end, and again. Cut at line ends it is
header, payload, header, payload, ... as long as no payload holds a line end. That is so when each header says the
length of the piece behind it: then a cut at line ends and one frame by frame give the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Numbers = npt.NDArray[np.int64]
_Sizes = npt.NDArray[np.int32]

RUN_MIN: Final = 128
"""Fewer messages go faster one by one: a live feed brings a handful a read, and native calls have their price."""

_CR, _LF, _SPACE, _ZERO = b"\r\n 0"
_MARK: Final = b"MSG"
_SIZE_DIGITS_MAX: Final = 8  # no payload is larger than 64 MiB


@dataclass(frozen=True, slots=True)
class Run:
    """Messages in arrival order, none with a header block.

    Attributes:
        content: what the socket gave; begins with the first message.
        starts: where each header line begins.
        header_ends: where it ends, at its CR.
        payload_ends: where each payload ends, at its CR.
        headers: the header lines without their line ends, one behind the other.
        spaces: where the four spaces of each header line are in `headers`, one row per message.
    """

    content: bytes
    starts: Numbers
    header_ends: Numbers
    payload_ends: Numbers
    headers: bytes
    spaces: Numbers

    @classmethod
    def join(cls, runs: Sequence[Run]) -> Run:
        """Several as one: a few large native calls cost less than many small ones."""
        if len(runs) == 1:
            return runs[0]
        at = np.cumsum([0, *(run.end for run in runs[:-1])])
        headers_at = np.cumsum([0, *(len(run.headers) for run in runs[:-1])])
        return cls(
            content=b"".join([run.content[: run.end] for run in runs]),
            starts=np.concatenate([run.starts + start for run, start in zip(runs, at, strict=True)]),
            header_ends=np.concatenate([run.header_ends + start for run, start in zip(runs, at, strict=True)]),
            payload_ends=np.concatenate([run.payload_ends + start for run, start in zip(runs, at, strict=True)]),
            headers=b"".join([run.headers for run in runs]),
            spaces=np.concatenate([run.spaces + start for run, start in zip(runs, headers_at, strict=True)]),
        )

    def __len__(self) -> int:
        """How many messages there are."""
        return len(self.starts)

    @property
    def end(self) -> int:
        """Offset behind the last message in what the socket gave."""
        return int(self.payload_ends[-1]) + 2

    @property
    def payload_bytes(self) -> int:
        """Sum of the payload lengths."""
        return int((self.payload_ends - self.header_ends).sum()) - 2 * len(self)

    @property
    def payload_lengths(self) -> Numbers:
        """Bytes of each payload."""
        return self.payload_ends - self.header_ends - 2

    def reply(self, index: int) -> bytes:
        """One reply."""
        return self.headers[int(self.spaces[index, 2]) + 1 : int(self.spaces[index, 3])]

    def reply_lines(self) -> bytes:
        """The replies, each followed by a newline."""
        return _pieces(self.headers, self.spaces[:, 2] + 1, self.spaces[:, 3] + 1).replace(b" ", b"\n")

    def payload_lines(self) -> bytes:
        """The payloads, each followed by a newline."""
        count = len(self)
        bounds = np.empty((count, 4), np.int64)
        bounds[:, 0], bounds[:, 1] = self.header_ends + 2, self.payload_ends
        bounds[:, 2] = self.payload_ends + 1  # the LF of the wire is our newline
        bounds[:, 3] = self.payload_ends + 2
        return _pieces(self.content, bounds[:, ::2].ravel(), bounds[:, 1::2].ravel())

    def subjects(self) -> tuple[list[bytes], Numbers]:
        """The distinct subjects in order of appearance, and for each message which one it has."""
        starts, ends = self.spaces[:, 0] + 1, self.spaces[:, 1]
        words = _pieces(self.headers, starts, ends)
        first = self.headers[starts[0] : ends[0]]
        if len(words) == len(first) * len(self) and words == first * len(self):
            return [first], np.zeros(len(self), np.int64)
        offsets = np.concatenate([[0], np.cumsum(ends - starts)]).astype(np.int32)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(words)]
        encoded = pa.Array.from_buffers(pa.binary(), len(self), buffers).dictionary_encode()
        return encoded.dictionary.to_pylist(), np.asarray(encoded.indices).astype(np.int64)


def cut_run(buffer: bytes, sid: bytes, *, at_least: int = RUN_MIN) -> Run | None:
    """The whole messages at the begin of a buffer, if they are plain ones of that subscription, each with a reply.

    None when there are fewer than `at_least`, or when anything among them is not so: then go frame by frame.
    """
    content = np.frombuffer(buffer, np.uint8)
    line_ends = np.flatnonzero(content == _CR)
    if len(line_ends) and line_ends[-1] == len(content) - 1:
        line_ends = line_ends[:-1]  # its LF has not come yet
    count = len(line_ends) // 2
    if count < at_least:
        return None
    line_ends = line_ends[: 2 * count]
    if (content[line_ends + 1] != _LF).any():
        return None
    header_ends, payload_ends = line_ends[::2], line_ends[1::2]
    starts = np.empty(count, np.int64)
    starts[0], starts[1:] = 0, payload_ends[:-1] + 2
    if not _say_sizes(content, header_ends, (payload_ends - header_ends - 2).astype(np.int32)):
        return None
    headers = _pieces(buffer, starts, header_ends)
    found = np.flatnonzero(np.frombuffer(headers, np.uint8) == _SPACE)
    if len(found) != 4 * count:
        return None
    spaces = found.reshape(count, 4)
    ends = np.cumsum(header_ends - starts)
    if (spaces[1:, 0] < ends[:-1]).any() or (spaces[:, 3] >= ends).any():
        return None
    begins = ends - (header_ends - starts)
    letters = np.frombuffer(headers, np.uint8)
    if not _all_are(letters, begins, spaces[:, 0], _MARK) or not _all_are(letters, spaces[:, 1] + 1, spaces[:, 2], sid):
        return None
    return Run(buffer, starts, header_ends, payload_ends, headers, spaces)


def _say_sizes(content: npt.NDArray[np.uint8], header_ends: Numbers, sizes: _Sizes) -> bool:
    """Whether each header line ends with a space and the size in decimal digits."""
    rest, at = sizes, header_ends
    if rest.min() < 0:
        return False
    for _ in range(_SIZE_DIGITS_MAX):
        at = at - 1
        rest, digits = np.divmod(rest, 10)
        if (content[at] != digits + _ZERO).any():
            return False
        is_done = rest == 0
        if is_done.all():
            return bool((content[at - 1] == _SPACE).all())
        if is_done.any():
            return _say_sizes_apart(content, header_ends, sizes)
    return False


def _say_sizes_apart(content: npt.NDArray[np.uint8], header_ends: Numbers, sizes: _Sizes) -> bool:
    """The same for sizes of several lengths: those of one length together."""
    digits = np.char.str_len(sizes.astype(str))
    return all(
        _say_sizes(content, header_ends[digits == number], sizes[digits == number]) for number in np.unique(digits)
    )


def _all_are(letters: npt.NDArray[np.uint8], starts: Numbers, ends: Numbers, word: bytes) -> bool:
    """Whether every piece is that word."""
    return bool((ends - starts == len(word)).all()) and all(
        bool((letters[starts + place] == letter).all()) for place, letter in enumerate(word)
    )


def _pieces(content: bytes, starts: Numbers, ends: Numbers) -> bytes:
    """Pieces of a buffer, in order and apart from each other, one behind the other."""
    bounds = np.empty(2 * len(starts) + 1, np.int32)
    bounds[:-1:2], bounds[1::2] = starts, ends
    bounds[-1] = ends[-1]
    cut = pa.Array.from_buffers(pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(content)])
    places = np.arange(0, len(bounds) - 1, 2, dtype=np.int32)
    indices = pa.Array.from_buffers(pa.int32(), len(places), [None, pa.py_buffer(places)])
    _, offsets, found = cut.take(indices).buffers()
    length = int(np.frombuffer(offsets, np.int32)[len(starts)])
    taken: bytes = found.slice(0, length).to_pybytes() if found is not None else b""
    return taken
