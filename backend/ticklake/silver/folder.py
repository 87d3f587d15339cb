"""Where a feature version lies, and the small documents in it, each written whole or not at all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ticklake.base.errors import UsageError
from ticklake.catalog.artifact_ref import hash_file
from ticklake.files.atomic import TEMP_PREFIX, remove, replace
from ticklake.files.local import LocalFiles
from ticklake.silver.record import DateRecord, OutputFile, VersionState, decode_json, encode_json

FEATURES: Final = "silver/features"
STAGING: Final = "silver/staging"
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", re.ASCII)
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
    """

    root: Path
    version: str

    def __post_init__(self) -> None:
        checked_version(self.version)

    @property
    def path(self) -> Path:
        """The folder."""
        return self.root / FEATURES / self.version

    @property
    def dataset(self) -> str:
        """Name in the dataset registry."""
        return f"{FEATURES}/{self.version}"

    @property
    def staging(self) -> Path:
        """Where files wait until they are published; on the same disk, read by nobody."""
        return self.root / STAGING / self.version

    @property
    def manifest_path(self) -> Path:
        """The finished manifest; there only while the version is complete."""
        return self.path / "manifest.yaml"

    @property
    def request_path(self) -> Path:
        """The manifest as asked for, there from the start of the first build."""
        return self.path / "request.yaml"

    @property
    def validation_path(self) -> Path:
        """Checks and causality certificate."""
        return self.path / "validation.json"

    def date_path(self, date: str) -> Path:
        """Folder of a date's data files."""
        return self.path / f"date={date}"

    def data_path(self, date: str, file: str) -> Path:
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
        replace(self.path / "state.json", encode_json(state))

    def read_records(self) -> dict[str, DateRecord]:
        """Date -> its record, ascending; a date without one is not part of the version."""
        return {
            path.stem: decode_json(path.read_bytes(), DateRecord, path=str(path))
            for path in sorted((self.path / "records").glob("*.json"))
        }

    def is_whole(self, record: DateRecord) -> bool:
        """Whether the date's files are there, byte for byte, and no others."""
        place = self.date_path(record.date)
        there = {path.name for path in place.iterdir()} if place.is_dir() else set()
        if there != {file.name for file in record.files}:
            return False
        return all(_matches(place / file.name, file) for file in record.files)

    def publish(self, record: DateRecord, staged: Mapping[str, Path]) -> None:
        """Put a date's files in their place, then its record.

        The old record goes first: whenever a record is there, the files are those it speaks of. A crash on the way
        leaves a date without a record, which is no part of the version and is built again.

        Args:
            record: of the date.
            staged: file name -> synced file of that content on the same disk; moved away.
        """
        document = self.path / "records" / f"{record.date}.json"
        remove(document)
        place = self.date_path(record.date)
        kept = {file.name for file in record.files}
        for old in sorted(place.iterdir()) if place.is_dir() else ():
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

    def withdraw(self, documents: Iterable[Path]) -> None:
        """Remove documents that speak of an earlier build."""
        for path in documents:
            remove(path)

    def clear_leftovers(self) -> None:
        """Remove half-written documents of a killed build. Only under the lease."""
        for path in sorted(self.path.rglob(f"{TEMP_PREFIX}*")):
            path.unlink(missing_ok=True)

    def clear_staging(self) -> None:
        """Remove what this build, or a killed one, left behind. The folder itself stays."""
        for path in sorted(self.staging.iterdir()) if self.staging.is_dir() else ():
            shutil.rmtree(path)


def version_folders(root: Path) -> list[VersionFolder]:
    """Every version that was ever begun, in order of names."""
    place = root / FEATURES
    names = sorted(path.name for path in place.iterdir() if path.is_dir()) if place.is_dir() else []
    return [VersionFolder(root, name) for name in names if _NAME.fullmatch(name)]


def _matches(path: Path, file: OutputFile) -> bool:
    return path.stat().st_size == file.bytes and hash_file(path) == file.sha256
