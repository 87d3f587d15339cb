"""What became of each message of a segment, in a form tests can compare."""

from __future__ import annotations

from collections.abc import Sequence

from tests.unit.decode.corpus import INGEST_NS, T0_NS

from ticklake.decode.decode import Decoded, decode_groups
from ticklake.decode.limits import DecodeLimits
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.messages import MessageGroup
from ticklake.testing.messages import group_messages

CATALOG = TableCatalog()
LIMITS = DecodeLimits()

Outcome = tuple[object, ...]


def subject_of(table: str) -> bytes:
    return CATALOG.get(table).subject.encode()


def group_of(table: str, payloads: Sequence[bytes], headers: bytes | None = None) -> MessageGroup:
    messages = [(subject_of(table), headers, payload) for payload in payloads]
    return group_messages(
        messages,
        ingest_ns=INGEST_NS,
        sequences=list(range(1, len(messages) + 1)),
        server_ns=[T0_NS + number for number in range(len(messages))],
    )


def decode(*groups: MessageGroup, limits: DecodeLimits = LIMITS) -> Decoded:
    return decode_groups(groups, CATALOG, limits)


def outcomes(decoded: Decoded) -> list[list[Outcome]]:
    """Per message its rows and rejects, in order of their rows. Sequences are left out."""
    found: list[list[tuple[int, Outcome]]] = [[] for _ in range(decoded.received)]
    for table in decoded.tables:
        for number, row in zip(table.numbers.to_pylist(), table.rows.to_pylist(), strict=True):
            del row["stream_seq"]
            # repr tells 0.0 from -0.0 and 1 from True
            found[number].append((row["message_row"], (table.spec.name, repr(sorted(row.items())))))
    for bad in decoded.rejected:
        found[bad.number].append((bad.message_row, (bad.table, bad.reason, bad.path, bad.detail, bad.payload)))
    return [[outcome for _, outcome in sorted(message, key=lambda pair: pair[0])] for message in found]


def alone(table: str, payload: bytes) -> list[Outcome]:
    """What becomes of one message by itself: always read row by row."""
    return outcomes(decode(group_of(table, [payload])))[0]
