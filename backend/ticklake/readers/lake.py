"""The lake as one object: scan, SQL, the readers of each tier, what there is, and whether it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.readers.bronze import BronzeReader
from ticklake.readers.listing import DataFile, list_files
from ticklake.readers.place import find_place
from ticklake.readers.quarantine import NAME as QUARANTINE
from ticklake.readers.quarantine import relation_of_quarantine
from ticklake.readers.query import Day, Instant, Selection, days_of, half_open, values_of
from ticklake.readers.relation import Relation, relation_of
from ticklake.readers.report import VerifyReport
from ticklake.readers.scan import scan
from ticklake.readers.silver import SilverReader
from ticklake.schema.lookup import TableCatalog

if TYPE_CHECKING:
    from ticklake.catalog.lake_catalog import LakeCatalog
    from ticklake.readers.gold import GoldReader


def open_lake(data_root: Place | str | None = None, *, tables: TableCatalog | None = None) -> Lake:
    """The lake at `data_root`. Opens nothing and locks nothing: a lake may be read while it is written.

    Args:
        data_root: a folder or `s3://bucket/prefix`; from the settings (`TICKLAKE_DATA_ROOT`, else ./data) when None.
        tables: the catalog; the built-in tables and those of the settings when None.

    Raises:
        ConfigError: the settings are needed and wrong.
    """
    return Lake(*find_place(data_root, tables))


class Lake:
    """One lake, on a local disk or in a bucket, for reading.

    Attributes:
        data_root: its place, absolute.
        table_catalog: which tables are declared.
    """

    def __init__(self, data_root: Place, tables: TableCatalog) -> None:
        self.data_root = data_root
        self.table_catalog = tables

    @cached_property
    def bronze(self) -> BronzeReader:
        """Market events: by symbol and time, of the front month, sampled."""
        return BronzeReader(self.data_root, tables=self.table_catalog)

    @cached_property
    def silver(self) -> SilverReader:
        """Feature versions."""
        return SilverReader(self.data_root)

    @cached_property
    def gold(self) -> GoldReader:
        """Live signals and training sets."""
        from ticklake.readers.gold import GoldReader  # it knows the catalog of training sets

        return GoldReader(self.data_root, tables=self.table_catalog)

    @cached_property
    def catalog(self) -> LakeCatalog:
        """The declared tables, datasets, runs, artifacts, rules and lineage."""
        from ticklake.catalog.lake_catalog import LakeCatalog  # a sixth of the imports, and most readers do without

        return LakeCatalog(self.data_root, self.table_catalog)

    def scan(
        self,
        table: str,
        *,
        symbol: str | Iterable[str] | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
        date: Day | Iterable[Day] | None = None,
        columns: Sequence[str] | None = None,
        as_datetime: bool = False,
    ) -> pl.LazyFrame:
        """Rows of a table (or of `quarantine`), lazily; see `readers.scan.scan_table` for arguments and errors.

        `start` is included, `end` is **not**: `end` of one call can be `start` of the next.
        """
        selection = Selection(values_of(symbol), days_of(date), half_open(start, end))
        return scan(self.data_root, self.relation(table), selection, columns=columns, as_datetime=as_datetime)

    def sql(self, query: str) -> pl.DataFrame:
        """The rows of one SELECT over the tables, named as everywhere (`futures.trades`, `raw`, `quarantine`).

        Partition columns (`symbol`, `date`, `hour`) prune files; a table without files is empty. See `readers.sql`.

        Raises:
            UsageError: not one single SELECT, or it is wrong.
            CorruptError: a file it reads is damaged or foreign; the text names it.
        """
        from ticklake.readers.sql import run_sql  # DuckDB is large, and most readers do without

        relations = [relation_of(spec) for spec in self.table_catalog]
        return run_sql(self.data_root, [*relations, relation_of_quarantine()], query)

    def tables(self) -> list[str]:
        """Names of the declared tables that hold at least one file."""
        return [spec.name for spec in self.table_catalog if self.files(spec.name)]

    def files(self, table: str) -> list[DataFile]:
        """The data files of a table (or of `quarantine`), in order of their paths; empty when there are none."""
        relation = self.relation(table)
        return list_files(self.data_root / relation.folder, relation.keys)

    def relation(self, table: str) -> Relation:
        """How a table lies on disk: folder, partition columns and their types.

        Raises:
            UsageError: no such table; the text offers names that look alike.
        """
        if table == QUARANTINE:
            return relation_of_quarantine()
        spec = self.table_catalog.find(table) or self.table_catalog.by_folder(table)
        return relation_of(spec or self.table_catalog.get(table))

    def verify(
        self, *, state_dir: Path | str | None = None, table: str | None = None, deep: bool = False
    ) -> VerifyReport:
        """Check books, sequences, names and checksums; see `readers.verify.verify_lake`.

        Args:
            state_dir: the state folder, always on a local disk; `{data_root}/_state` when None and there is one.
            table: check the files of this table only.
            deep: decode every page too.

        Raises:
            NoDataError: there is no lake: neither a ledger nor a data file nor a log.
        """
        from ticklake.readers.verify import verify_lake  # it reads the log too

        root = self.data_root
        if state_dir is None and not isinstance(root, ObjectPath) and (root / "_state").is_dir():
            state_dir = root / "_state"
        return verify_lake(self.data_root, state_dir, table, deep, tables=self.table_catalog)
