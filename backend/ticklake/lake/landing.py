"""The last steps of a commit: staged files become part of the lake, on a local disk by links, in a bucket by PUTs.

    a local disk   link each file, sync every touched folder; a taken name with our size and checksum is our earlier try
    a bucket       one conditional PUT per file, many at once; whatever the store answered, it is settled by looking

Both never overwrite, are done when they return, and may be done again. Data files come first, in a call of their own;
the ledger entry follows when they are all there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ticklake.base.errors import CorruptError
from ticklake.files.checksums import crc32c_hex
from ticklake.files.errors import AlreadyStoredError
from ticklake.files.object_path import ObjectPath
from ticklake.files.protocol import Files
from ticklake.lake.intent import StagedFile
from ticklake.lake.layout import ledger_folder

Persist = Callable[[Sequence[Callable[[], Any]]], list[Any]]
"""Runs steps on an object store, several at once, until each has succeeded; gives their results in order."""


@dataclass(frozen=True, slots=True)
class BucketLake:
    """A lake in a bucket.

    Attributes:
        root: where it begins.
        persist: makes the steps of a commit; repeats what the store did not answer.
        ask: the same for questions.
    """

    root: ObjectPath
    persist: Persist
    ask: Persist


class Landing(Protocol):
    """Where the files of one writer go."""

    def has_entries(self) -> bool:
        """Whether this writer ever entered anything in the books."""
        ...

    def land(self, folder: str, staged: Sequence[StagedFile]) -> None:
        """Bring staged files into the lake, durably.

        Args:
            folder: the staging folder they lie in.
            staged: the files, as INTENT names them.

        Raises:
            CorruptError: another file has one of our names, or a staged file is gone or damaged.
            OutOfRoomError: try again when there is room.
            DiskError: stop.
            StoreUnavailableError: called off while the store did not answer; what INTENT decided stands.
        """
        ...

    def read_landed(self, folder: str, staged: StagedFile) -> bytes:
        """The bytes of a file that has landed."""
        ...


class LocalLanding:
    """Landing by links on one disk: the staging folder and the lake share it."""

    def __init__(self, files: Files, data_root: str, *, writer: str) -> None:
        self._files = files
        self._data_root = data_root
        self._writer = writer

    def has_entries(self) -> bool:
        """See `Landing`."""
        return bool(self._files.list(f"{self._data_root}/{ledger_folder(self._writer)}"))

    def land(self, folder: str, staged: Sequence[StagedFile]) -> None:
        """See `Landing`."""
        for target_folder in dict.fromkeys(file.folder for file in staged):
            self._files.make_folder(f"{self._data_root}/{target_folder}")
        for file in staged:
            target = self._target(file)
            try:
                self._link(f"{folder}/{file.staged}", target, file)
            except FileExistsError:
                self._check_own(target, file)
        for target_folder in dict.fromkeys(file.folder for file in staged):
            self._files.sync_folder(f"{self._data_root}/{target_folder}")

    def _link(self, source: str, target: str, file: StagedFile) -> None:
        try:
            self._files.link(source, target)
        except FileNotFoundError as error:
            if not self._files.exists(source):
                raise _gone(source) from error
            self._files.make_folder(f"{self._data_root}/{file.folder}")  # somebody tidied the empty folder away
            self._files.link(source, target)

    def read_landed(self, folder: str, staged: StagedFile) -> bytes:
        """From the lake."""
        return self._files.read(self._target(staged))

    def _target(self, file: StagedFile) -> str:
        return f"{self._data_root}/{file.folder}/{file.name}"

    def _check_own(self, target: str, file: StagedFile) -> None:
        content = self._files.read(target)
        if (len(content), crc32c_hex(content)) != (file.bytes, file.crc32c):
            found = f"has {len(content)} bytes with crc32c {crc32c_hex(content)}"
            raise _foreign(target, found, file, self._writer)


class BucketLanding:
    """Landing by conditional PUTs from a staging folder on the local disk."""

    def __init__(self, files: Files, lake: BucketLake, *, writer: str) -> None:
        """Nothing is asked of the store yet.

        Args:
            files: the disk of the staging folder.
            lake: where the files go.
            writer: `{identity}-{lane}`.
        """
        self._files = files
        self._root = lake.root
        self._persist = lake.persist
        self._ask = lake.ask
        self._writer = writer

    def has_entries(self) -> bool:
        """See `Landing`. Asks for a listing: it only helps to notice that a log is gone, no commit depends on it."""
        folder = self._root / ledger_folder(self._writer)
        [found] = self._ask([folder.is_dir])
        return bool(found)

    def land(self, folder: str, staged: Sequence[StagedFile]) -> None:
        """See `Landing`."""
        self._persist([partial(self._send, folder, file) for file in staged])

    def read_landed(self, folder: str, staged: StagedFile) -> bytes:
        """From staging: the same bytes, already compared with INTENT when they were sent."""
        return self._read_staged(folder, staged)

    def _send(self, folder: str, file: StagedFile) -> None:
        content = self._read_staged(folder, file)
        target = self._root / file.folder / file.name
        try:
            target.store.create(target.key, content)
        except AlreadyStoredError as error:
            raise _foreign(str(target), "has other bytes", file, self._writer) from error

    def _read_staged(self, folder: str, file: StagedFile) -> bytes:
        """The bytes, as INTENT knows them: what the disk lost or changed since must not reach the lake."""
        source = f"{folder}/{file.staged}"
        try:
            content = self._files.read(source)
        except FileNotFoundError as error:
            raise _gone(source) from error
        if (len(content), crc32c_hex(content)) != (file.bytes, file.crc32c):
            raise CorruptError(
                f"{source}: has {len(content)} bytes with crc32c {crc32c_hex(content)}, but INTENT names {file.bytes} "
                f"bytes with crc32c {file.crc32c}; restore the file, or remove INTENT to encode the segment again"
            )
        return content


def _gone(source: str) -> CorruptError:
    return CorruptError(
        f"{source}: named by INTENT, yet gone; restore the folder, or remove INTENT to encode the segment again"
    )


def _foreign(target: str, found: str, file: StagedFile, writer: str) -> CorruptError:
    return CorruptError(
        f"{target}: {found}, but {writer} is about to publish {file.bytes} bytes with crc32c {file.crc32c} under "
        "that name: two writers share an identity; stop one, and give it its own state folder"
    )
