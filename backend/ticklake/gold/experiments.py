"""The register of experiments, read to find the best one."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from ticklake.base.errors import NoDataError
from ticklake.catalog.feature_versions import FEATURES
from ticklake.files.errors import UnreadableError
from ticklake.files.place import Place

_COMPLETED: Final = "completed"


class Experiment(msgspec.Struct, frozen=True):
    """What the register says about one experiment, as far as promotion asks.

    Attributes:
        id: its name.
        version: the feature version it was made with.
        status: only `completed` ones count.
        metrics: name -> value, of the features.
        model_metrics: the same, of the model.
    """

    id: str
    version: str
    status: str = _COMPLETED
    metrics: dict[str, float | None] = {}
    model_metrics: dict[str, float | None] = {}

    def value(self, metric: str) -> float | None:
        """A metric of the features or else of the model; None when it is missing or not finite."""
        found = self.metrics.get(metric, self.model_metrics.get(metric))
        return found if found is not None and math.isfinite(found) else None


class _Register(msgspec.Struct, frozen=True):
    experiments: tuple[Experiment, ...]


def read_experiments(root: Place) -> tuple[Experiment, ...]:
    """Every registered experiment.

    Raises:
        NoDataError: none was ever registered.
        UnreadableError: the register is damaged.
    """
    path = root / FEATURES / "experiments.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Register).experiments
    except FileNotFoundError as error:
        raise NoDataError(
            f"no experiment is registered in {path}; see SilverFeatureBuilder.register_experiment"
        ) from error
    except msgspec.MsgspecError as error:
        raise UnreadableError(f"{path}: {error}; restore it from a copy", path=path) from error


def best_experiment(
    experiments: Iterable[Experiment], metric: str, complete: Collection[str], *, lower_is_better: bool
) -> tuple[Experiment, float]:
    """The completed experiment with the best value of a metric and a complete version; of equals the first id wins.

    Raises:
        NoDataError: there is none; the text names the metrics there are.
    """
    known = list(experiments)
    usable = [
        (value, item)
        for item in known
        if item.status == _COMPLETED and item.version in complete and (value := item.value(metric)) is not None
    ]
    if not usable:
        metrics = ", ".join(sorted({name for item in known for name in (*item.metrics, *item.model_metrics)})) or "none"
        raise NoDataError(
            f"no completed experiment of a complete version has the metric {metric!r}; metrics: {metrics}"
        )
    sign = 1 if lower_is_better else -1
    value, best = min(usable, key=lambda pair: (sign * pair[0], pair[1].id))
    return best, value
