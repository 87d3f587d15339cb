"""Who needs which file: runs by inputs and artifacts, datasets by their places, silver and gold by their records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.run_record import RunRecord
from ticklake.files.documents import decode_document
from ticklake.files.errors import UnreadableError
from ticklake.files.names import safe_name

FEATURES: Final = "silver/features"
_GOLD_METADATA: Final = ("gold/training/*_metadata.json", "gold/history/*/*/metadata.json")


def find_references(root: Path, runs: Sequence[RunRecord]) -> dict[str, str]:
    """Path of a file or folder, relative to the root -> who needs it.

    Raises:
        CorruptError: something that may reference files cannot be read; delete nothing then.
    """
    found = dict(_needed_by_features(root))
    found.update(_needed_by_gold(root))
    places = DataRegistry.of_lake(root).places()
    # A table and a feature version are datasets because they lie there: that alone is no need for each of their files.
    found.update({path: f"dataset {name}" for name, path in places.items() if path != name})
    for run in runs:
        found.update({item.path: f"input of run {run.run_id}" for item in run.inputs})
        found.update({ref.path: f"artifact of run {run.run_id}" for ref in run.artifacts})
        if run.parent:
            found[run_path(run.parent)] = f"parent of run {run.run_id}"
    found.update({run_path(run.run_id): f"made dataset {run.datasets[0]}" for run in runs if run.datasets})
    return found


def run_path(run_id: str) -> str:
    """Where the record of a run lies, relative to the root."""
    return f"catalog/runs/{safe_name(run_id)}.json"


def _needed_by_features(root: Path) -> Iterator[tuple[str, str]]:
    """Lake files that a feature version was built from, as the records of its dates say."""
    for path in sorted((root / FEATURES).glob("*/records/*.json")):
        version, day = path.parent.parent.name, path.stem
        for item in _read(path).get("inputs") or ():
            if not isinstance(item, dict) or not isinstance(item.get("path"), str):
                raise UnreadableError(f"{path}: an input without a path; restore the record, or build again", path=path)
            yield item["path"], f"input of features {version}, {day}"


def _needed_by_gold(root: Path) -> Iterator[tuple[str, str]]:
    """Feature versions that a training set was promoted from."""
    for pattern in _GOLD_METADATA:
        for path in sorted(root.glob(pattern)):
            metadata = _read(path)
            name = metadata.get("dataset_name") or path.stem.removesuffix("_metadata")
            if isinstance(metadata.get("silver_version"), str):
                yield f"{FEATURES}/{metadata['silver_version']}", f"training set {name}"


def _read(path: Path) -> dict[str, Any]:
    value = decode_document(path.read_bytes(), path=str(path))
    if not isinstance(value, dict):
        raise UnreadableError(f"{path} holds no object; restore it", path=path)
    return value
