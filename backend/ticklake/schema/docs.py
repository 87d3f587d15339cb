"""The reference page of the tables, written from their definitions."""

from __future__ import annotations

from datetime import date, timedelta

from ticklake.schema.kinds import AGGRESSOR_WORDS, UNDEFINED_PRICE_MIN
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.table import SYSTEM_COLUMNS, TIME_MAX_NS, TIME_MIN_NS, Column, Shape, TableSpec

_INTRO = f"""\
# Tables

Written from the definitions in `ticklake.schema`; do not edit.

Every column is stored under its name; the wire may use that name too. Missing keys and JSON null mean the same.
Times are nanoseconds since 1970, UTC, from 2000 to 2100. `float64` and `price` take JSON numbers and plain decimal
text; a `price` of {UNDEFINED_PRICE_MIN:g} or more, either sign, is a feed's way to say "undefined", so null.
`aggressor` also takes {", ".join(AGGRESSOR_WORDS)}. Negative zero is stored as zero.
Partition columns live in the folder names; [partition folders](../formats/partition.md) says how values become names.
Keys no column knows are kept in `extra`, as compact JSON with sorted keys, in their place.
A subject also matches with one more token.
"""

_BOOK = """\
Levels come flat, or as `levels`: a list of up to ten objects with `bid_px`, `bid_sz`, `ask_px`, `ask_sz`, best first.
A size of 0 without a price is an absent level: both are null.
"""

_SHAPES = {
    Shape.FLAT: "",
    Shape.BOOK: _BOOK,
    Shape.SIGNALS: "Each level is one row. Flat objects, under the column names, are understood too.\n",
    Shape.RAW: "Any bytes are stored as they come.\n",
}


def render_reference(catalog: TableCatalog) -> str:
    """The page as Markdown: what holds for all tables, then one part per table."""
    system = ["## Every table ends with", "", *_rows(SYSTEM_COLUMNS)]
    parts = ["\n".join(_table(table)) for table in catalog]
    return "\n".join([_INTRO, *system, "", "\n\n".join(parts), ""])


def _table(table: TableSpec) -> list[str]:
    times = table.event_time
    if table.event_time_fallback is not None:
        times += f", or where that is null {table.event_time_fallback}"
    roots = " `symbol` is the root: `ES` for `ESZ5` and `ES.c.0`." if table.futures_roots else ""
    partitions = "/".join(f"{name}=" for name in table.partition_by)
    lines = [
        f"## {table.name}",
        "",
        f"{table.doc}",
        "",
        f"- subject `{table.subject}`, stream `{table.stream}`, schema `{table.schema_id}`",
        f"- folder `{table.folder}/{partitions}`.{roots}",
        f"- event time: {times}",
        "",
    ]
    if _SHAPES[table.shape]:
        lines += [_SHAPES[table.shape]]
    return lines + _rows(table.columns, table)


def _rows(columns: tuple[Column, ...], table: TableSpec | None = None) -> list[str]:
    lines = ["| column | type | unit | null | wire | rule | meaning |", "|---|---|---|---|---|---|---|"]
    for column in columns:
        null = "yes" if column.null else "no"
        wire = f"`{column.wire}`" if column.wire and column.wire != column.name else ""
        folder_only = table is not None and column.name in table.partition_by
        kind = f"{column.kind}, in the folder" if folder_only else str(column.kind)
        lines.append(f"| {column.name} | {kind} | {column.unit} | {null} | {wire} | {_rule(column)} | {column.doc} |")
    return lines


def _rule(column: Column) -> str:
    rules = []
    if column.default is not None:
        rules.append(f"default {column.default}")
    if column.allowed:
        rules.append(", ".join(column.allowed))
    if column.above is not None:
        rules.append(f"> {column.above:g}")
    if column.minimum is not None and column.minimum != TIME_MIN_NS:
        rules.append(f">= {_bound(column, column.minimum)}")
    if column.maximum is not None and column.maximum != TIME_MAX_NS - 1:
        rules.append(f"<= {_bound(column, column.maximum)}")
    if column.text:
        rules.append("also as text")
    return "; ".join(rules)


def _bound(column: Column, value: float) -> str:
    if column.kind == "date32":
        return (date(1970, 1, 1) + timedelta(days=int(value))).isoformat()
    return f"{value:g}"
