"""The register of experiments: which feature version was tried for what, and how well it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import CorruptError, UsageError
from ticklake.files.atomic import locked, replace
from ticklake.files.errors import NotStoredError
from ticklake.files.place import Place
from ticklake.silver.folder import FEATURES

FORM: Final = "ticklake.experiments/1"


class ExperimentStatus(StrEnum):
    """How far an experiment came."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    ARCHIVED = "archived"


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One experiment on one feature version; `created_at` is UTC, ISO text."""

    id: str
    version: str
    created_at: str
    status: ExperimentStatus = ExperimentStatus.COMPLETED
    metrics: dict[str, float] = {}
    parent: str | None = None
    tags: list[str] = []
    notes: str = ""
    model_path: str | None = None
    model_metrics: dict[str, float] = {}


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    experiments: list[Experiment]
    format: str = FORM


class ExperimentRegister:
    """Experiments below `{root}/silver/features/experiments.json`. Any number of processes may use it at once."""

    def __init__(self, root: Place, *, clock: Clock | None = None) -> None:
        """Use the register of a data root, made with the first experiment."""
        self.path = root / FEATURES / "experiments.json"
        self._clock = clock or SystemClock()

    def register(
        self,
        version: str,
        exp_id: str,
        *,
        status: ExperimentStatus | str = ExperimentStatus.COMPLETED,
        metrics: Mapping[str, float] | None = None,
        model_path: str | None = None,
        notes: str = "",
        parent: str | None = None,
        tags: Sequence[str] = (),
        model_metrics: Mapping[str, float] | None = None,
    ) -> Experiment:
        """Write down an experiment; one of the same id is replaced and keeps its time of creation.

        Raises:
            UsageError: an empty id, or no such status.
            CorruptError: the register is damaged.
        """
        if not exp_id:
            raise UsageError("an experiment needs an id that is not empty")
        if status not in list(ExperimentStatus):
            raise UsageError(f"no status {status!r}; choose one of {', '.join(ExperimentStatus)}")
        now = datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC).isoformat()
        with locked(self.path):
            known = {item.id: item for item in self.all()}
            created = known[exp_id].created_at if exp_id in known else now
            made = Experiment(
                exp_id, version, created, ExperimentStatus(status), dict(metrics or {}), parent, list(tags), notes,
                model_path, dict(model_metrics or {}),
            )  # fmt: skip
            known[exp_id] = made
            content = msgspec.json.encode(_Document(list(known.values())))
            replace(self.path, msgspec.json.format(content, indent=2) + b"\n")
        return made

    def all(self) -> list[Experiment]:
        """Every experiment, in the order they were registered first.

        Raises:
            CorruptError: the register is damaged.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=_Document).experiments
        except FileNotFoundError:
            return []
        except msgspec.MsgspecError as error:
            raise CorruptError(f"{self.path}: {error}; restore it from a copy") from error

    def get(self, exp_id: str) -> Experiment:
        """The experiment of an id.

        Raises:
            NotStoredError: there is none.
        """
        found = next((item for item in self.all() if item.id == exp_id), None)
        if found is None:
            raise NotStoredError(f"experiment {exp_id!r} is not registered; register it first", path=self.path)
        return found
