"""Where the lake lies and which tables it has, when the caller does not say."""

from __future__ import annotations

from pathlib import Path

from ticklake.base.settings import load_settings
from ticklake.schema.lookup import BUILTIN_TABLES, TableCatalog
from ticklake.schema.user_tables import parse_user_tables


def find_place(data_root: Path | str | None, tables: TableCatalog | None) -> tuple[Path, TableCatalog]:
    """The data root, absolute, and the catalog of tables; what is None comes from the settings.

    Raises:
        ConfigError: the settings are needed and wrong.
    """
    if data_root is not None and tables is not None:
        return Path(data_root).expanduser().absolute(), tables
    settings = load_settings(data_root=data_root)
    if tables is None:
        tables = TableCatalog((*BUILTIN_TABLES, *parse_user_tables(settings.tables)))
    return Path(settings.data_root).absolute(), tables
