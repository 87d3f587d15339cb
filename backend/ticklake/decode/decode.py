"""The entry: message groups in, rows per table and rejected input out. Decides who reads what; reads nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ticklake.decode.harvest import DecodedTable
from ticklake.decode.limits import DecodeLimits
from ticklake.decode.rejected import BadInputError, Reason, Rejected, shown
from ticklake.decode.routes import route
from ticklake.decode.segment import Segment
from ticklake.decode.tables import TableDecoder
from ticklake.decode.whole import keep_whole
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.messages import MessageGroup
from ticklake.schema.table import Shape

UNKNOWN_TABLE = "unknown"
"""Quarantine name for messages whose subject belongs to no table."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Everything a segment held. Each message is in `tables` or in `rejected`; batches may be in both.

    Attributes:
        received: messages that went in.
        tables: tables that got rows, by name.
        rejected: quarantine rows, in arrival order.
    """

    received: int
    tables: tuple[DecodedTable, ...]
    rejected: tuple[Rejected, ...]


def decode_groups(groups: Sequence[MessageGroup], catalog: TableCatalog, limits: DecodeLimits) -> Decoded:
    """Decode all messages of a segment. Pure: the same groups give the same rows in the same order.

    Bad input never raises: it comes back rejected, row by row where its message could be taken apart.
    """
    segment = Segment(groups)
    routes = route(segment, catalog, limits)
    tables: list[DecodedTable] = []
    rejected = [_homeless(segment, number) for number in routes.homeless]
    for name in sorted(routes.plain.keys() | {table.name for _, table in routes.special}):
        table, lots = catalog.get(name), routes.plain.get(name, [])
        if table.shape is Shape.RAW:
            tables.append(keep_whole(table, lots, segment))
            continue
        decoder = TableDecoder(table, segment, limits)
        if lots:
            decoder.add_plain(lots)
        for number, of_table in routes.special:
            if of_table is table:
                decoder.add_special(segment.message(number))
        decoded = decoder.finish()
        tables += [decoded] if decoded is not None else []
        rejected += decoder.rejected
    rejected.sort(key=lambda row: (row.number, row.message_row))
    return Decoded(received=len(segment), tables=tuple(tables), rejected=tuple(rejected))


def _homeless(segment: Segment, number: int) -> Rejected:
    message = segment.message(number)
    detail = f"no table takes {shown(message.subject)}"
    return message.rejected(UNKNOWN_TABLE, BadInputError(Reason.UNKNOWN_SUBJECT, detail, "subject"))
