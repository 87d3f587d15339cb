"""Columns of a file -> keys of a message: renames, fixed values, and types that JSON has no words for.

Done in this order, each only where it applies:

1. `--map from=to` renames a column.
2. `bid_px_00` .. `ask_sz_09` become `bid_px_1` .. `ask_sz_10` when the subject's table is a book.
3. A timestamp column `x` becomes `x_ns` when the table knows `x_ns` and not `x`.
4. Timestamps become integer ns UTC, dates ISO text, decimals decimal text, categories text, NaN null. Floats without
   any fraction become whole numbers when the table wants these: in many tools a gap makes floats of a column of them.
5. `--set column=value` adds or replaces a column; `source` is `replay` when the table has it and the file has not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import polars as pl

from ticklake.base.errors import UsageError
from ticklake.schema.kinds import Kind
from ticklake.schema.table import Shape, TableSpec

SOURCE_DEFAULT = "replay"

_EXACT_MAX = 2.0**53  # beyond, a float skips whole numbers
_ZERO_BASED = re.compile(r"(bid|ask)_(px|sz)_(\d\d)")

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Shaping:
    """What to do with the columns of a file.

    Attributes:
        table: the table its subject belongs to, None when unknown or a catch-all.
        renames: old name -> new name.
        values: column -> the same value in every row.
    """

    table: TableSpec | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def keys(self) -> frozenset[str]:
        """Names the table understands; empty without a table."""
        return frozenset(self._kinds)

    @property
    def text_columns(self) -> frozenset[str]:
        """Names of the file's columns that the table takes as text."""
        old_names = {new: old for old, new in self.renames.items()}
        return frozenset(old_names.get(key, key) for key, kind in self._kinds.items() if kind is Kind.STRING)

    def wants_whole(self, key: str) -> bool:
        """Whether the table takes whole numbers only under this name."""
        kind = self._kinds.get(key)
        return kind is Kind.AGGRESSOR or (kind is not None and kind.is_integer)

    @property
    def _kinds(self) -> dict[str, Kind]:
        return {key: column.kind for column in self.table.columns for key in column.keys} if self.table else {}


def parse_pairs(texts: list[str], *, option: str) -> dict[str, str]:
    """`["a=b"]` -> `{"a": "b"}`.

    Raises:
        UsageError: a text has no `=` or nothing before it, or a name comes twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} {text!r}: write it as name=value")
        if name in pairs:
            raise UsageError(f"{option} names {name!r} twice; keep one")
        pairs[name] = value
    return pairs


def parse_value(text: str) -> Scalar:
    """A JSON number, true, false, null or quoted string; anything else is text as it stands."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return value if isinstance(value, str | int | float | bool | None) else text


def shape_frame(frame: pl.DataFrame, shaping: Shaping) -> pl.DataFrame:
    """Same rows, columns as the message wants them; only types that JSON can say.

    Raises:
        UsageError: `--map` names a column that is not there or a name that is taken; a value is infinite; a column has
            a type that no message can carry. The text names the column.
    """
    frame = _rename(frame, shaping.renames)
    frame = _rename(frame, _book_names(frame, shaping) | _time_names(frame, shaping.keys))
    _check(frame)
    whole = [name for name in frame.columns if shaping.wants_whole(name) and _is_whole(frame[name])]
    frame = frame.with_columns(pl.col(whole).fill_nan(None).cast(pl.Int64))
    frame = frame.with_columns([_speakable(name, kind) for name, kind in frame.schema.items()])
    return frame.with_columns([pl.lit(value).alias(name) for name, value in _values(frame.columns, shaping).items()])


def shape_object(row: dict[str, object], shaping: Shaping) -> dict[str, object]:
    """The same for one JSON object: renames and fixed values; JSON has no types to repair.

    Raises:
        UsageError: a rename would overwrite another key.
    """
    for name, new in shaping.renames.items():
        if name in row:
            if new in row:
                raise UsageError(f"--map {name}={new}: a row has {new!r} already; map that one away first")
            row[new] = row.pop(name)
    return row | _values(row, shaping)


def _values(columns: list[str] | dict[str, object], shaping: Shaping) -> dict[str, Scalar]:
    values = dict(shaping.values)
    if "source" in shaping.keys and "source" not in columns:
        values.setdefault("source", SOURCE_DEFAULT)
    return values


def _rename(frame: pl.DataFrame, renames: Mapping[str, str]) -> pl.DataFrame:
    kept = set(frame.columns) - set(renames)
    for name, new in renames.items():
        if name not in frame.columns:
            raise UsageError(f"--map {name}={new}: the file has no column {name!r}; it has {', '.join(frame.columns)}")
        if new in kept:
            raise UsageError(f"--map {name}={new}: the file has a column {new!r} already; map that one away first")
        kept.add(new)
    return frame.rename(dict(renames))


def _book_names(frame: pl.DataFrame, shaping: Shaping) -> dict[str, str]:
    if shaping.table is None or shaping.table.shape is not Shape.BOOK:
        return {}
    found = [match for name in frame.columns if (match := _ZERO_BASED.fullmatch(name))]
    if not any(match[3] == "00" for match in found):
        return {}
    return {match[0]: f"{match[1]}_{match[2]}_{int(match[3]) + 1}" for match in found}


def _time_names(frame: pl.DataFrame, keys: frozenset[str]) -> dict[str, str]:
    return {
        name: f"{name}_ns"
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Datetime) and name not in keys and f"{name}_ns" in keys
    }


def _check(frame: pl.DataFrame) -> None:
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.Binary | pl.Object):
            raise UsageError(f"column {name!r} holds {kind}, which JSON cannot say; drop it from the file")
        if kind.is_float() and frame[name].is_infinite().any():
            raise UsageError(f"column {name!r} holds an infinite value, which JSON cannot say; make it null")


def _is_whole(column: pl.Series) -> bool:
    """Whether a column of floats holds whole numbers only, none too large to be exact."""
    if not column.dtype.is_float():
        return False
    values = column.drop_nans().drop_nulls()
    return bool(((values == values.floor()) & (values.abs() < _EXACT_MAX)).all())


def _speakable(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(kind, pl.Datetime):
        return column.dt.epoch("ns")
    if isinstance(kind, pl.Duration):
        return column.dt.total_nanoseconds()
    if isinstance(kind, pl.Date | pl.Time | pl.Decimal | pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    if kind.is_float():
        return column.fill_nan(None)
    return column
