"""What two feature versions have in common, and what not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ticklake.silver.manifest import Manifest
from ticklake.silver.stage import Role


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """Version `a` against version `b`: `added` is in `b` only, `removed` in `a` only.

    Attributes:
        version_a: name of the older one.
        version_b: name of the newer one.
        features_added: feature columns of the signals.
        features_removed: the same.
        features_common: the same.
        columns_added: columns of any role, as `file.column`.
        columns_removed: the same.
        parameters_a: `stage.parameter`, `symbol`, `calendar` or `tables.frame` -> value, where the two differ; None
            where there is none.
        parameters_b: the same.
        dates_added: trading days.
        dates_removed: the same.
        rows_a: signals.
        rows_b: signals.
        same_code: whether both were built by the same code of the stages.
    """

    version_a: str
    version_b: str
    features_added: tuple[str, ...]
    features_removed: tuple[str, ...]
    features_common: tuple[str, ...]
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    parameters_a: Mapping[str, Any]
    parameters_b: Mapping[str, Any]
    dates_added: tuple[str, ...]
    dates_removed: tuple[str, ...]
    rows_a: int
    rows_b: int
    same_code: bool

    @property
    def counts(self) -> dict[str, int]:
        """How many features were added and removed, and are common."""
        return {
            "added": len(self.features_added),
            "removed": len(self.features_removed),
            "common": len(self.features_common),
        }


def compare_manifests(a: Manifest, b: Manifest) -> VersionComparison:
    """Compare the manifests of two complete versions. Pure."""
    features_a, features_b = _features(a), _features(b)
    columns_a, columns_b = _columns(a), _columns(b)
    parameters_a, parameters_b = _parameters(a), _parameters(b)
    changed = [
        key for key in dict.fromkeys([*parameters_a, *parameters_b]) if parameters_a.get(key) != parameters_b.get(key)
    ]
    rows_a, rows_b = a.built.rows if a.built else {}, b.built.rows if b.built else {}
    return VersionComparison(
        version_a=a.version,
        version_b=b.version,
        features_added=_without(features_b, features_a),
        features_removed=_without(features_a, features_b),
        features_common=tuple(name for name in features_a if name in features_b),
        columns_added=_without(columns_b, columns_a),
        columns_removed=_without(columns_a, columns_b),
        parameters_a={key: parameters_a.get(key) for key in changed},
        parameters_b={key: parameters_b.get(key) for key in changed},
        dates_added=_without(tuple(rows_b), tuple(rows_a)),
        dates_removed=_without(tuple(rows_a), tuple(rows_b)),
        rows_a=sum(rows_a.values()),
        rows_b=sum(rows_b.values()),
        same_code=a.built is not None and b.built is not None and a.built.code_hash == b.built.code_hash,
    )


def _features(manifest: Manifest) -> tuple[str, ...]:
    return tuple(entry.name for entry in manifest.columns.get("signals", []) if entry.role == Role.FEATURE)


def _columns(manifest: Manifest) -> tuple[str, ...]:
    return tuple(f"{file}.{entry.name}" for file, entries in manifest.columns.items() for entry in entries)


def _parameters(manifest: Manifest) -> dict[str, Any]:
    of_stages = {f"{stage}.{name}": value for stage, own in manifest.parameters.items() for name, value in own.items()}
    tables = {f"tables.{frame}": table for frame, table in manifest.tables.items()}
    return {"symbol": manifest.symbol, "calendar": manifest.calendar, **tables, **of_stages}


def _without(names: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in others)
