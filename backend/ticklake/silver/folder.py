"""Where a feature version lies, and the small documents in it, each written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import uuid4

from ticklake.base.errors import ConfigError, UsageError
from ticklake.catalog.artifact_ref import hash_file
from ticklake.files.atomic import TEMP_PREFIX, remove, replace
from ticklake.files.local import LocalFiles
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place, sorted_places
from ticklake.files.side_by_side import run_for
from ticklake.silver.published import holds, put_files, put_record
from ticklake.silver.record import DateRecord, OutputFile, VersionState, decode_json, encode_json

FEATURES: Final = "silver/features"
STAGING: Final = "silver/staging"
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", re.ASCII)
_KEY_DIGITS: Final = 24
_RESERVED: Final = frozenset({"experiments.json"})


def checked_version(name: str) -> str:
    """The name, when it is safe as the name of a folder.

    Raises:
        UsageError: it is not.
    """
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise UsageError(
            f"{name!r} is no version name: 1 to 100 of A-Z a-z 0-9 . _ -, first and last a letter or digit; rename it"
        )
    return name


@dataclass(frozen=True, slots=True)
class VersionFolder:
    """One version below a data root. Nothing is made before something is written.

    Attributes:
        root: the data root, absolute.
        version: its name.
        check_held: raises when a build lost the version to another process; called before each step that replaces or
            removes anything.
    """

    root: Place
    version: str
    check_held: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)

    def __post_init__(self) -> None:
        checked_version(self.version)

    @property
    def path(self) -> Place:
        """The folder."""
        return self.root / FEATURES / self.version

    @property
    def dataset(self) -> str:
        """Name in the dataset registry."""
        return f"{FEATURES}/{self.version}"

    @property
    def staging(self) -> Path:
        """Where files wait until they are published, read by nobody: on the same disk, or on this machine's own."""
        if isinstance(self.root, ObjectPath):
            known = f"{self.root.store.access.endpoint}\n{self.root}"
            return _own_folder() / hashlib.sha256(known.encode()).hexdigest()[:_KEY_DIGITS] / self.version
        return self.root / STAGING / self.version

    @property
    def manifest_path(self) -> Place:
        """The finished manifest; there only while the version is complete."""
        return self.path / "manifest.yaml"

    @property
    def request_path(self) -> Place:
        """The manifest as asked for, there from the start of the first build."""
        return self.path / "request.yaml"

    @property
    def validation_path(self) -> Place:
        """Checks and causality certificate."""
        return self.path / "validation.json"

    def date_path(self, date: str) -> Place:
        """Folder of a date's data files."""
        return self.path / f"date={date}"

    def data_path(self, date: str, file: str) -> Place:
        """One data file; `file` is `signals.parquet`, `state.parquet` or `episodes.parquet`."""
        return self.date_path(date) / file

    def read_state(self) -> VersionState | None:
        """State of the version, None when it was never built."""
        path = self.path / "state.json"
        try:
            return decode_json(path.read_bytes(), VersionState, path=str(path))
        except FileNotFoundError:
            return None

    def write_state(self, state: VersionState) -> None:
        """Put the state in place of the last one, durably."""
        self.write_document(self.path / "state.json", encode_json(state))

    def write_document(self, path: Place, content: bytes) -> None:
        """Put a document of the version in place of the last one, durably."""
        self.check_held()
        replace(path, content)

    def read_records(self) -> dict[str, DateRecord]:
        """Date -> its record, ascending; a date without one is not part of the version."""
        paths = sorted_places((self.path / "records").glob("*.json"))
        return dict(zip((path.stem for path in paths), run_for(self.root)(_read_record, paths), strict=True))

    def is_whole(self, record: DateRecord) -> bool:
        """Whether the date's files are there, byte for byte, and no others."""
        place = self.date_path(record.date)
        if _names_in(place) != {file.name for file in record.files}:
            return False
        return all(_matches(place / file.name, file) for file in record.files)

    def publish(self, record: DateRecord, staged: Mapping[str, Path]) -> None:
        """Put a date's files in their place, then its record.

        The old record goes first: whenever a record is there, the files are those it speaks of. A crash on the way
        leaves a date without a record, which is no part of the version and is built again.

        Args:
            record: of the date.
            staged: file name -> synced file of that content, in `staging`; moved away, or copied into a bucket.

        Raises:
            RetryableError: another process builds the version.
        """
        document = self.path / "records" / f"{record.date}.json"
        self.check_held()
        remove(document)
        place = self.date_path(record.date)
        kept = {file.name: file for file in record.files}
        if isinstance(place, ObjectPath) and isinstance(document, ObjectPath):
            put_files(place, kept, staged, self.check_held)
            put_record(document, encode_json(record))
            return
        for old in sorted_places(place.glob("*")):
            if old.name not in kept:
                remove(old)
        if kept:
            files = LocalFiles()
            files.make_folder(str(place))
            for name, source in staged.items():
                source.replace(place / name)
            files.sync_folder(str(place))
        elif place.is_dir():
            place.rmdir()
        replace(document, encode_json(record))

    def withdraw(self, documents: Iterable[Place]) -> None:
        """Remove documents that speak of an earlier build."""
        self.check_held()
        for path in documents:
            remove(path)

    def clear_leftovers(self) -> None:
        """Remove half-written documents of a killed build. Only under the lease."""
        if isinstance(self.path, ObjectPath):
            return  # an object is whole or absent
        for path in sorted(self.path.rglob(f"{TEMP_PREFIX}*")):
            path.unlink(missing_ok=True)

    def make_staging(self) -> Path:
        """A fresh folder for the files of one build.

        Raises:
            ConfigError: on this machine, the place for it belongs to another user.
            DiskError: it cannot be made.
        """
        if isinstance(self.root, ObjectPath):
            own = _own_folder()
            own.mkdir(mode=0o700, exist_ok=True)
            if own.is_symlink() or own.stat().st_uid != os.getuid():
                raise ConfigError(f"{own} belongs to another user; remove it, or set TMPDIR to a folder of your own")
        staging = self.staging / uuid4().hex
        LocalFiles().make_folder(str(staging))  # by a fresh one: that of the process may know parents that are gone
        return staging

    def clear_staging(self) -> None:
        """Remove what this build, or a killed one, left behind. The folder itself stays."""
        for path in sorted(self.staging.iterdir()) if self.staging.is_dir() else ():
            shutil.rmtree(path)


def version_folders(root: Place) -> list[VersionFolder]:
    """Every version that was ever begun, in order of names."""
    names = sorted(path.name for path in (root / FEATURES).glob("*") if _NAME.fullmatch(path.name) and path.is_dir())
    return [VersionFolder(root, name) for name in names]


def _own_folder() -> Path:
    """For files that wait here for a bucket: the same one for every build, so that the next clears a killed one's."""
    return Path(tempfile.gettempdir()) / f"ticklake-staging-{os.getuid()}"


def _names_in(place: Place) -> set[str]:
    try:
        return {path.name for path in place.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _read_record(path: Place) -> DateRecord:
    return decode_json(path.read_bytes(), DateRecord, path=str(path))


def _matches(path: Place, file: OutputFile) -> bool:
    if isinstance(path, ObjectPath):
        return holds(path, file)
    return path.stat().st_size == file.bytes and hash_file(path) == file.sha256
