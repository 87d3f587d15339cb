"""GoldCurator: feature versions become training sets, and back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import NoDataError
from ticklake.catalog import training_sets as sets
from ticklake.catalog.runs import RunRegistry
from ticklake.files.errors import UnreadableError
from ticklake.files.place import Place, place_of
from ticklake.gold.experiments import best_experiment, read_experiments
from ticklake.gold.gates import GateLimits
from ticklake.gold.promotion import Promotion, Request, promote
from ticklake.gold.publish import held, make_current
from ticklake.gold.validation import DatasetValidation, validate
from ticklake.readers.gold import GoldReader
from ticklake.readers.place import find_place
from ticklake.readers.query import Day
from ticklake.readers.silver import SilverReader

DEFAULT_NAME = "signals_production"


class GoldCurator:
    """Promotes, checks and rolls back the training sets of one lake. Any number of processes may do so at once."""

    def __init__(
        self,
        data_root: str | os.PathLike[str] | None = None,
        *,
        limits: GateLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Use a lake.

        Args:
            data_root: its folder; from the settings when None.
            limits: what the soft gates demand; when None the defaults, and for validation what was demanded at the
                promotion.
            clock: stamps metadata and runs; never data.
        """
        self.data_root = find_place(None, None)[0] if data_root is None else place_of(data_root)
        self._limits = limits
        self._clock = clock or SystemClock()
        self._reader = GoldReader(self.data_root)

    def promote_to_training(
        self,
        silver_version: str,
        dataset_name: str = DEFAULT_NAME,
        notes: str = "",
        force: bool = False,
        dates: Day | Iterable[Day] | None = None,
    ) -> Promotion:
        """Make a feature version the current version of a training set, when every gate holds.

        Hard gates: complete, certificate, checks, checksums, schema, nulls, unique_keys, order. Soft ones: coverage,
        label_balance, minimum_rows. A refusal is a result, with the reason of each gate; nothing is written then.

        Args:
            silver_version: which feature version.
            dataset_name: the training set; made when it is new.
            notes: kept in the metadata.
            force: pass soft gates that fail, and make a new version even when the current one holds the same.
            dates: only these trading days; all when None.

        Raises:
            NoDataError: there is no such feature version, or it has not such a date.
            UsageError: the name of the training set is none.
            RetryableError: the feature version was built again meanwhile.
        """
        request = Request(silver_version, dataset_name, notes, force, dates)
        return promote(self.data_root, request, limits=self._limits or GateLimits(), clock=self._clock)

    def promote_best_experiment(
        self,
        metric: str,
        dataset_name: str = DEFAULT_NAME,
        *,
        lower_is_better: bool = False,
        notes: str = "",
        force: bool = False,
    ) -> Promotion:
        """Promote the feature version of the completed experiment with the best metric, among complete versions.

        Metrics are those of the features, else of the model. Of equals the first id wins. The notes name it.

        Raises:
            NoDataError: no experiment with a complete version has that metric; the text names the metrics there are.
            UnreadableError: the register is damaged.
        """
        complete = {version.name for version in SilverReader(self.data_root).list_versions(complete_only=True)}
        found = read_experiments(self.data_root)
        best, value = best_experiment(found, metric, complete, lower_is_better=lower_is_better)
        told = f"experiment {best.id}: {metric} = {value}"
        return self.promote_to_training(best.version, dataset_name, f"{told}; {notes}" if notes else told, force)

    def validate_dataset(self, dataset_name: str = DEFAULT_NAME, version: int | str | None = None) -> DatasetValidation:
        """Check a training set: bytes, metadata, and the gates again on its rows; `passed` plus every finding.

        Raises:
            NoDataError: there is no such set or version.
        """
        return validate(self.data_root, dataset_name, version, limits=self._limits)

    def rollback(self, dataset_name: str = DEFAULT_NAME, to: int | str | None = None) -> sets.TrainingMetadata:
        """Make an earlier (or any other) version current; gives its metadata. Copies one file, decodes no row.

        Args:
            dataset_name: the training set.
            to: the version; the one below the current one when None.

        Raises:
            NoDataError: there is no such set or version, none below the current one, or retention removed it; no run
                is recorded then.
            CorruptError: the version has lost its rows; the current one stays.
        """
        name = sets.check_name(dataset_name)
        _find_target(self.data_root, name, to)  # a typo is no run, and takes no lock
        runs = RunRegistry(self.data_root, clock=self._clock)
        run_id = runs.register_run("rollback", parameters={"dataset_name": name, "to": to})
        try:
            with held(self.data_root, name):
                metadata = make_current(self.data_root, name, _find_target(self.data_root, name, to))
        except BaseException as error:
            runs.fail(run_id, error)
            raise
        runs.finish(run_id, {"version": metadata.version, "silver_version": metadata.silver_version})
        return metadata

    def list_datasets(self) -> list[dict[str, Any]]:
        """The training sets, by name: current version, how many there are, rows, features, dates, feature version.

        Of a set whose pointer cannot be read only name, path and `damage` are told; `damage` is "" for the others.
        """
        return [self._line(name) for name in sets.set_names(self.data_root)]

    list_training_datasets = list_datasets

    def list_versions(self, dataset_name: str = DEFAULT_NAME) -> list[dict[str, Any]]:
        """Every whole version of a training set, ascending, and which is current; None when the pointer is damaged.

        Of a version whose metadata cannot be read, only its number is told, and in `damage` why.

        Raises:
            NoDataError: there is no such set.
        """
        try:
            current = sets.read_metadata(self.data_root, dataset_name).version
        except UnreadableError:
            current = None
        lines = []
        for number, found in sets.try_versions(self.data_root, dataset_name):
            is_current = None if current is None else number == current
            if isinstance(found, UnreadableError):
                lines.append({"version": number, "is_current": is_current, "damage": str(found)})
            else:
                lines.append({**found.to_dict(), "is_current": is_current, "damage": ""})
        return lines

    def get_dataset_metadata(
        self, dataset_name: str = DEFAULT_NAME, version: int | str | None = None
    ) -> dict[str, Any]:
        """What is known about a version, the current one when None; see `TrainingMetadata`. Raises NoDataError."""
        return self._reader.get_dataset_metadata(dataset_name, version)

    def load_training_data(
        self,
        dataset_name: str = DEFAULT_NAME,
        version: int | str | None = None,
        *,
        columns: Sequence[str] | None = None,
        roles: Sequence[str] | None = None,
        as_pandas: bool = False,
    ) -> Any:
        """The rows of a training set; see `GoldReader.load_training_data`."""
        return self._reader.load_training_data(dataset_name, version, columns=columns, roles=roles, as_pandas=as_pandas)

    def _line(self, name: str) -> dict[str, Any]:
        path = str(sets.current_data(self.data_root, name))
        try:
            metadata = sets.read_metadata(self.data_root, name)
        except UnreadableError as error:
            return {"name": name, "path": path, "damage": str(error)}
        return {
            "name": name,
            "version": metadata.version,
            "versions": len(sets.set_versions(self.data_root, name)),
            "silver_version": metadata.silver_version,
            "signal_count": metadata.signal_count,
            "feature_count": metadata.feature_count,
            "start_date": _text(metadata.date_range.start),
            "end_date": _text(metadata.date_range.end),
            "created_at": metadata.created_at,
            "forced": metadata.forced,
            "path": path,
            "damage": "",
        }


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _find_target(root: Place, name: str, to: int | str | None) -> int:
    """The number of the version that a rollback means. Raises NoDataError."""
    number = _version_below(root, name) if to is None else sets.parse_version(to)
    return sets.read_metadata(root, name, number).version


def _version_below(root: Place, name: str) -> int:
    current = sets.read_metadata(root, name).version
    below = [number for number in sets.set_versions(root, name) if number < current]
    if not below:
        label = sets.version_label(current)
        gone = [removed for removed in sets.removed_versions(root, name) if removed < label]
        told = f" ({', '.join(gone)} removed by retention)" if gone else ""
        raise NoDataError(f"training set {name!r} has no version below {label}{told}; name one with --to")
    return below[-1]
