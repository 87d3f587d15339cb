"""Who needs which file: runs by inputs and artifacts, datasets by their places, silver and gold by their records.

Feature versions and versions of training sets go as a whole: whoever needs a file in one needs all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.run_record import RunRecord
from ticklake.catalog.training_sets import PROMOTION, iter_versions, version_label
from ticklake.files.documents import decode_document
from ticklake.files.errors import UnreadableError
from ticklake.files.names import safe_name
from ticklake.files.place import Place, sorted_places

FEATURES: Final = "silver/features"
_POINTERS: Final = "gold/training/*_metadata.json"
_WHOLE: Final = re.compile(r"(silver/features/[^/]+|gold/history/[^/]+/v\d+)/.+")


def find_references(root: Place, runs: Sequence[RunRecord]) -> dict[str, str]:
    """Place of a file or folder, relative to the root -> who needs it.

    Raises:
        CorruptError: something that may reference files cannot be read; delete nothing then.
    """
    found = dict(_needed_by_features(root))
    places = DataRegistry.of_lake(root).places()
    # A table and a feature version are datasets because they lie there: that alone is no need for each of their files.
    found.update({_whole(path): f"dataset {name}" for name, path in places.items() if path != name})
    found.update({path: f"dataset {name}" for name, path in places.items() if path != name})
    found.update(_needed_by_runs(root, runs))
    found.update(_needed_by_gold(root))
    for run in runs:
        found.update({item.path: f"input of run {run.run_id}" for item in run.inputs})
        found.update({ref.path: f"artifact of run {run.run_id}" for ref in run.artifacts})
        if run.parent:
            found[run_path(run.parent)] = f"parent of run {run.run_id}"
        made = [name for name in run.datasets if not _is_removed_version(root, name)]
        if made:
            found[run_path(run.run_id)] = f"made dataset {made[0]}"
    return found


def run_path(run_id: str) -> str:
    """Where the record of a run lies, relative to the root."""
    return f"catalog/runs/{safe_name(run_id)}.json"


def _needed_by_features(root: Place) -> Iterator[tuple[str, str]]:
    """Lake files that a feature version was built from, as the records of its dates say."""
    for path in sorted_places((root / FEATURES).glob("*/records/*.json")):
        version, day = path.parent.parent.name, path.stem
        for item in _read(path).get("inputs") or ():
            if not isinstance(item, dict) or not isinstance(item.get("path"), str):
                raise UnreadableError(f"{path}: an input without a path; restore the record, or build again", path=path)
            yield item["path"], f"input of features {version}, {day}"


def _needed_by_runs(root: Place, runs: Sequence[RunRecord]) -> Iterator[tuple[str, str]]:
    """Whole versions that a run read from: by the path, or by the bytes of the rows under whatever name.

    A promotion needs its feature version only as long as there is the version that it made: that says so itself.
    """
    by_bytes = {item.data.sha256: item.data.path for item in iter_versions(root)}
    for run in runs:
        for item in run.inputs if run.kind != PROMOTION else ():
            for path in (item.path, by_bytes.get(item.sha256, item.path)):
                yield _whole(path), f"input of run {run.run_id}"


def _needed_by_gold(root: Place) -> Iterator[tuple[str, str]]:
    """Feature versions that a training set was promoted from: any version of it, then the current one."""
    for version in iter_versions(root):
        who = f"training set {version.dataset_name}@{version_label(version.version)}"
        yield f"{FEATURES}/{version.silver_version}", who
    for path in sorted_places(root.glob(_POINTERS)):
        metadata = _read(path)
        name = metadata.get("dataset_name") or path.stem.removesuffix("_metadata")
        if isinstance(metadata.get("silver_version"), str):
            yield f"{FEATURES}/{metadata['silver_version']}", f"training set {name}"


def _is_removed_version(root: Place, dataset: str) -> bool:
    """Whether a run made a feature version that is no longer there; its record is then of no more use than others."""
    return dataset.startswith(f"{FEATURES}/") and not (root / dataset).exists()


def _whole(path: str) -> str:
    """The version that a path lies in; the path itself when it lies in none."""
    found = _WHOLE.fullmatch(path)
    return path if found is None else found[1]


def _read(path: Place) -> dict[str, Any]:
    value = decode_document(path.read_bytes(), path=str(path))
    if not isinstance(value, dict):
        raise UnreadableError(f"{path} holds no object; restore it", path=path)
    return value
