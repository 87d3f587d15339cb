"""The commit of a segment: staged, checked, synced, decided, linked, entered in the books.

    stage files and ledger ─▶ read back ─▶ sync each ─▶ sync folder          nothing is decided; a crash starts over
    INTENT ─▶ sync ─▶ sync folder                                            the decision
    link data files ─▶ sync their folders ─▶ link ledger ─▶ sync its folder  a crash goes on from here
    (the caller retires the log segment) ─▶ `clean`                          only now may staging go

Links, not renames: a crash may keep the removal of a name in one folder and lose its creation in another. A link
also never overwrites; a taken name with our size and checksum is our own earlier try. A lake in a bucket gets PUTs in
place of links, from the same staging folder; see `lake.landing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ticklake.base.errors import CorruptError, DiskError, OutOfRoomError
from ticklake.files.checksums import crc32c_hex
from ticklake.files.placement import PlacedFiles
from ticklake.files.protocol import Files
from ticklake.lake.batch import EncodedSegment
from ticklake.lake.intent import Intent, StagedFile, decode_intent, encode_intent
from ticklake.lake.landing import BucketLake, BucketLanding, Landing, LocalLanding
from ticklake.lake.layout import INTENT_NAME, LEDGER_NAME, ledger_folder, ledger_name, staged_name, staging_name
from ticklake.lake.ledger import LedgerEntry, LedgerFile, decode_entry, encode_entry


class Publisher:
    """Commits the segments of one lane. One thread at a time."""

    def __init__(self, files: Files, *, landing: Landing, staging_root: str, writer: str) -> None:
        """Takes finished parts.

        Args:
            files: the disk of the staging folder.
            landing: the way from there into the lake.
            staging_root: the lane's staging folder, outside every table; exists.
            writer: `{identity}-{lane}`.
        """
        self._files = files
        self._landing = landing
        self._staging_root = staging_root
        self._writer = writer

    def staged_segments(self) -> list[int]:
        """Segments that have a staging folder, oldest first."""
        return [int(name) for name in self._files.list(self._staging_root) if name.isdecimal()]

    def has_entries(self) -> bool:
        """Whether this writer ever entered anything in the books."""
        return self._landing.has_entries()

    def find_intent(self, segment: int) -> Intent | None:
        """The decision that an earlier process took about a segment, made durable once more; None when there is none.

        The copy matters: what can be read after a failed sync may not be on the disk, and a file that was linked must
        never be encoded again, perhaps by another version.

        Raises:
            CorruptError: the intent was written by a newer program.
            OutOfRoomError: try again when there is room.
        """
        folder = self._folder(segment)
        names = [name for name in self._files.list(folder) if name.startswith(INTENT_NAME)]
        for name in names:
            intent = self._read_intent(f"{folder}/{name}")
            if intent is not None:
                self._write(f"{folder}/{INTENT_NAME}.{_next_copy(names)}", encode_intent(intent))
                self._files.sync_folder(folder)
                return intent
        return None

    def decide(self, encoded: EncodedSegment, entry: LedgerEntry, *, reached: Mapping[str, Any]) -> Intent:
        """Stage everything and make the decision durable.

        Args:
            encoded: the files.
            entry: the books of the segment; its `files` are filled in here.
            reached: see `Intent.reached`.

        Raises:
            OutOfRoomError: what was staged is gone again, the segment is untouched; try again when there is room.
            DiskError: stop.
        """
        segment = entry.segment
        try:
            return self._stage(segment, encoded, entry, reached)
        except OutOfRoomError:
            self.clean(segment)
            raise

    def finish(self, intent: Intent) -> LedgerEntry:
        """Land what the intent names and enter it in the books. Durable on return; done twice is done.

        Raises:
            OutOfRoomError: the decision stands; finish later.
            CorruptError: another file has one of our names: two writers share an identity.
            DiskError: stop.
            StoreUnavailableError: called off while the store did not answer; the decision stands.
        """
        folder, ledger = self._folder(intent.segment), intent.ledger
        self._landing.land(folder, intent.files)
        self._landing.land(folder, [ledger])
        return decode_entry(self._landing.read_landed(folder, ledger), path=f"{ledger.folder}/{ledger.name}")

    def clean(self, segment: int) -> None:
        """Remove a staging folder. Only when the segment is gone from the log, or when nothing was decided."""
        folder = self._folder(segment)
        if not self._files.exists(folder):
            return
        for name in self._files.list(folder):
            self._files.unlink(f"{folder}/{name}")
        self._files.remove_folder(folder)

    def _read_intent(self, path: str) -> Intent | None:
        try:
            return decode_intent(self._files.read(path))
        except ValueError as error:
            raise CorruptError(f"{path}: {error}") from error

    def _folder(self, segment: int) -> str:
        return f"{self._staging_root}/{staging_name(segment)}"

    def _stage(self, segment: int, encoded: EncodedSegment, entry: LedgerEntry, reached: Mapping[str, Any]) -> Intent:
        self.clean(segment)  # left by an earlier try that decided nothing
        folder = self._folder(segment)
        self._files.make_folder(folder)
        staged = tuple(
            self._stage_file(folder, staged_name(index), file.content, target=(file.folder, file.name), rows=file.rows)
            for index, file in enumerate(encoded.files)
        )
        published = tuple(
            LedgerFile(f"{place.folder}/{place.name}", file.table, place.rows, place.bytes, place.crc32c)
            for file, place in zip(encoded.files, staged, strict=True)
        )
        document = encode_entry(replace(entry, files=published))
        target = (ledger_folder(self._writer), ledger_name(segment))
        ledger = self._stage_file(folder, LEDGER_NAME, document, target=target, rows=0)
        self._files.sync_folder(folder)
        intent = Intent(segment=segment, files=staged, ledger=ledger, reached=dict(reached))
        self._write(f"{folder}/{INTENT_NAME}", encode_intent(intent))
        self._files.sync_folder(folder)
        return intent

    def _stage_file(self, folder: str, name: str, content: bytes, *, target: tuple[str, str], rows: int) -> StagedFile:
        self._write(f"{folder}/{name}", content)
        return StagedFile(name, *target, rows, len(content), crc32c_hex(content))

    def _write(self, path: str, content: bytes) -> None:
        """A new file, read back and synced. A disk that took fewer bytes than it said is found here, by us."""
        file = self._files.create(path)
        try:
            file.write([content])
            if self._files.read(path) != content:
                raise DiskError(f"{path}: the disk does not give back what was written; check it, then start again")
            file.sync()
        finally:
            file.close()


def open_publisher(
    files: PlacedFiles, state_folder: str, data_root: str | BucketLake, *, log_folder: str, lane: str, writer: str
) -> Publisher:
    """The publisher of a lane. Makes every folder that the lane needs.

    Args:
        files: the local disk.
        state_folder: absolute path.
        data_root: the lake: an absolute path, or a bucket.
        log_folder: of the lane, below the state folder.
        lane: its name.
        writer: `{identity}-{lane}`.
    """
    staging_root = f"{state_folder}/staging/{lane}"
    landing: Landing
    if isinstance(data_root, BucketLake):
        landing = BucketLanding(files, data_root, writer=writer)
        folders = [state_folder, log_folder]
    else:
        landing = LocalLanding(files, data_root, writer=writer)
        folders = [state_folder, data_root, log_folder]
    for folder in folders:
        files.make_folder(folder)
    if isinstance(data_root, str) and not files.same_disk(state_folder, data_root):
        staging_root = f"{data_root}/_staging/{lane}"  # a link cannot cross disks
    files.make_folder(staging_root)
    return Publisher(files, landing=landing, staging_root=staging_root, writer=writer)


def _next_copy(names: Sequence[str]) -> int:
    """One more than the highest number behind `INTENT.`; a torn copy keeps its name."""
    return 1 + max(int(name.partition(".")[2] or 0) for name in names)
