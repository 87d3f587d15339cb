"""The commit of a segment: staged, checked, synced, decided, linked, entered in the books.

    stage files and ledger ─▶ read back ─▶ sync each ─▶ sync folder          nothing is decided; a crash starts over
    INTENT ─▶ sync ─▶ sync folder                                            the decision
    link data files ─▶ sync their folders ─▶ link ledger ─▶ sync its folder  a crash goes on from here
    (the caller retires the log segment) ─▶ `clean`                          only now may staging go

Links, not renames: a crash may keep the removal of a name in one folder and lose its creation in another. A link
also never overwrites; a taken name with our size and checksum is our own earlier try.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import google_crc32c

from ticklake.base.errors import CorruptError, DiskError, OutOfRoomError
from ticklake.files.protocol import Files
from ticklake.lake.batch import EncodedSegment
from ticklake.lake.intent import Intent, StagedFile, decode_intent, encode_intent
from ticklake.lake.layout import INTENT_NAME, LEDGER_NAME, ledger_folder, ledger_name, staged_name, staging_name
from ticklake.lake.ledger import LedgerEntry, LedgerFile, decode_entry, encode_entry


class Publisher:
    """Commits the segments of one lane. One thread at a time."""

    def __init__(self, files: Files, *, data_root: str, staging_root: str, writer: str) -> None:
        """Args are finished folders.

        Args:
            files: the disk.
            data_root: root of the lake.
            staging_root: the lane's staging folder, on the disk of `data_root`, outside every table; exists.
            writer: `{identity}-{lane}`.
        """
        self._files = files
        self._data_root = data_root
        self._staging_root = staging_root
        self._writer = writer

    def staged_segments(self) -> list[int]:
        """Segments that have a staging folder, oldest first."""
        return [int(name) for name in self._files.list(self._staging_root) if name.isdecimal()]

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
        """Link what the intent names and enter it in the books. Durable on return; done twice is done.

        Raises:
            OutOfRoomError: the decision stands; finish later.
            CorruptError: another file has one of our names: two writers share an identity.
            DiskError: stop.
        """
        self._link(intent.segment, intent.files)
        self._link(intent.segment, [intent.ledger])
        return self._read_entry(intent)

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
        return StagedFile(name, *target, rows, len(content), _hex(content))

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

    def _link(self, segment: int, staged: Sequence[StagedFile]) -> None:
        for folder in dict.fromkeys(file.folder for file in staged):
            self._files.make_folder(f"{self._data_root}/{folder}")
        for file in staged:
            source = f"{self._folder(segment)}/{file.staged}"
            target = f"{self._data_root}/{file.folder}/{file.name}"
            try:
                self._files.link(source, target)
            except FileExistsError:
                self._check_own(target, file)
            except FileNotFoundError as error:
                raise CorruptError(
                    f"{source}: named by INTENT, yet gone; restore the folder, "
                    "or remove INTENT to encode the segment again"
                ) from error
        for folder in dict.fromkeys(file.folder for file in staged):
            self._files.sync_folder(f"{self._data_root}/{folder}")

    def _check_own(self, target: str, file: StagedFile) -> None:
        content = self._files.read(target)
        if (len(content), _hex(content)) != (file.bytes, file.crc32c):
            raise CorruptError(
                f"{target}: has {len(content)} bytes with crc32c {_hex(content)}, but {self._writer} is about to "
                f"publish {file.bytes} bytes with crc32c {file.crc32c} under that name: two writers share an identity; "
                "stop one, and give it its own state folder"
            )

    def _read_entry(self, intent: Intent) -> LedgerEntry:
        path = f"{self._data_root}/{intent.ledger.folder}/{intent.ledger.name}"
        return decode_entry(self._files.read(path), path=path)


def _next_copy(names: Sequence[str]) -> int:
    """One more than the highest number behind `INTENT.`; a torn copy keeps its name."""
    return 1 + max(int(name.partition(".")[2] or 0) for name in names)


def _hex(content: bytes) -> str:
    return f"{google_crc32c.value(content):08x}"
