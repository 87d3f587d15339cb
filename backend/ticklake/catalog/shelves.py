"""The datasets that register themselves: lake tables, feature versions and training sets, found by their folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ticklake.catalog.feature_versions import COMPLETE, state_of
from ticklake.files.place import Place, sorted_places
from ticklake.files.trees import list_folders
from ticklake.schema.partition import partition_folder

_TIERS: Final = ("bronze", "gold")
_DEPTH_MAX: Final = 4  # tier/market/table is the deepest declared; one more for user tables
_TRAINING: Final = Path("gold/training")
_FEATURES: Final = Path("silver/features")
_NO_TABLES: Final = (_TRAINING, Path("gold/history"))  # training sets and their older versions
_INSTRUMENT_KEYS: Final = ("symbol", "underlying")


@dataclass(frozen=True, slots=True)
class ShelfDataset:
    """A dataset that is there because its files are.

    Attributes:
        name: its folder or file below the data root, without suffix: `bronze/futures/trades`.
        path: absolute.
        table: name as in SQL (`futures.trades`, `levels.signals`); None when it is no table.
        kind: `lake_table`, `feature_version` or `training_set`.
    """

    name: str
    path: Place
    table: str | None
    kind: str

    def has_instrument(self, instrument: str) -> bool:
        """Whether a lake table has a partition for that symbol or underlying."""
        return any((self.path / partition_folder({key: instrument})).is_dir() for key in _INSTRUMENT_KEYS)


def find_shelf_datasets(root: Place) -> list[ShelfDataset]:
    """What lies in bronze, silver and gold below the data root, in order of names; opens no data file."""
    found = [dataset for tier in _TIERS for dataset in _lake_tables(root, Path(tier), 1)]
    found += [
        ShelfDataset(f"{_FEATURES}/{path.name}", path, None, "feature_version")
        for path in list_folders(root / _FEATURES)
        if _is_feature_version(path)
    ]
    found += [
        ShelfDataset(f"{_TRAINING}/{path.stem}", path, None, "training_set")
        for path in sorted_places((root / _TRAINING).glob("[!.]*.parquet"))
    ]
    return sorted(found, key=lambda dataset: dataset.name)


def _lake_tables(root: Place, folder: Place, depth: int) -> Iterator[ShelfDataset]:
    """A table is the folder whose children are partitions (`key=value`)."""
    below = list_folders(root / folder)
    if any("=" in path.name for path in below):
        yield ShelfDataset(str(folder), root / folder, ".".join(folder.parts[1:]), "lake_table")
    elif depth < _DEPTH_MAX and folder not in _NO_TABLES:
        for path in below:
            yield from _lake_tables(root, folder / path.name, depth + 1)


def _is_feature_version(folder: Place) -> bool:
    """Whether a folder holds a version that may be read: one with a manifest, and complete where it tells its state."""
    if not (folder / "manifest.yaml").is_file():
        return False
    return not (folder / "state.json").is_file() or state_of(folder).state == COMPLETE
