"""Training sets and feature versions in the lineage: down to bronze files and sequences, and up again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Final

import pyarrow.parquet as pq

from ticklake.base.errors import NoDataError
from ticklake.base.words import count
from ticklake.catalog.feature_versions import (
    BUILT,
    COMPLETE,
    FEATURES,
    LakeFile,
    data_path,
    read_records,
    read_state,
    version_names,
)
from ticklake.catalog.lineage_gone import Gone
from ticklake.catalog.lineage_step import LineageStep, Places, covers, stream_steps
from ticklake.catalog.training_removed import RemovedVersion, read_removed
from ticklake.catalog.training_sets import (
    HISTORY,
    TRAINING,
    SourceDate,
    TrainingMetadata,
    history_folder,
    iter_versions,
    parse_version,
    read_metadata,
    read_sources,
    set_names,
    version_label,
)
from ticklake.files.engines import source_of
from ticklake.files.place import Place
from ticklake.files.side_by_side import run_for
from ticklake.lake.ledger import LedgerEntry

_SIGNALS: Final = "signals.parquet"
_TABLE_END: Final = re.compile(r"/[^/=]+=")


@dataclass(frozen=True, slots=True)
class Use:
    """Something made from bronze or silver files.

    Attributes:
        kind: `feature_version` or `training_set`.
        name: of the feature version or the training set.
        version: number of the training set's version; None for a feature version.
        is_current: whether it is what people read now: the current version, or a complete feature version.
        dates: trading days that used one of the files.
        files: those files, relative to the data root.
    """

    kind: str
    name: str
    version: int | None
    is_current: bool
    dates: tuple[date, ...]
    files: tuple[str, ...]


def find_set(root: Place, name: str) -> TrainingMetadata | None:
    """The training set version that a name means: `x`, `gold/training/x`, `x@3`, a path in its history; else None.

    Raises:
        NoDataError: there is such a set, but not that version.
    """
    base, version = _set_and_version(name)
    if base in set_names(root):
        return read_metadata(root, base, version or None)
    return None


def find_removed(root: Place, name: str) -> RemovedVersion | None:
    """The version that a name means, as for `find_set`, when retention removed it; else None."""
    base, version = _set_and_version(name)
    if not version or base not in set_names(root):
        return None
    return read_removed(history_folder(root, base) / version_label(parse_version(version)))


def removed_steps(removed: RemovedVersion, depth: int) -> Iterator[LineageStep]:
    """What is still known of a version of a training set that retention removed."""
    label = f"{removed.dataset_name}@{version_label(removed.version)}"
    held = f"{removed.path}, {count(removed.rows, 'row')}, sha256 {removed.sha256[:12]}"
    yield LineageStep(depth, "version", label, f"{held}, retired {removed.removed_at} ({removed.reason})")
    yield LineageStep(depth + 1, "dataset", f"{FEATURES}/{removed.silver_version}", "")


def _set_and_version(name: str) -> tuple[str, str]:
    path = PurePosixPath(name)
    if path.is_relative_to(HISTORY) and len(path.parts) >= 4:
        return path.parts[2], path.parts[3]
    base, _, version = name.removeprefix(f"{TRAINING}/").removesuffix(".parquet").partition("@")
    return base, version


def find_version(root: Place, name: str) -> tuple[str, str | None] | None:
    """Feature version and date that a name means: `v1`, `silver/features/v1`, or a path below it; else None."""
    text = name.removeprefix(f"{FEATURES}/")
    version, _, rest = text.partition("/")
    if version not in version_names(root):
        return None
    day = rest.partition("/")[0].removeprefix("date=")
    return version, day or None


def set_steps(
    root: Place, metadata: TrainingMetadata, places: Places, gone: Gone, depth: int, *, files: bool
) -> Iterator[LineageStep]:
    """From a version of a training set down to the stream; what silver was then, not what it is now."""
    label = f"{metadata.dataset_name}@{version_label(metadata.version)}"
    yield LineageStep(depth, "version", label, f"{metadata.data.path}, {count(metadata.signal_count, 'row')}, sha256 "
                      f"{metadata.data.sha256[:12]}")  # fmt: skip
    silver = f"{FEATURES}/{metadata.silver_version}"
    yield LineageStep(depth + 1, "dataset", silver, _joined(f"{count(len(metadata.dates), 'date')}", gone.told(silver)))
    for source in read_sources(root, metadata).dates:
        yield from _date_steps(source, places, gone, depth + 2, files=files)


def version_steps(
    root: Place, version: str, day: str | None, places: Places, gone: Gone, depth: int, *, files: bool
) -> Iterator[LineageStep]:
    """From a feature version, or one of its dates, down to the stream."""
    state = read_state(root, version)
    if day is None:
        yield LineageStep(depth, "dataset", f"{FEATURES}/{version}", state.state)
    for source in version_sources(root, version):
        if day is None or source.date.isoformat() == day:
            yield from _date_steps(source, places, gone, depth + (day is None), files=files)


def version_sources(root: Place, version: str) -> list[SourceDate]:
    """The built dates of a feature version with the bronze files they were made from."""
    return [
        SourceDate(
            record.date,
            LakeFile(data_path(version, record.date, _SIGNALS), file.rows, file.bytes, file.sha256),
            record.inputs,
        )
        for record in read_records(root, version)
        if record.status == BUILT and (file := record.file(_SIGNALS)) is not None
    ]


def find_uses(root: Place, paths: Iterable[str]) -> list[Use]:
    """Feature versions, then training sets with every version, that were made from any of the files or folders.

    A feature version is made from bronze, a training set from silver and so from bronze.

    Args:
        root: the data root.
        paths: files or folders, relative to it.
    """
    wanted = _matcher(list(paths))
    found = []
    for name in version_names(root):
        is_complete = read_state(root, name).state == COMPLETE
        read = [(source.date, source.bronze) for source in version_sources(root, name)]
        found.append(_use("feature_version", name, None, is_complete, read, wanted))
    current = {name: read_metadata(root, name).version for name in set_names(root)}
    for metadata in iter_versions(root):
        name, version = metadata.dataset_name, metadata.version
        read = [(source.date, (source.silver, *source.bronze)) for source in read_sources(root, metadata).dates]
        found.append(_use("training_set", name, version, current.get(name) == version, read, wanted))
    return [use for use in found if use.files]


def files_with_sequence(
    root: Place, ledger: Iterable[LedgerEntry], sequence: int, stream: str | None = None
) -> list[str]:
    """The lake files that hold rows of one stream sequence, in any life of the stream; sorted.

    A file that is gone from its place cannot be asked and counts when its ledger entry covers the sequence.

    Raises:
        NoDataError: no committed segment covers the sequence.
    """
    entries = [
        entry
        for entry in ledger
        if (stream is None or entry.stream == stream)
        and entry.first_seq is not None
        and entry.last_seq is not None
        and entry.first_seq <= sequence <= entry.last_seq
    ]
    if not entries:
        where = f"stream {stream}" if stream else "any stream"
        raise NoDataError(f"sequence {sequence} of {where} is in no committed segment; see `ticklake verify`")
    paths = sorted({file.path for entry in entries for file in entry.files})
    asked = run_for(root)(lambda path: _holds(root / path, sequence), paths)
    return [path for path, holds in zip(paths, asked, strict=True) if holds]


def _holds(path: Place, sequence: int) -> bool:
    if not path.exists():
        return True
    with pq.ParquetFile(source_of(path)) as file:
        if "stream_seq" not in file.schema_arrow.names:
            return True
    wanted = [("stream_seq", "=", sequence)]
    rows = pq.read_table(source_of(path), columns=["stream_seq"], filters=wanted, partitioning=None)
    return bool(rows.num_rows)


def _date_steps(source: SourceDate, places: Places, gone: Gone, depth: int, *, files: bool) -> Iterator[LineageStep]:
    silver = source.silver
    told = f"{silver.path}, {count(silver.rows, 'row')}, sha256 {silver.sha256[:12]}"
    yield LineageStep(depth, "date", source.date.isoformat(), _joined(told, gone.told(silver.path)))
    if files:
        for file in source.bronze:
            told = f"{count(file.rows, 'row')}, sha256 {file.sha256[:12]}"
            yield LineageStep(depth + 1, "file", file.path, _joined(told, gone.told(file.path)))
            yield from stream_steps([file.path], places, depth + 2)
        return
    tables: dict[str, list[LakeFile]] = {}
    for file in source.bronze:
        tables.setdefault(_TABLE_END.split(file.path, maxsplit=1)[0], []).append(file)
    for table, members in sorted(tables.items()):
        paths = [file.path for file in members]
        told = f"{count(len(members), 'file')}, {count(sum(file.rows for file in members), 'row')}{gone.count(paths)}"
        yield LineageStep(depth + 1, "table", table, told)
        yield from stream_steps(paths, places, depth + 2)


def _joined(*texts: str) -> str:
    return ", ".join(text for text in texts if text)


def _matcher(paths: Sequence[str]) -> Callable[[str], bool]:
    exact = frozenset(paths)
    folders = [path for path in paths if not path.endswith(".parquet")]
    return lambda path: path in exact or any(covers(folder, path) for folder in folders)


def _use(
    kind: str, name: str, version: int | None, is_current: bool, read: Iterable[tuple[date, tuple[LakeFile, ...]]],
    wanted: Callable[[str], bool],
) -> Use:  # fmt: skip
    hits = [(day, file.path) for day, files in read for file in files if wanted(file.path)]
    dates, paths = tuple(sorted({day for day, _ in hits})), tuple(sorted({path for _, path in hits}))
    return Use(kind, name, version, is_current, dates, paths)
