"""The documents of training sets: the current one below `gold/training`, every version below `gold/history`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Final, TypeVar

import msgspec

from ticklake.base.errors import NoDataError, UsageError
from ticklake.catalog.feature_versions import LakeFile
from ticklake.catalog.training_removed import COMMIT, SUFFIX, read_removed, removal_of, removed_labels
from ticklake.files.errors import UnreadableError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place, sorted_places
from ticklake.files.side_by_side import run_for

FORMAT: Final = "ticklake.training/1"
PROMOTION: Final = "promotion"
"""Kind of the runs that make versions."""
TRAINING: Final = "gold/training"
HISTORY: Final = "gold/history"
DATA: Final = "data.parquet"
METADATA: Final = COMMIT
SOURCES: Final = "sources.json"
_POINTER: Final = "_metadata.json"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VERSION: Final = re.compile(r"v?(\d{1,9})")
_FROM_COPY: Final = "restore it from a copy"
_FOLDER: Final = re.compile(r"v(\d{6,9})")

T = TypeVar("T")


class DateRange(msgspec.Struct, frozen=True):
    """First and last date, both included; None when there is no row."""

    start: date | None
    end: date | None


class GateRecord(msgspec.Struct, frozen=True):
    """What a gate said when the version was promoted; see `gold.gates`."""

    name: str
    passed: bool
    hard: bool
    reason: str
    forced: bool = False


class TrainingMetadata(msgspec.Struct, frozen=True):
    """What is known about one version of a training set.

    Attributes:
        format: of this document.
        dataset_name: name of the set.
        version: its number, from 1.
        silver_version: which feature version it holds.
        pipeline: which pipeline made that.
        created_at: UTC, ISO text.
        run_id: the promotion, in the run registry.
        notes: of whoever promoted it.
        forced: whether a gate that failed was passed by force.
        signal_count: rows.
        feature_count: columns that are features; labels, keys and context do not count.
        date_range: of its dates.
        dates: the trading days it holds.
        keys: columns that name a row.
        features: columns to learn from.
        labels: columns to learn; they know the future.
        info: context, neither of both.
        data: its file.
        sources_sha256: of `sources.json` beside it.
        fingerprint: equal for versions that hold the same rows for the same reason.
        gates: what was demanded, and what was found.
        limits: of the soft gates, by name.
        manifest: of the feature version, without its list of inputs, which is in `sources.json`.
    """

    format: str
    dataset_name: str
    version: int
    silver_version: str
    pipeline: str
    created_at: str
    run_id: str
    notes: str
    forced: bool
    signal_count: int
    feature_count: int
    date_range: DateRange
    dates: tuple[date, ...]
    keys: tuple[str, ...]
    features: tuple[str, ...]
    labels: tuple[str, ...]
    info: tuple[str, ...]
    data: LakeFile
    sources_sha256: str
    fingerprint: str
    gates: tuple[GateRecord, ...]
    limits: dict[str, float]
    manifest: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values: what the document on disk says."""
        return msgspec.json.decode(msgspec.json.encode(self), type=dict[str, Any])


class SourceDate(msgspec.Struct, frozen=True):
    """Where the rows of one date come from.

    Attributes:
        date: the trading day.
        silver: the silver file, path relative to the data root.
        bronze: the bronze files that were read for it.
    """

    date: date
    silver: LakeFile
    bronze: tuple[LakeFile, ...]


class Sources(msgspec.Struct, frozen=True):
    """Where the rows of a version come from, date by date."""

    dates: tuple[SourceDate, ...]


def is_name(name: str) -> bool:
    """Whether a training set may be called so."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """The name itself, when a training set may be called so.

    Raises:
        UsageError: it would be no safe file name.
    """
    if not is_name(name):
        raise UsageError(f"{name!r} is no name for a training set; use 1 to 100 letters, digits, `.`, `_` and `-`")
    return name


def parse_version(version: int | str) -> int:
    """The number of a version from `3`, `"3"` or `"v000003"`.

    Raises:
        UsageError: it is none of these.
    """
    found = _VERSION.fullmatch(str(version))
    if found is None or int(found[1]) < 1:
        raise UsageError(f"{version!r} is no version; use a number such as 3 or v000003, see `ticklake gold ls`")
    return int(found[1])


def version_label(number: int) -> str:
    """Folder name of a version: `v000003`."""
    return f"v{number:06d}"


def current_data(root: Place, name: str) -> Place:
    """The file that plain globs read: the rows of the current version."""
    return root / TRAINING / f"{check_name(name)}.parquet"


def pointer(root: Place, name: str) -> Place:
    """The one file that decides which version is current: a copy of that version's metadata."""
    return root / TRAINING / f"{check_name(name)}{_POINTER}"


def history_folder(root: Place, name: str) -> Place:
    """Where all versions of a set lie."""
    return root / HISTORY / check_name(name)


def set_names(root: Place) -> list[str]:
    """Names of the training sets that have a current version, sorted."""
    found = (path.name.removesuffix(_POINTER) for path in (root / TRAINING).glob(f"*{_POINTER}"))
    return sorted(name for name in found if _NAME.fullmatch(name))


def set_versions(root: Place, name: str) -> list[int]:
    """Numbers of the whole versions of a set, ascending, without removed ones; empty when there are none."""
    history = history_folder(root, name)
    if isinstance(history, ObjectPath):  # one listing of all, instead of one for each version
        there = {path.relative_to(history).as_posix() for path in history.rglob("*.json")}
        whole = [label for label, _, below in (path.partition("/") for path in there) if below == METADATA]
        found = (_FOLDER.fullmatch(label) for label in whole if f"{label}{SUFFIX}" not in there)
        return sorted(int(match[1]) for match in found if match)
    folders = (path.parent for path in history.glob(f"v*/{METADATA}"))
    found = (_FOLDER.fullmatch(folder.name) for folder in folders if not removal_of(folder).exists())
    return sorted(int(match[1]) for match in found if match)


def removed_versions(root: Place, name: str) -> list[str]:
    """Labels of the versions of a set that retention removed, ascending."""
    return removed_labels(history_folder(root, name))


def read_versions(root: Place, name: str) -> Iterator[TrainingMetadata]:
    """Every whole version of a set, ascending; one that is removed meanwhile is left out.

    Raises:
        UnreadableError: the document of one is damaged.
    """
    for _, found in try_versions(root, name):
        if isinstance(found, UnreadableError):
            raise found
        yield found


def try_versions(root: Place, name: str) -> Iterator[tuple[int, TrainingMetadata | UnreadableError]]:
    """As `read_versions`, each with its number; one with a damaged document hides no other, its error stands for it."""
    numbers = set_versions(root, name)
    found = run_for(root)(lambda number: _read_unless_removed(root, name, number), numbers)
    yield from ((number, metadata) for number, metadata in zip(numbers, found, strict=True) if metadata is not None)


def read_metadata(root: Place, name: str, version: int | str | None = None) -> TrainingMetadata:
    """The metadata of a version; of the current one when None.

    Raises:
        NoDataError: there is no such set or version, or retention removed it; the text names those there are.
        UnreadableError: the document is damaged or of another set.
    """
    label = None if version is None else version_label(parse_version(version))
    folder = None if label is None else history_folder(root, name) / label
    path = pointer(root, name) if folder is None else folder / METADATA
    again = f"name the version that is to be current with `ticklake gold rollback {name} --to VERSION`"
    mend = again if folder is None else _FROM_COPY
    if folder is not None and (removed := read_removed(folder)) is not None:
        raise NoDataError(f"version {label} of training set {name!r} was {removed.told()}; {_have(root, name)}")
    try:
        metadata = _decode(path, TrainingMetadata, mend)
    except FileNotFoundError as error:
        if label is not None:
            raise NoDataError(f"training set {name!r} has no version {label}; {_have(root, name)}") from error
        known = ", ".join(set_names(root)) or "none"
        raise NoDataError(f"no training set {name!r} below {root / TRAINING}; there are: {known}") from error
    if metadata.format != FORMAT or metadata.dataset_name != name:
        raise UnreadableError(
            f"{path}: {metadata.format} of {metadata.dataset_name!r}, expected {FORMAT} of {name!r}; {mend}", path=path
        )
    return metadata


def _read_unless_removed(root: Place, name: str, number: int) -> TrainingMetadata | UnreadableError | None:
    try:
        return read_metadata(root, name, number)
    except UnreadableError as error:
        return error
    except NoDataError:
        if not removal_of(history_folder(root, name) / version_label(number)).exists():
            raise
        return None


def _have(root: Place, name: str) -> str:
    return f"there are: {', '.join(map(version_label, set_versions(root, name))) or 'none'}"


def read_sources(root: Place, metadata: TrainingMetadata) -> Sources:
    """Where the rows of a version come from.

    Raises:
        NoDataError: the document is gone.
        UnreadableError: it is damaged.
    """
    path = history_folder(root, metadata.dataset_name) / version_label(metadata.version) / SOURCES
    try:
        return _decode(path, Sources, _FROM_COPY)
    except FileNotFoundError as error:
        raise NoDataError(f"{path} is gone; restore it from a copy") from error


def iter_versions(root: Place) -> Iterator[TrainingMetadata]:
    """Every version of every set, in order of names and numbers."""
    for folder in sorted_places((root / HISTORY).glob("*")):
        if is_name(folder.name):
            yield from read_versions(root, folder.name)


def encode_struct(value: msgspec.Struct) -> bytes:
    """A document as indented JSON with a final line feed; equal values give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _decode(path: Place, kind: type[T], mend: str) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path}: {error}; {mend}", path=path) from error
