"""The dataset registry: register, find, describe, refresh, retire, remove."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import CorruptError, UsageError
from ticklake.catalog.document_folder import Document, DocumentFolder
from ticklake.catalog.entry import DatasetEntry, FrameStats, Lifecycle
from ticklake.catalog.shelves import ShelfDataset, find_shelf_datasets
from ticklake.catalog.statistics import data_files, read_stats
from ticklake.files.atomic import remove
from ticklake.files.errors import NotStoredError
from ticklake.files.place import Place, name_in, place_in, place_of

FORM: Final = "ticklake.dataset/1"
_FIELDS: Final = ("instrument", "tenor", "table", "tags", "status", "row_count", "start_date", "end_date", "file_path")
_ENVELOPE: Final = ("format", "key", "revision")


class DatasetNotFoundError(NotStoredError, KeyError):
    """No dataset has that name. See `list_datasets`."""


class DataRegistry:
    """Datasets by name. Any number of processes may use one registry; no update is lost.

    Lake tables (`bronze/futures/trades`), feature versions (`silver/features/v1`) and training sets
    (`gold/training/...`) below the data directory are in it without being registered. Registering one by its name adds
    to what the folders say.
    """

    def __init__(
        self,
        registry_path: str | os.PathLike[str],
        data_directory: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
    ) -> None:
        """Open a registry; its folder is made with the first dataset.

        Args:
            registry_path: where it lives. For `.../registry.json` the documents lie in `.../registry.d/`.
            data_directory: the root of the data; paths below it are kept relative, so that it may move.
            clock: stamps what is registered.
        """
        place = place_of(registry_path)
        self.registry_path = place
        self.data_directory = place_of(data_directory)
        self._clock = clock or SystemClock()
        self._folder = DocumentFolder(place.with_suffix(".d"), form=FORM, fields=_FIELDS, clock=self._clock)

    @classmethod
    def of_lake(cls, root: str | os.PathLike[str], *, clock: Clock | None = None) -> Self:
        """The registry that belongs to a lake: `{root}/catalog/datasets.d`."""
        place = place_of(root)
        return cls(place / "catalog/datasets.json", place, clock=clock)

    def register_dataset(
        self,
        name: str,
        file_path: str | os.PathLike[str],
        instrument: str | None = None,
        tenor: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        table: str | None = None,
        tags: Iterable[str] = (),
    ) -> DatasetEntry:
        """Register a Parquet file, or a folder of them, over an older entry of that name.

        A file that is missing or cannot be read is registered too: without statistics, the reason in `problem`.

        Args:
            name: unique in the registry.
            file_path: absolute, or relative to the data directory.
            instrument: what it is about.
            tenor: such as `5Y`.
            metadata: whatever else to keep; types as in `files.documents`.
            table: the lake table it is, or belongs to.
            tags: words to find it by.

        Raises:
            UsageError: the name is empty, or `metadata` cannot be kept.
        """
        if not name:
            raise UsageError("a dataset needs a name")
        place = name_in(self.data_directory, file_path)
        entry = DatasetEntry(
            name=name, instrument=instrument, tenor=tenor, table=table, tags=tuple(sorted(set(tags))), file_path=place,
            registered_at=self._now(), metadata=dict(metadata or {}), **self._look(place),
        )  # fmt: skip
        self._folder.put(name, _body(entry))
        return entry

    def get_dataset_entry(self, name: str) -> DatasetEntry:
        """The entry of one dataset.

        Raises:
            DatasetNotFoundError: no such dataset (a KeyError).
        """
        if self._folder.has(name):
            return _entry(self._folder.get(name))
        for shelf in find_shelf_datasets(self.data_directory):
            if shelf.name == name:
                return self._shelf_entry(shelf)
        raise DatasetNotFoundError(f"Dataset '{name}' not found in registry; see `ticklake registry ls`")

    def get_dataset_info(self, name: str) -> dict[str, Any]:
        """The entry as a dict of its own: changing it changes nothing else. `file_path` is absolute.

        Raises:
            DatasetNotFoundError: no such dataset (a KeyError).
        """
        entry = self.get_dataset_entry(name)
        return {**entry.to_dict(), "file_path": str(self.path_of(entry))}

    def list_datasets(
        self,
        instrument: str | None = None,
        tenor: str | None = None,
        *,
        table: str | None = None,
        tags: Iterable[str] = (),
        status: Lifecycle | str | None = None,
    ) -> list[str]:
        """Names of the datasets that match everything given, sorted.

        Args:
            instrument: exact; a lake table matches when it has a partition of that symbol or underlying.
            tenor: exact.
            table: exact.
            tags: all of them.
            status: active, deprecated or archived; all when None.
        """
        wanted = {"instrument": instrument, "tenor": tenor, "table": table, "status": _status(status)}
        exact = {key: value for key, value in wanted.items() if value is not None}
        needed = set(tags)
        if needed:
            names = [name for name, has in self._folder.select(("key", "tags"), exact) if needed <= set(has)]
        else:
            names = [name for (name,) in self._folder.select(("key",), exact)]
        shelves = [shelf for shelf in find_shelf_datasets(self.data_directory) if not self._folder.has(shelf.name)]
        return sorted(names + [shelf.name for shelf in shelves if _shelf_matches(shelf, exact, needed)])

    def update_dataset_stats(self, name: str) -> DatasetEntry:
        """Read the statistics again.

        Raises:
            DatasetNotFoundError: no such dataset (a KeyError).
            NotStoredError: its file is gone (a FileNotFoundError); the entry stays as it was.
            UnreadableError: its file is damaged; the entry stays as it was.
        """
        entry = self.get_dataset_entry(name)
        stats = read_stats(self.path_of(entry))
        return self._edit(entry, stats=stats, problem="", last_updated=self._now())

    def is_stale(self, name: str) -> bool:
        """Whether the files are no longer those the statistics were read from: by number, size and modification time.

        Raises:
            DatasetNotFoundError: no such dataset (a KeyError).
        """
        entry = self.get_dataset_entry(name)
        found = [file.stat() for file in data_files(self.path_of(entry))]
        known = (entry.stats.files or 0, entry.stats.size_bytes or 0, entry.stats.file_mtime_ns or 0)
        now = (len(found), sum(stat.st_size for stat in found), max((stat.st_mtime_ns for stat in found), default=0))
        return known != now

    def set_status(self, name: str, status: Lifecycle | str) -> DatasetEntry:
        """Move a dataset along its life: active, deprecated, archived; back as well.

        Raises:
            DatasetNotFoundError: no such dataset (a KeyError).
            UsageError: no such status.
        """
        return self._edit(self.get_dataset_entry(name), status=Lifecycle(_status(status) or ""))

    def remove_dataset(self, name: str, delete_file: bool = False) -> None:
        """Forget a dataset, and remove its file when asked. What the lake wrote is never removed here.

        Raises:
            DatasetNotFoundError: no such dataset (a KeyError).
            UsageError: the file belongs to the lake, lies outside the data directory, or is a folder.
        """
        entry = self.get_dataset_entry(name)
        path = self.path_of(entry)
        is_outside = not path.is_relative_to(self.data_directory)
        if delete_file and (is_outside or path.is_dir() or self._is_on_a_shelf(path)):
            raise UsageError(
                f"{path} belongs to the lake, is a folder or lies outside {self.data_directory}; remove it by hand or "
                "with `ticklake retention`, and the entry without delete_file"
            )
        if not self._folder.delete(name):
            raise DatasetNotFoundError(f"Dataset '{name}' not found in registry: it is there because its files are")
        if delete_file:
            remove(path)

    def places(self) -> dict[str, str]:
        """Name -> path of every dataset, relative to the data directory where it lies below it. Opens no data file."""
        found = {
            shelf.name: name_in(self.data_directory, shelf.path) for shelf in find_shelf_datasets(self.data_directory)
        }
        return {**found, **dict(self._folder.select(("key", "file_path")))}

    def path_of(self, entry: DatasetEntry) -> Place:
        """Where the files of an entry lie, absolute."""
        return place_in(self.data_directory, entry.file_path)

    def rebuild(self) -> int:
        """Make the index anew; how many datasets are registered."""
        return self._folder.rebuild()

    def __len__(self) -> int:
        return len(self.list_datasets())

    def __contains__(self, name: str) -> bool:
        return name in self.list_datasets()

    def __repr__(self) -> str:
        return f"DataRegistry(registry_path={str(self.registry_path)!r}, datasets={len(self)})"

    def _edit(self, entry: DatasetEntry, **changes: Any) -> DatasetEntry:
        if not self._folder.has(entry.name):
            self._folder.put(entry.name, _body(entry))
        return _entry(self._folder.change(entry.name, lambda old: _body(_entry(old), **changes)))

    def _look(self, stored_path: str) -> dict[str, Any]:
        try:
            return {"stats": read_stats(place_in(self.data_directory, stored_path))}
        except (FileNotFoundError, CorruptError) as error:
            return {"stats": FrameStats(), "problem": str(error)}

    def _shelf_entry(self, shelf: ShelfDataset) -> DatasetEntry:
        place = name_in(self.data_directory, shelf.path)
        return DatasetEntry(
            name=shelf.name, instrument=None, table=shelf.table, tags=(shelf.kind,), file_path=place,
            registered_at=self._now(), **self._look(place),
        )  # fmt: skip

    def _is_on_a_shelf(self, path: Place) -> bool:
        tiers = ("bronze", "silver", "gold", "quarantine", "catalog", "records")
        return path.is_relative_to(self.data_directory) and path.relative_to(self.data_directory).parts[0] in tiers

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC).isoformat()


def _body(entry: DatasetEntry, **changes: Any) -> dict[str, Any]:
    stats: FrameStats = changes.pop("stats", entry.stats)
    flat = {**entry.to_dict(), **changes}
    flat.update({name: getattr(stats, name) for name in FrameStats.__slots__})
    if isinstance(flat["status"], Lifecycle):
        flat["status"] = flat["status"].value
    return flat


def _entry(document: Document) -> DatasetEntry:
    return DatasetEntry.from_dict({key: value for key, value in document.items() if key not in _ENVELOPE})


def _shelf_matches(shelf: ShelfDataset, exact: Mapping[str, str], tags: set[str]) -> bool:
    facts = {"table": shelf.table, "status": Lifecycle.ACTIVE.value, "tenor": None}
    instrument = exact.get("instrument")
    return (
        all(facts[key] == value for key, value in exact.items() if key != "instrument")
        and (instrument is None or shelf.has_instrument(instrument))
        and tags <= {shelf.kind}
    )


def _status(status: Lifecycle | str | None) -> str | None:
    if status is None:
        return None
    try:
        return Lifecycle(status).value
    except ValueError as error:
        raise UsageError(f"no status {status!r}; choose one of {', '.join(Lifecycle)}") from error
