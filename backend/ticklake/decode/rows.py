"""Row by row: exact, and the only place that says why a row is bad. `uniform` is the fast way for clean batches."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ticklake.decode.book import open_book
from ticklake.decode.cells import BadCellError, Cell, cell_checker, json_text
from ticklake.decode.limits import DecodeLimits
from ticklake.decode.opened import Json, Opened, flat_keys, open_flat
from ticklake.decode.rejected import BadInputError, Reason, shown
from ticklake.decode.signals import SignalOpener, split_levels
from ticklake.schema.partition import encode_value, is_hashed
from ticklake.schema.table import TIME_MIN_NS, Shape, TableSpec


@dataclass(frozen=True, slots=True)
class Row:
    """One good row: a value per column of the table, and the unknown keys as JSON text."""

    values: tuple[Cell, ...]
    extra: str | None


@dataclass(frozen=True, slots=True)
class BadRow:
    """One bad row of a document that holds several; `payload` is the row's own JSON."""

    error: BadInputError
    payload: bytes


def parse_json(payload: bytes) -> object:
    """Any JSON value, decoded strictly. Of repeated keys the last counts.

    Raises:
        BadInputError: it is no JSON, nested too deeply, or holds a number nothing can hold.
    """
    try:
        return msgspec.json.decode(payload)
    except UnicodeDecodeError as error:
        raise BadInputError(Reason.BAD_UTF8, str(error)) from error
    except msgspec.ValidationError as error:
        raise BadInputError(Reason.OUT_OF_RANGE, str(error)) from error
    except (msgspec.MsgspecError, RecursionError, OverflowError, ValueError) as error:
        raise BadInputError(Reason.NOT_JSON, str(error)) from error


class RowDecoder:
    """Decodes documents of one table."""

    def __init__(self, table: TableSpec, limits: DecodeLimits) -> None:
        self._table = table
        self._limits = limits
        self._signals = SignalOpener(table) if table.shape is Shape.SIGNALS else None
        self._keys = flat_keys(table.columns)
        self._checks = tuple((column.name, cell_checker(column)) for column in table.columns)
        self._folder_only = [name for name in table.value_partitions if name in table.by_name]

    def decode(self, payload: bytes, *, ingest_ns: int) -> list[Row | BadRow]:
        """The rows of one JSON object, at least one.

        Raises:
            BadInputError: nothing of it can be stored.
        """
        if len(payload) > self._limits.payload_bytes_max:
            raise BadInputError(Reason.TOO_LARGE, f"{len(payload)} bytes, at most {self._limits.payload_bytes_max}")
        document = parse_json(payload)
        if not isinstance(document, dict):
            raise BadInputError(Reason.NOT_AN_OBJECT, f"wants an object, got {shown(document)}")
        if self._signals is None:
            return [self.check(document, ingest_ns=ingest_ns)]
        parts = split_levels(document)
        if len(parts) == 1:
            return [self.check(document, ingest_ns=ingest_ns)]
        return [self._check_part(part, level, ingest_ns) for level, part in enumerate(parts)]

    def check(self, document: Json, *, ingest_ns: int) -> Row:
        """The row of one decoded object with at most one level.

        Raises:
            BadInputError: it cannot be stored.
        """
        opened = self._open(document)
        found = opened.values
        values: dict[str, Cell] = {}
        for name, check in self._checks:
            try:
                values[name] = check(found.get(name))
            except BadCellError as error:
                raise error.at(self._path(opened, name)) from error
        self._clear_absent_sides(values)
        self._check_event_time(values, opened, ingest_ns)
        self._check_folder_values(values, opened)
        return Row(tuple(values.values()), json_text(opened.extra) if opened.extra else None)

    def _check_part(self, part: Json, level: int, ingest_ns: int) -> Row | BadRow:
        try:
            return self.check(part, ingest_ns=ingest_ns)
        except BadInputError as error:
            path = error.path.replace("$.levels[0]", f"$.levels[{level}]")
            return BadRow(BadInputError(error.reason, error.detail, path), msgspec.json.encode(part))

    def _open(self, document: Json) -> Opened:
        if self._signals is not None:
            return self._signals(document)
        if self._table.shape is Shape.BOOK:
            return open_book(document, self._keys)
        return open_flat(document, self._keys)

    def _path(self, opened: Opened, name: str) -> str:
        """Where the value of a column was found, or is missed."""
        return opened.paths.get(name) or f"$.{self._table.by_name[name].keys[0].replace('[]', '[0]')}"

    def _clear_absent_sides(self, values: dict[str, Cell]) -> None:
        for price, size in self._table.sides:
            if not values[price] and not values[size]:
                values[price] = values[size] = None

    def _check_event_time(self, values: dict[str, Cell], opened: Opened, ingest_ns: int) -> None:
        table = self._table
        name = table.event_time
        if values[name] is None and table.event_time_fallback is not None:
            name = table.event_time_fallback
        event_ns = values[name]
        until_ns = ingest_ns + self._limits.future_max_ns
        if isinstance(event_ns, int) and TIME_MIN_NS <= event_ns <= until_ns:
            return
        path = self._path(opened, name)
        if event_ns is None:
            raise BadInputError(Reason.MISSING_FIELD, "is required: the row has no event time", path)
        detail = f"must lie in {TIME_MIN_NS} to {until_ns}, got {shown(event_ns)}"
        raise BadInputError(Reason.TS_OUT_OF_RANGE, detail, path)

    def _check_folder_values(self, values: dict[str, Cell], opened: Opened) -> None:
        """A value that lives in the folder name only must be readable there."""
        for name in self._folder_only:
            value = values[name]
            if isinstance(value, str) and is_hashed(encode_value(value)):
                detail = f"is too long for a folder name: {len(value)} characters"
                raise BadInputError(Reason.OUT_OF_RANGE, detail, self._path(opened, name))
