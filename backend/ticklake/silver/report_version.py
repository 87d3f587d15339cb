"""What a report tells of: everything that is known of a version, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import polars as pl

from ticklake.base.errors import CorruptError, NoDataError, UsageError
from ticklake.files.engines import scan_files
from ticklake.files.place import Place
from ticklake.silver.folder import VersionFolder
from ticklake.silver.manifest import ColumnEntry, Manifest, read_manifest
from ticklake.silver.recipe import resolve
from ticklake.silver.record import DateRecord, DateStatus, VersionState, VersionStatus
from ticklake.silver.validation import Validation, read_validation

SIGNALS: Final = "signals"
TIME: Final = "ts_event_ns"


@dataclass(frozen=True, slots=True)
class ReportedVersion:
    """All that is known of a version.

    Attributes:
        state: of the version.
        manifest: the finished one, or the request where there is none.
        validation: checks and certificate; None when the build failed before them.
        records: of its dates, ascending.
        frames: date -> signals, of built dates.
        rows: signals of all dates.
        declared: columns that the signals have, or would have; () when that cannot be told.
        undeclared: why columns that the files may have are not among `declared`; "" when all are.
    """

    state: VersionState
    manifest: Manifest
    validation: Validation | None
    records: Sequence[DateRecord]
    frames: Mapping[str, pl.DataFrame]
    rows: pl.DataFrame
    declared: Sequence[ColumnEntry]
    undeclared: str = ""

    @property
    def name(self) -> str:
        """Name of the version."""
        return self.manifest.version

    def columns(self, role: str) -> list[ColumnEntry]:
        """Declared columns of one role."""
        return [entry for entry in self.declared if entry.role == role]

    def drawn(self, role: str) -> list[ColumnEntry]:
        """Those of them that the files have."""
        there = set(self.rows.columns)
        return [entry for entry in self.columns(role) if entry.name in there]

    @property
    def spans_ns(self) -> dict[str, tuple[int, int]]:
        """Date -> times of its first and last event, ns UTC."""
        timed = {day: frame[TIME] for day, frame in self.frames.items() if TIME in frame.columns and frame.height}
        return {day: (times.item(times.arg_min()), times.item(times.arg_max())) for day, times in timed.items()}


def load_version(root: Place, version: str) -> ReportedVersion:
    """Read a version, complete or failed.

    Raises:
        NoDataError: there is no such version, or its build is under way or was killed.
        CorruptError: one of its documents or files is damaged.
    """
    folder = VersionFolder(root, version)
    state = folder.read_state()
    if state is None:
        raise NoDataError(f"there is no version {version!r} below {root}; see `ticklake silver ls`")
    if state.state is VersionStatus.BUILDING:
        raise NoDataError(
            f"version {version} is not built to the end ({state.reason}); wait for that build, or build it again, then "
            "look at its report"
        )
    manifest = read_manifest(folder.manifest_path if folder.manifest_path.exists() else folder.request_path)
    records = list(folder.read_records().values())
    built = [record.date for record in records if record.status is DateStatus.BUILT]
    paths = {date: folder.data_path(date, f"{SIGNALS}.parquet") for date in built}
    if missing := [path for path in paths.values() if not path.is_file()]:
        raise CorruptError(f"{missing[0]} is gone, but its record says that it was built; build the version again")
    frames = {date: _rows(path) for date, path in paths.items()}
    rows = pl.concat(list(frames.values()), how="vertical_relaxed") if frames else pl.DataFrame()
    validation = _validation(folder, state)
    return ReportedVersion(state, manifest, validation, records, frames, rows, *_declared(manifest))


def load_parent(root: Place, parent: str | None) -> tuple[ReportedVersion | None, str]:
    """The parent version when it is complete, else None and why not."""
    if not parent:
        return None, "This version has no parent version to compare with."
    state = VersionFolder(root, parent).read_state()
    if state is None or state.state is not VersionStatus.COMPLETE:
        return None, f"The parent version {parent} is {'gone' if state is None else state.state}: no comparison."
    return load_version(root, parent), ""


def _validation(folder: VersionFolder, state: VersionState) -> Validation | None:
    """A build whose dates fail ends before its checks."""
    if state.state is VersionStatus.FAILED and not folder.validation_path.exists():
        return None
    return read_validation(folder.validation_path)


def _rows(path: Place) -> pl.DataFrame:
    try:
        return scan_files([path]).collect()
    except pl.exceptions.PolarsError as error:
        raise CorruptError(f"{path} cannot be read ({error}); build the version again") from error


def _declared(manifest: Manifest) -> tuple[list[ColumnEntry], str]:
    """Columns of the signals. A request names none: those of the package's own stages, as they are now.

    A report runs nobody's code, so columns of other stages are unknown until a build has written them down.
    """
    if manifest.columns:
        return manifest.columns.get(SIGNALS, []), ""
    own = [stage for stage in manifest.stages if isinstance(stage, str)]
    try:
        recipe = resolve(msgspec.structs.replace(manifest, stages=own))
    except UsageError as error:
        return [], f"Columns are written down when a version is complete, and this one cannot be resolved: {error}."
    others = len(manifest.stages) - len(own)
    note = "Columns of stages that are not part of the package are shown when the version is complete."
    return recipe.column_entries.get(SIGNALS, []), note if others else ""
