"""Which UTC dates a table has data for, from its folders alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from ticklake.base.errors import UsageError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.files.side_by_side import run_for
from ticklake.readers.listing import has_files
from ticklake.readers.listing_objects import object_folders
from ticklake.readers.relation import Relation
from ticklake.schema.partition import partition_folder


def available_dates(root: Place, relation: Relation, value: str | None = None) -> list[date]:
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
    before = relation.keys[: relation.keys.index("date")]
    below = relation.keys[len(before) + 1 :]
    run = run_for(root)
    parents: list[Place] = [root / relation.folder]
    for key in before:
        name = partition_folder({key: value}) if value is not None and key == relation.value_key else None
        parents = [child for found in run(_folders, parents) for child in found if name is None or child.name == name]
    folders = [child for found in run(_folders, parents) for child in found if child.name.startswith("date=")]
    has_data = run(lambda folder: has_files(folder, below), folders)
    return sorted({date.fromisoformat(folder.name[5:]) for folder, has in zip(folders, has_data, strict=True) if has})


def _folders(place: Place) -> Sequence[Place]:
    if isinstance(place, ObjectPath):
        return object_folders(place)
    try:
        with os.scandir(place) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
