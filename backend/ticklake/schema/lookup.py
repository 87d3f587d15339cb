"""Which tables there are, and which table a subject belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ticklake.base.errors import ConfigError, UsageError
from ticklake.base.words import names_near
from ticklake.schema.bronze import BRONZE_TABLES
from ticklake.schema.gold import GOLD_TABLES
from ticklake.schema.table import Shape, TableSpec

BUILTIN_TABLES = (*BRONZE_TABLES, *GOLD_TABLES)
"""Tables that are always there."""


class TableCatalog:
    """All tables of a house: the built-in ones and the user's. Never changes after construction."""

    def __init__(self, tables: Iterable[TableSpec] = BUILTIN_TABLES) -> None:
        """Index the tables.

        Raises:
            ConfigError: two tables share a name, folder or subject, the folder of one lies in that of another, or one
                stream feeds two tiers.
        """
        self._by_name: dict[str, TableSpec] = {}
        self._by_folder: dict[str, TableSpec] = {}
        self._by_subject: dict[bytes, TableSpec] = {}
        self._catch_all: dict[bytes, TableSpec] = {}
        for table in tables:
            self._add(table)
        self._check_tiers()

    def __iter__(self) -> Iterator[TableSpec]:
        """All tables, in the order given."""
        return iter(self._by_name.values())

    def __len__(self) -> int:
        """How many tables there are."""
        return len(self._by_name)

    def __contains__(self, name: object) -> bool:
        """Whether a table has that name."""
        return name in self._by_name

    def find(self, name: str) -> TableSpec | None:
        """The table of that name, None when there is none."""
        return self._by_name.get(name)

    def get(self, name: str) -> TableSpec:
        """The table of that name.

        Raises:
            UsageError: there is none; the text offers names that look alike.
        """
        table = self._by_name.get(name)
        if table is None:
            raise UsageError(f"no table is named {name!r}; {names_near(name, self._by_name)}")
        return table

    def by_folder(self, folder: str) -> TableSpec | None:
        """The table whose files lie in `folder` (relative to the data root), None when there is none."""
        return self._by_folder.get(folder.strip("/"))

    def match(self, subject: bytes) -> TableSpec | None:
        """The table of a subject: the one with that subject, or with it less its last token, or the catch-all.

        None means that no table takes the subject; its messages go to quarantine.
        """
        table = self._by_subject.get(subject) or self._by_subject.get(subject.rpartition(b".")[0])
        if table is not None:
            return table
        return next((table for prefix, table in self._catch_all.items() if subject.startswith(prefix)), None)

    def streams(self) -> dict[str, list[TableSpec]]:
        """Stream name -> its tables, both in the order given."""
        streams: dict[str, list[TableSpec]] = {}
        for table in self:
            streams.setdefault(table.stream, []).append(table)
        return streams

    def _add(self, table: TableSpec) -> None:
        if table.name in self._by_name:
            raise ConfigError(f"table {table.name!r} is defined twice; give your table another name")
        other = self._by_folder.setdefault(table.folder, table)
        if other is not table:
            raise ConfigError(f"tables {other.name!r} and {table.name!r} share the folder {table.folder}; rename one")
        for folder, other in self._by_folder.items():  # a reader of the outer one would find the other's files
            outer, inner = sorted((folder, table.folder), key=len)
            if inner.startswith(f"{outer}/"):
                raise ConfigError(
                    f"tables {other.name!r} and {table.name!r}: {inner} lies in {outer}, and a table has its folder "
                    "for itself; rename one"
                )
        self._by_name[table.name] = table
        index, key = self._by_subject, table.subject.encode()
        if table.shape is Shape.RAW:
            index, key = self._catch_all, key.removesuffix(b">")
        other = index.setdefault(key, table)
        if other is not table:
            raise ConfigError(
                f"tables {other.name!r} and {table.name!r} both take the subject {table.subject!r}; change one"
            )

    def _check_tiers(self) -> None:
        for stream, tables in self.streams().items():
            for table in tables[1:]:
                if table.tier != tables[0].tier:
                    raise ConfigError(
                        f"stream {stream} feeds {tables[0].name!r} ({tables[0].tier}) and {table.name!r} "
                        f"({table.tier}); tables of one stream share a tier: give {table.name!r} another stream"
                    )
