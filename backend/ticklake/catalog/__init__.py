"""The index: which datasets exist, which runs made what, under which rules, and what may be deleted.

    DataRegistry     datasets: files, lake tables, feature versions, training sets
    RunRegistry      executions: parameters, inputs with hashes, code, outcome, artifacts
    ArtifactRef      a saved file with its hash; save_dataframe, save_json, save_binary and their load twins
    RuleRegistry     versions of rules, never overwritten
    RunProvenance    snapshots by which a run can be repeated and its data verified
    Retention        what may go, and why not; dry run first

The truth is JSON documents below `catalog/`; every index may be deleted and is rebuilt.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ticklake.catalog.artifacts import (
        ArtifactRef,
        ArtifactStore,
        file_exists,
        load_binary,
        load_dataframe,
        load_json,
        save_binary,
        save_dataframe,
        save_json,
        verify,
    )
    from ticklake.catalog.datasets import DataRegistry
    from ticklake.catalog.entry import DatasetEntry
    from ticklake.catalog.provenance import RunProvenance
    from ticklake.catalog.retention import Retention
    from ticklake.catalog.rules import RuleRegistry, RuleVersionRegistry
    from ticklake.catalog.runs import RunRegistry
    from ticklake.files.errors import PersistentStoreError

_HOMES = {
    "ArtifactRef": "catalog.artifacts",
    "ArtifactStore": "catalog.artifacts",
    "DataRegistry": "catalog.datasets",
    "DatasetEntry": "catalog.entry",
    "PersistentStoreError": "files.errors",
    "Retention": "catalog.retention",
    "RuleRegistry": "catalog.rules",
    "RuleVersionRegistry": "catalog.rules",
    "RunProvenance": "catalog.provenance",
    "RunRegistry": "catalog.runs",
    "file_exists": "catalog.artifacts",
    "load_binary": "catalog.artifacts",
    "load_dataframe": "catalog.artifacts",
    "load_json": "catalog.artifacts",
    "save_binary": "catalog.artifacts",
    "save_dataframe": "catalog.artifacts",
    "save_json": "catalog.artifacts",
    "verify": "catalog.artifacts",
}

__all__ = [
    "ArtifactRef",
    "ArtifactStore",
    "DataRegistry",
    "DatasetEntry",
    "PersistentStoreError",
    "Retention",
    "RuleRegistry",
    "RuleVersionRegistry",
    "RunProvenance",
    "RunRegistry",
    "file_exists",
    "load_binary",
    "load_dataframe",
    "load_json",
    "save_binary",
    "save_dataframe",
    "save_json",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import a part on first use: the command line lists runs without loading Parquet."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"ticklake.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
