"""Which UTC dates a table has data for, from its folders alone."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from ticklake.base.errors import UsageError
from ticklake.readers.listing import has_files
from ticklake.readers.relation import Relation
from ticklake.schema.partition import partition_folder


def available_dates(root: Path, relation: Relation, value: str | None = None) -> list[date]:
    """Dates with at least one data file, ascending; empty when there is none.

    Args:
        root: the data root.
        relation: the table.
        value: one value of the instrument partition (`ES`); all of them when None.

    Raises:
        UsageError: the table has no instrument partition, or no dates.
    """
    if "date" not in relation.keys:
        raise UsageError(f"{relation.name} is not partitioned by date; read it and look at its times")
    if value is not None and relation.value_key is None:
        raise UsageError(f"{relation.name} is not partitioned by symbol; ask for its dates without one")
    base = root / relation.folder
    before = relation.keys[: relation.keys.index("date")]
    below = relation.keys[len(before) + 1 :]
    parents = [base]
    for key in before:
        name = partition_folder({key: value}) if value is not None and key == relation.value_key else None
        parents = [child for parent in parents for child in _folders(parent) if name is None or child.name == name]
    folders = [child for parent in parents for child in _folders(parent) if child.name.startswith("date=")]
    return sorted({date.fromisoformat(folder.name[5:]) for folder in folders if has_files(folder, below)})


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
