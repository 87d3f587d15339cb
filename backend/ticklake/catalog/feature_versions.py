"""The documents of a feature version below `silver/features`: state, manifest, records per date, validation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final, TypeVar

import msgspec
import yaml

from ticklake.base.errors import NoDataError, UsageError
from ticklake.files.errors import UnreadableError
from ticklake.files.place import Place, sorted_places
from ticklake.files.side_by_side import run_for

FEATURES: Final = "silver/features"
COMPLETE: Final = "complete"
BUILT: Final = "built"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one reads a long manifest 10 times faster

T = TypeVar("T")


class VersionState(msgspec.Struct, frozen=True):
    """How far a version is. Only a `complete` one may be read.

    Attributes:
        state: `building`, `complete`, `failed`.
        reason: why, when it failed.
        dates: how many have a record; None when it does not say.
    """

    state: str
    reason: str | None = None
    dates: int | None = None


class StoredFile(msgspec.Struct, frozen=True):
    """A Parquet file as it was when it was recorded.

    Attributes:
        name: file name in the folder of its date.
        rows: in it.
        bytes: its size.
        sha256: of the whole file.
    """

    name: str
    rows: int
    bytes: int
    sha256: str


class LakeFile(msgspec.Struct, frozen=True):
    """A file of the lake as it was when it was read or made.

    Attributes:
        path: relative to the data root.
        rows: in it.
        bytes: its size.
        sha256: of the whole file.
    """

    path: str
    rows: int
    bytes: int
    sha256: str


class DateRecord(msgspec.Struct, frozen=True):
    """What became of one date of a version.

    Attributes:
        date: the trading day.
        status: `built`, `empty`, `closed`, `failed`.
        reason: why it is not built.
        rows: of `signals.parquet`.
        files: what was written.
        inputs: what was read.
    """

    date: date
    status: str
    rows: int = 0
    reason: str | None = None
    files: tuple[StoredFile, ...] = ()
    inputs: tuple[LakeFile, ...] = ()

    def file(self, name: str) -> StoredFile | None:
        """The file of that name, None when the date has none."""
        return next((file for file in self.files if file.name == name), None)


class Column(msgspec.Struct, frozen=True):
    """A column as the manifest describes it.

    Attributes:
        name: of the column.
        dtype: Polars type as text.
        unit: such as `points`; "" for words and flags.
        role: `key`, `feature`, `label`, `info`.
        doc: what it is.
        null: whether it may be null.
        low: smallest allowed value.
        high: largest allowed value.
    """

    name: str
    dtype: str
    role: str
    unit: str = ""
    doc: str = ""
    null: bool = True
    low: float | None = None
    high: float | None = None


def version_folder(root: Place, version: str) -> Place:
    """The folder of a version; it need not exist.

    Raises:
        UsageError: the name cannot be that of a version.
    """
    if not _NAME.fullmatch(version):
        raise UsageError(f"{version!r} is no name of a version; see `ticklake silver ls`")
    return root / FEATURES / version


def version_names(root: Place) -> list[str]:
    """Names of the versions that have a state, whatever it is, sorted; empty when there are none."""
    return sorted(
        path.parent.name for path in (root / FEATURES).glob("*/state.json") if _NAME.fullmatch(path.parent.name)
    )


def read_state(root: Place, version: str) -> VersionState:
    """How far a version is.

    Raises:
        NoDataError: there is no such version; the text names those there are.
        UnreadableError: its state is damaged.
    """
    try:
        return state_of(version_folder(root, version))
    except FileNotFoundError as error:
        known = ", ".join(version_names(root)) or "none"
        raise NoDataError(f"no feature version {version!r} in {root / FEATURES}; there are: {known}") from error


def state_of(folder: Place) -> VersionState:
    """How far the version in a folder is. Raises FileNotFoundError, UnreadableError."""
    return _decode(folder / "state.json", VersionState)


def read_manifest(root: Place, version: str) -> dict[str, Any]:
    """The manifest of a complete version. Raises FileNotFoundError, UnreadableError."""
    path = version_folder(root, version) / "manifest.yaml"
    try:
        content = yaml.load(path.read_bytes(), Loader=_LOADER)  # noqa: S506, both loaders are the safe one
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path}: no YAML ({error}); build the version again", path=path) from error
    if not isinstance(content, dict):
        raise UnreadableError(f"{path}: holds no mapping; build the version again", path=path)
    return content


def read_validation(root: Place, version: str) -> dict[str, Any]:
    """The checks of a version and its causality certificate. Raises FileNotFoundError, UnreadableError."""
    return _decode(version_folder(root, version) / "validation.json", dict[str, Any])


def read_records(root: Place, version: str) -> list[DateRecord]:
    """What became of each date, in order of dates; empty when none was begun.

    Raises:
        UnreadableError: a record is damaged, or its name is not its date.
    """
    paths = sorted_places((version_folder(root, version) / "records").glob("*.json"))
    return list(run_for(root)(_read_record, paths))


def columns_of(manifest: Mapping[str, Any], table: str, *, path: str = "manifest.yaml") -> tuple[Column, ...]:
    """The columns of one output file (`signals`, `state`, `episodes`), in their order.

    Raises:
        NoDataError: the manifest describes no such file.
        UnreadableError: the description is not of the promised form.
    """
    described = manifest.get("columns")
    if not isinstance(described, dict) or table not in described:
        known = ", ".join(described) if isinstance(described, dict) else "none"
        raise NoDataError(f"{path} describes no file {table!r}; there are: {known}")
    try:
        return msgspec.convert(described[table], tuple[Column, ...], strict=False)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"{path}: columns of {table}: {error}; build the version again", path=path) from error


def data_path(version: str, day: date, name: str) -> str:
    """Where a file of a date lies, relative to the data root."""
    return f"{FEATURES}/{version}/date={day.isoformat()}/{name}"


def _read_record(path: Place) -> DateRecord:
    record = _decode(path, DateRecord)
    if path.stem != record.date.isoformat():
        raise UnreadableError(f"{path}: is the record of {record.date}; build the version again", path=path)
    return record


def _decode(path: Place, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path}: {error}; build the version again", path=path) from error
