"""Where the lake lies and which tables it has, when the caller does not say."""

from __future__ import annotations

import os

from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place, lake_place, place_of
from ticklake.schema.lookup import BUILTIN_TABLES, TableCatalog
from ticklake.schema.user_tables import parse_user_tables


def find_place(data_root: Place | str | None, tables: TableCatalog | None) -> tuple[Place, TableCatalog]:
    """The data root, absolute, and the catalog of tables; what is None comes from the settings.

    Raises:
        UsageError: an address that is neither a local folder nor `s3://bucket/prefix`.
        ConfigError: the settings are needed and wrong, or the client of object stores is missing.
    """
    if data_root is not None and tables is not None:
        return place_of(data_root), tables
    from ticklake.base.settings import load_settings  # a quarter of the imports of a worker, which was told both

    settings = load_settings(data_root=data_root if data_root is None else os.fspath(data_root))
    if tables is None:
        tables = TableCatalog((*BUILTIN_TABLES, *parse_user_tables(settings.tables)))
    return data_root if isinstance(data_root, ObjectPath) else lake_place(settings), tables
