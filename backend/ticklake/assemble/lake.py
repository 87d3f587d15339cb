"""The lake as users open it: what the readers offer, the records of the operation, and what may be deleted."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ticklake.files.place import Place
from ticklake.readers.lake import Lake as ReadableLake
from ticklake.readers.place import find_place
from ticklake.schema.lookup import TableCatalog

if TYPE_CHECKING:
    from ticklake.catalog.retention import Retention
    from ticklake.stores.lake_stores import LakeStores


def open_lake(data_root: Place | str | None = None, *, tables: TableCatalog | None = None) -> Lake:
    """The lake at `data_root`. Opens nothing and locks nothing: a lake may be read while it is written.

    Args:
        data_root: the folder; from the settings (`TICKLAKE_DATA_ROOT`, else ./data) when None.
        tables: the catalog of tables; the built-in tables and those of the settings when None.

    Raises:
        ConfigError: the settings are needed and wrong.
    """
    return Lake(*find_place(data_root, tables))


class Lake(ReadableLake):
    """One lake, on a local disk or in a bucket: `scan`, `sql`, `bronze`, `gold`, `catalog`, `stores`, `verify`.

    The stores are imported when they are asked for: who only reads should not wait for them.
    """

    @cached_property
    def stores(self) -> LakeStores:
        """Decisions, data and time series in `records/` of this lake."""
        from ticklake.stores.lake_stores import LakeStores

        return LakeStores(self.data_root)

    @property
    def retention(self) -> Retention:
        """What may be deleted in tables, features, artifacts, runs and records; dry run first."""
        from ticklake.catalog.retention import Retention
        from ticklake.stores.retention import record_shelves

        return Retention(self.data_root, shelves=record_shelves(self.data_root))
