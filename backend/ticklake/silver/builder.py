"""SilverFeatureBuilder: feature versions as research code asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import CorruptError, NoDataError
from ticklake.files.place import Place
from ticklake.readers.lake import open_lake
from ticklake.readers.query import Day, day_of, days_of
from ticklake.readers.silver import SilverReader
from ticklake.schema.lookup import TableCatalog
from ticklake.silver.build import BuildOptions, Progress, build_version
from ticklake.silver.compare import VersionComparison, compare_manifests
from ticklake.silver.experiments import Experiment, ExperimentRegister
from ticklake.silver.folder import VersionFolder, version_folders
from ticklake.silver.inspection import Inspection, inspect_date
from ticklake.silver.manifest import Manifest, read_manifest
from ticklake.silver.record import DateRecord, VersionState, VersionStatus
from ticklake.silver.result import BuildResult


class SilverFeatureBuilder:
    """Builds, lists and loads feature versions of one lake. Any number of processes may use it at once."""

    def __init__(
        self, data_root: Place | str | None = None, *, tables: TableCatalog | None = None, clock: Clock | None = None
    ) -> None:
        """Use a lake.

        Args:
            data_root: a folder or `s3://bucket/prefix`; from the settings when None.
            tables: the catalog of tables; the built-in ones and those of the settings when None.
            clock: measures builds and stamps runs.
        """
        self._lake = open_lake(data_root, tables=tables)
        self._clock = clock or SystemClock()

    def build_feature_set(
        self,
        manifest: Manifest | Path | str,
        dates: Day | Iterable[Day] | None = None,
        force: bool = False,
        *,
        workers: int | None = None,
        scheduler: str | None = None,
        progress: Progress | None = None,
    ) -> BuildResult:
        """Build the dates of a version that are missing or stale; see `build.build_version` for errors.

        Args:
            manifest: what to build: a manifest, its YAML file, or the name of a version that was begun before.
            dates: trading days; all with bronze rows when None.
            force: build every date, stale or not.
            workers: processes on this machine, each with one Polars thread; None for what is fastest: this process
                for little work or one date, else one for each core that has 1.5 GiB of memory.
            scheduler: address of a Dask scheduler, `tcp://127.0.0.1:8786`; then the cluster's workers build.
            progress: told about each date.
        """
        days = days_of(dates)
        options = BuildOptions(force, workers, scheduler, progress, self._clock)
        return build_version(self._lake, self.find_manifest(manifest), None if days is None else sorted(days), options)

    def find_manifest(self, manifest: Manifest | Path | str) -> Manifest:
        """A manifest, that in a YAML file, or that of a version that was begun.

        Raises:
            NoDataError: there is neither such a file nor such a version.
            UsageError: the file is no manifest.
        """
        if isinstance(manifest, Manifest):
            return manifest
        if isinstance(manifest, Path) or manifest.endswith((".yaml", ".yml")):
            return read_manifest(Path(manifest))
        return self.get_manifest(manifest)

    def load_features(
        self,
        version: str,
        dates: Day | Iterable[Day] | None = None,
        *,
        table: str = "signals",
        columns: Iterable[str] | None = None,
    ) -> pl.DataFrame:
        """The rows of a complete version, in order of dates and time.

        Args:
            version: its name.
            dates: trading days; all when None.
            table: `signals`, `state` or `episodes`.
            columns: which; all when None.

        Raises:
            NoDataError: there is no such version, it is not complete, or a date is not part of it.
            RetryableError: it was built again meanwhile.
            CorruptError: a file is gone or damaged.
        """
        wanted = None if columns is None else list(columns)
        return SilverReader(self._lake.data_root).read(version, dates, table=table, columns=wanted)

    def list_versions(self, *, complete_only: bool = True) -> list[str]:
        """Names of the versions, in order; those still building, failed or damaged only when asked for."""
        return [folder.version for folder in version_folders(self._lake.data_root) if _is_listed(folder, complete_only)]

    def get_state(self, version: str) -> VersionState:
        """How far a version is.

        Raises:
            NoDataError: it was never begun.
        """
        return self._state(version)

    def get_records(self, version: str) -> list[DateRecord]:
        """What became of each date of a version, ascending.

        Raises:
            NoDataError: it was never begun.
        """
        self._state(version)
        return list(VersionFolder(self._lake.data_root, version).read_records().values())

    def get_manifest(self, version: str) -> Manifest:
        """The manifest of a version: with columns and what was built when it is complete, else as it was asked for.

        Raises:
            NoDataError: it was never begun.
        """
        folder = VersionFolder(self._lake.data_root, version)
        for path in (folder.manifest_path, folder.request_path):
            if path.is_file():
                return read_manifest(path)
        raise _unknown(version)

    def compare_versions(self, a: str, b: str) -> VersionComparison:
        """What version `b` has that `a` has not, and the other way round.

        Raises:
            NoDataError: one of them does not exist, or is not complete.
        """
        for version in (a, b):
            state = self._state(version)
            if state.state is not VersionStatus.COMPLETE:
                raise NoDataError(f"version {version} is {state.state}: {state.reason}; build it to the end first")
        return compare_manifests(self.get_manifest(a), self.get_manifest(b))

    def register_experiment(
        self,
        version: str,
        exp_id: str,
        status: str = "completed",
        metrics: Mapping[str, float] | None = None,
        model_path: str | None = None,
        notes: str = "",
        **details: Any,
    ) -> Experiment:
        """Write down an experiment on a version; all as in `ExperimentRegister.register`.

        Raises:
            NoDataError: there is no such version.
        """
        self._state(version)
        return self.experiments.register(
            version, exp_id, status=status, metrics=metrics, model_path=model_path, notes=notes, **details
        )

    @property
    def experiments(self) -> ExperimentRegister:
        """The register of experiments."""
        return ExperimentRegister(self._lake.data_root, clock=self._clock)

    def inspect(self, manifest: Manifest | Path | str, date: Day, **options: Any) -> Inspection:
        """Run one date stage by stage, without writing; options as in `inspection.inspect_date`."""
        return inspect_date(self._lake, self.find_manifest(manifest), day_of(date), clock=self._clock, **options)

    def _state(self, version: str) -> VersionState:
        state = VersionFolder(self._lake.data_root, version).read_state()
        if state is None:
            raise _unknown(version)
        return state


def _is_listed(folder: VersionFolder, complete_only: bool) -> bool:
    try:
        state = folder.read_state()
    except CorruptError:
        return not complete_only  # it hides no other; whoever asks for its state hears why
    return state is not None and (state.state is VersionStatus.COMPLETE or not complete_only)


def _unknown(version: str) -> NoDataError:
    return NoDataError(f"there is no feature version {version!r}; see `ticklake silver ls`")
