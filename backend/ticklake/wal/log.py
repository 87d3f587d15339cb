"""The live segment of a log, and the folder of all segments. Blocking; one thread owns a `Wal`.

Order of a rotation: the new segment is written, synced and named durably before it takes a frame. So the newest whole
header always holds the state, and a segment whose header is torn never held anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ticklake.base.errors import DiskError, OutOfRoomError
from ticklake.files.protocol import AppendFile, Files
from ticklake.schema.messages import MessageGroup, Skipped
from ticklake.wal.chain import chain_faults
from ticklake.wal.errors import WalCorruptError
from ticklake.wal.frame import SECTOR_BYTES, Range, encode_close, encode_group
from ticklake.wal.header import SegmentHeader, decode_header, encode_header
from ticklake.wal.segment import SegmentScan, Tail, scan, segment_name, segment_number
from ticklake.wal.state import Previous, SegmentState

SaltSource = Callable[[int], bytes]

_HEADER_WITHIN_BYTES = 64 * 1024  # only a header with very many seen ranges is longer


@dataclass(frozen=True, slots=True)
class LoggedSegment:
    """A segment as found on disk.

    Attributes:
        synced_bytes: how many of its bytes the next segment knows to be synced; 0 when it says nothing.
    """

    number: int
    path: str
    size_bytes: int
    scan: SegmentScan
    synced_bytes: int = 0

    @property
    def is_followed(self) -> bool:
        """Whether the next segment knows that all of this one was synced."""
        return self.synced_bytes > 0

    @property
    def torn_bytes(self) -> int:
        """Bytes of the torn tail."""
        return self.size_bytes - self.scan.valid_bytes


class Wal:
    """One log: a live segment that takes frames. Older segments are only read and retired."""

    def __init__(
        self, files: Files, folder: str, *, epoch: int, state: SegmentState, salt_source: SaltSource, sector_bytes: int
    ) -> None:
        self._files = files
        self._folder = folder
        self._epoch = epoch
        self._salt_source = salt_source
        self._sector_bytes = sector_bytes
        self.state = state
        self.number = 0
        self.frames = 0
        self.end_bytes = 0
        self.durable_bytes = 0
        self._salt = 0
        self._is_whole = True  # no write or sync failed half way: a frame behind half a frame would be lost
        self._file: AppendFile

    @classmethod
    def open(
        cls,
        files: Files,
        folder: str,
        *,
        number: int,
        epoch: int,
        state: SegmentState,
        salt_source: SaltSource,
        sector_bytes: int = SECTOR_BYTES,
    ) -> Wal:
        """Begin segment `number` in an existing folder. Durable on return.

        Raises:
            OutOfRoomError: nothing was left behind; try again.
            DiskError: stop.
        """
        wal = cls(files, folder, epoch=epoch, state=state, salt_source=salt_source, sector_bytes=sector_bytes)
        wal._begin(number, state)
        return wal

    @property
    def path(self) -> str:
        """Path of the live segment."""
        return f"{self._folder}/{segment_name(self.number)}"

    def append(
        self,
        group: MessageGroup,
        *,
        missing: Sequence[Range] = (),
        duplicates: int = 0,
        skipped: Skipped | None = None,
    ) -> None:
        """Write one frame. Not durable before `sync`.

        Raises:
            OutOfRoomError: the log is as it was after the last sync, durably; the group can be tried again.
            DiskError: stop without acks.
        """
        self._write(
            encode_group(
                group,
                salt=self._salt,
                number=self.frames,
                at_bytes=self.end_bytes,
                durable_bytes=self.durable_bytes,
                missing=missing,
                duplicates=duplicates,
                skipped=skipped,
                sector_bytes=self._sector_bytes,
            )
        )

    def sync(self) -> None:
        """Make every frame so far survive a power cut.

        Raises:
            DiskError: never retry; stop without acks.
        """
        self._is_whole = False
        self._file.sync()
        self._is_whole = True
        self.durable_bytes = self.end_bytes

    def rotate(self, state: SegmentState) -> None:
        """Begin the next segment with `state`; it will state how long the old one is. All frames must be synced.

        Raises:
            OutOfRoomError: the old segment is still the live one; try again.
            DiskError: stop.
        """
        self._check_whole()
        assert self.end_bytes == self.durable_bytes, "rotate only a synced segment"
        old = self._file
        self._begin(self.number + 1, replace(state, previous=Previous(self.number, self.end_bytes)))
        old.close()

    def close(self, *, duplicates: int = 0) -> None:
        """Write the mark of a graceful end, durably, and let go of the file.

        Raises:
            OutOfRoomError: the log is whole, only the mark is missing; close again when there is room, or `abandon`.
            DiskError: the file is let go all the same.
        """
        mark = encode_close(
            salt=self._salt, number=self.frames, durable_bytes=self.durable_bytes, duplicates=duplicates
        )
        try:
            self._write(mark)
            self.sync()
        except OutOfRoomError:
            raise
        except BaseException:
            self._file.close()
            raise
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file without a mark, after an error."""
        self._file.close()

    def _begin(self, number: int, state: SegmentState) -> None:
        salt = int.from_bytes(self._salt_source(8), "little") | 1  # never zero: a zeroed header must not match
        content = encode_header(SegmentHeader(number, self._epoch, salt, self._sector_bytes, state))
        path = f"{self._folder}/{segment_name(number)}"
        file = self._files.create(path)
        try:
            file.write([content])
            file.sync()
            self._files.sync_folder(self._folder)
        except OutOfRoomError:
            file.close()
            self._files.unlink(path)
            self._files.sync_folder(self._folder)
            raise
        except BaseException:
            file.close()
            raise
        self._file, self._salt, self.number, self.state = file, salt, number, state
        self.frames, self.end_bytes, self.durable_bytes = 0, len(content), len(content)

    def _check_whole(self) -> None:
        if not self._is_whole:
            raise DiskError(f"{self.path}: an earlier write or sync failed; start again, what was acked is safe")

    def _write(self, parts: Sequence[bytes]) -> None:
        self._check_whole()
        self._is_whole = False
        try:
            self._file.write(parts)
        except OutOfRoomError:
            self._file.truncate(self.end_bytes)
            self._file.sync()
            self.durable_bytes = self.end_bytes
            self._is_whole = True
            raise
        self._is_whole = True
        self.frames += 1
        self.end_bytes += sum(map(len, parts))


def scan_log(files: Files, folder: str) -> Iterator[LoggedSegment]:
    """Every segment in the folder, oldest first, judged with what its successor knows. Never raises on bad bytes.

    Segments are read one at a time: a log that grew while the lake was full need not fit into memory. They are copied:
    an owner at work may shorten the last one.

    Raises:
        FileNotFoundError: its owner retired a segment meanwhile; begin again.
        DiskError: a segment cannot be read.
    """
    return _scan_all(files.read, folder, read_headers(files, folder), lambda _number: True)


def read_log(
    files: Files, folder: str, *, is_kept: Callable[[int], bool] = lambda _number: True
) -> Iterator[LoggedSegment]:
    """Every segment in the folder, oldest first; torn tails are already left out of the frames.

    Args:
        files: the disk.
        folder: of the log.
        is_kept: asked with the number of a segment just before it is read; one that its owner retired meanwhile is
            passed over.

    Raises:
        WalCorruptError: a frame that was synced is bad, or a segment is missing, misnamed, half repaired or from
            another program.
        DiskError: a segment cannot be read.
    """
    headers = read_headers(files, folder)
    for number, reason in chain_faults(headers, files.list(folder)).items():
        raise WalCorruptError(f"{folder}/{segment_name(number)}", offset_bytes=0, reason=reason)
    for segment in _scan_all(files.load, folder, headers, is_kept):
        if segment.scan.tail is Tail.CORRUPT:
            raise WalCorruptError(segment.path, offset_bytes=segment.scan.valid_bytes, reason=segment.scan.reason)
        yield segment


def _scan_all(
    content_of: Callable[[str], bytes | memoryview],
    folder: str,
    headers: Mapping[int, SegmentHeader | None],
    is_kept: Callable[[int], bool],
) -> Iterator[LoggedSegment]:
    expected: dict[int, int] = {}
    for header in headers.values():
        if header is not None and header.state.previous is not None:
            expected[header.state.previous.segment] = header.state.previous.valid_bytes
    for number, header in headers.items():
        if header is not None and header.state.repaired:
            expected.pop(number, None)
        if not is_kept(number):
            continue
        path = f"{folder}/{segment_name(number)}"
        content = content_of(path)
        synced_bytes = expected.get(number, 0)
        yield LoggedSegment(number, path, len(content), scan(content, expected_bytes=synced_bytes), synced_bytes)


def read_headers(files: Files, folder: str) -> dict[int, SegmentHeader | None]:
    """Number -> header of every segment in the folder, oldest first; None for a torn or damaged header."""
    numbers = sorted(n for n in map(segment_number, files.list(folder)) if n is not None)
    return {number: _read_header(files, f"{folder}/{segment_name(number)}") for number in numbers}


def retire(files: Files, folder: str, numbers: Sequence[int]) -> None:
    """Remove segments whose messages are safe elsewhere. Durable on return; done twice is done.

    Raises:
        DiskError: stop; some of them may be there again after a power cut.
    """
    for number in numbers:
        path = f"{folder}/{segment_name(number)}"
        if files.exists(path):
            files.unlink(path)
    files.sync_folder(folder)


def _read_header(files: Files, path: str) -> SegmentHeader | None:
    try:
        decoded = decode_header(files.read(path, _HEADER_WITHIN_BYTES)) or decode_header(files.read(path))
    except ValueError:
        return None  # a version we do not know: `scan` says so with the place
    return decoded[0] if decoded else None
