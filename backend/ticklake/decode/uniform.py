"""The fast way: many JSON documents of one table and one shape, decoded at once by native code.

It yields exactly what `rows` would, or declines. Documents of one template go through `cut`, others through a native
JSON reader. The reader used here is strict about types, ranges, unknown and
repeated keys. Where it is not, we are: it takes NaN and infinity (`columns` checks), strings that are no UTF-8
(validated here), and several objects in one document. Against the last stands a count. Every document starts with `{`
and ends with `}` and a newline. Between two documents the reader is outside of every object: within one, `}` is never
followed by `{`, and no string holds a bare newline. So each document gives at least one row, and as many rows as
documents means one row each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from ticklake.decode.book import LEVEL_KEYS
from ticklake.decode.columns import Checked, NotUniformError, check_columns
from ticklake.decode.cut import read_columns
from ticklake.decode.layout import NoLayoutError, Path, learn_layout
from ticklake.decode.limits import DecodeLimits
from ticklake.decode.routes import Lot
from ticklake.schema.bronze import BOOK_LEVELS
from ticklake.schema.kinds import Kind
from ticklake.schema.table import Column, Shape, TableSpec

TRY_AGAIN_ROWS = 1_000
"""A lot that is not uniform is tried again in pieces of this size: one bad message slows only its neighbours."""

WORTH_ROWS = 16
"""Below this, starting the native reader costs more than going row by row."""

_SAMPLES = 3
_BLOCK_BYTES = 4 * 2**20  # measured: the fastest; longer documents get a block of their own size


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a lot: checked columns, or None where it must be read row by row."""

    lot: Lot
    checked: Checked | None


def decode_uniform(table: TableSpec, lot: Lot, limits: DecodeLimits) -> Iterator[Piece]:
    """The whole lot in pieces, in order."""
    if table.shape is Shape.SIGNALS or len(lot) < WORTH_ROWS:
        yield Piece(lot, None)
        return
    checked = _attempt(table, lot, limits)
    if checked is not None or len(lot) <= TRY_AGAIN_ROWS:
        yield Piece(lot, checked)
        return
    for start in range(0, len(lot), TRY_AGAIN_ROWS):
        part = lot.slice(start, TRY_AGAIN_ROWS)
        yield Piece(part, _attempt(table, part, limits))


def _attempt(table: TableSpec, lot: Lot, limits: DecodeLimits) -> Checked | None:
    try:
        shape = _WireShape.of(table, _samples(lot))
        try:
            found = _read_layout(lot, shape, limits)
        except NoLayoutError:
            found = shape.columns(_read(lot, shape.schema, limits))
        return check_columns(table, found, lot.ingest_ns, limits)
    except NotUniformError:
        return None


def _samples(lot: Lot) -> list[dict[str, object]]:
    """A few documents from all over the lot."""
    samples = []
    for number in range(_SAMPLES):
        try:
            document = msgspec.json.decode(lot.document(number * (len(lot) - 1) // (_SAMPLES - 1)))
        except (msgspec.MsgspecError, RecursionError, OverflowError, ValueError) as error:
            raise NotUniformError("a sample is no JSON") from error
        if not isinstance(document, dict):
            raise NotUniformError("a sample is no object")
        samples.append(document)
    return samples


def _read_layout(lot: Lot, shape: _WireShape, limits: DecodeLimits) -> dict[str, pa.Array]:
    if pc.max(pc.binary_length(lot.documents)).as_py() > limits.payload_bytes_max:
        raise NoLayoutError("a document that is too long")
    layout = learn_layout(lot.document(0) + b"\n")
    places = {path: shape.place(path) for path in layout.paths}
    found = read_columns(layout, lot.documents, {path: kind for path, (_, kind) in places.items()})
    return {places[path][0]: values for path, values in found.items()}


def _read(lot: Lot, schema: pa.Schema, limits: DecodeLimits) -> pa.Table:
    documents = lot.documents
    longest = pc.max(pc.binary_length(documents)).as_py()
    plain = pc.and_(pc.starts_with(documents, b"{"), pc.ends_with(documents, b"}\n"))
    if longest > limits.payload_bytes_max or not pc.all(plain).as_py():
        raise NotUniformError("not one plain object per document")
    _, offsets, content = documents.buffers()
    marks = pa.Array.from_buffers(pa.int32(), len(lot) + 1, [None, offsets], offset=documents.offset)
    start, end = marks[0].as_py(), marks[-1].as_py()
    try:
        rows = pj.read_json(
            pa.BufferReader(content.slice(start, end - start)),
            read_options=pj.ReadOptions(block_size=max(_BLOCK_BYTES, longest + 1)),
            parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        ).combine_chunks()
        rows.validate(full=True)
    except pa.ArrowException as error:
        raise NotUniformError(str(error)) from error
    if rows.num_rows != len(lot):
        raise NotUniformError("several objects in one document")
    return rows


@dataclass(frozen=True, slots=True)
class _WireShape:
    """How the documents of a lot are laid out, judged by a few of them.

    Attributes:
        schema: what the native reader must find, nothing else.
        names: wire key -> column name.
        has_levels: a book whose levels come as a list.
    """

    schema: pa.Schema
    names: Mapping[str, str]
    has_levels: bool

    @classmethod
    def of(cls, table: TableSpec, samples: Sequence[Mapping[str, object]]) -> _WireShape:
        has_levels = table.shape is Shape.BOOK and any(sample.get("levels") is not None for sample in samples)
        in_levels = {name for side in table.sides for name in side} if has_levels else set()
        names: dict[str, str] = {}
        fields: list[pa.Field] = []
        for column in table.columns:
            if column.name not in in_levels:
                key = _key(column, samples)
                names[key] = column.name
                fields.append(pa.field(key, _wire_type(column, [sample.get(key) for sample in samples])))
        if has_levels:
            fields.append(pa.field("levels", pa.list_(_level_type(table, samples))))
        return cls(pa.schema(fields), names, has_levels)

    def place(self, path: Path) -> tuple[str, pa.DataType]:
        """The column that a scalar of a document belongs to, and what it must be on the wire.

        Raises:
            NoLayoutError: it belongs to none.
        """
        match path:
            case (str(key),) if key in self.names:
                return self.names[key], self.schema.field(key).type
            case ("levels", int(number), str(key)) if self.has_levels and number < BOOK_LEVELS and key in LEVEL_KEYS:
                return f"{key}_{number + 1}", self.schema.field("levels").type.value_type.field(key).type
            case _:
                raise NoLayoutError(f"{path} is no column")

    def columns(self, rows: pa.Table) -> dict[str, pa.Array]:
        """Column name -> array of the wire's type."""
        found = {name: one_array(rows.column(key)) for key, name in self.names.items()}
        if self.has_levels:
            found |= open_levels(one_array(rows.column("levels")))
        return found


def open_levels(levels: pa.Array) -> dict[str, pa.Array]:
    """A list of level structs per row as flat columns `bid_px_1` to `ask_sz_10`, short lists filled with null.

    Raises:
        NotUniformError: a list is missing, too long or holds nulls, or a level has unknown keys.
    """
    if levels.null_count or pc.max(pc.list_value_length(levels)).as_py() > BOOK_LEVELS:
        raise NotUniformError("levels that do not fit")
    if levels.flatten().null_count:
        raise NotUniformError("a level is null")
    if any(field.name not in LEVEL_KEYS for field in levels.type.value_type):
        raise NotUniformError("unknown keys in a level")
    found: dict[str, pa.Array] = {}
    padded = pc.list_slice(levels, 0, BOOK_LEVELS, return_fixed_size_list=True)
    for number in range(BOOK_LEVELS):
        level = pc.list_element(padded, number)
        for key in LEVEL_KEYS:
            if level.type.get_field_index(key) >= 0:
                found[f"{key}_{number + 1}"] = pc.struct_field(level, [key])
    return found


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """A chunked column in one piece; copies only when there are several."""
    chunks = column.chunks
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)


def _key(column: Column, samples: Sequence[Mapping[str, object]]) -> str:
    """The name the samples use for a column."""
    used = [key for key in column.keys if any(key in sample for sample in samples)]
    if column.scale != 1:
        raise NotUniformError(f"{column.name} needs a closer look")
    return used[0] if used else column.keys[0]


def _wire_type(column: Column, values: Sequence[object]) -> pa.DataType:
    kind = column.kind
    if kind in (Kind.JSON, Kind.BYTES):
        raise NotUniformError(f"{column.name} is read row by row")
    may_be_text = kind.is_float or column.text or kind is Kind.AGGRESSOR
    if kind is Kind.DATE32 or (may_be_text and any(isinstance(value, str) for value in values)):
        return pa.string()
    return kind.arrow


def _level_type(table: TableSpec, samples: Sequence[Mapping[str, object]]) -> pa.DataType:
    levels = [level for sample in samples for level in _as_list(sample.get("levels")) if isinstance(level, dict)]
    return pa.struct(
        [
            pa.field(key, _wire_type(table.by_name[f"{key}_1"], [level.get(key) for level in levels]))
            for key in LEVEL_KEYS
        ]
    )


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
