"""The audit log in PostgreSQL: the lines of the files as rows, chained the same way, with the head in a row of its own.

The database could refuse changes by rights (`REVOKE UPDATE, DELETE`); the chain also finds those of its owner.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ticklake.base.clock import Clock
from ticklake.stores.audit_chain import (
    START,
    ChainEntry,
    ChainHead,
    ChainProblem,
    check_anchor,
    check_chain,
    decode_entry,
    encode_entry,
    hashes_of,
)
from ticklake.stores.audit_log import ChainedAudit
from ticklake.stores.audit_records import AuditKind, AuditReport, stamp
from ticklake.stores.postgres_database import Database
from ticklake.stores.spans import Span, day_of, from_ns

_READ: Final = """
SELECT seq, line FROM audit WHERE kind = %s AND logged_at >= coalesce(%s, '-infinity'::timestamptz)
    AND logged_at <= coalesce(%s, 'infinity'::timestamptz) ORDER BY seq
"""


class PostgresAudit(ChainedAudit):
    """The `AuditStore` of a database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def verify_audit(self, kind: AuditKind, *, anchor: ChainHead | None = None) -> AuditReport:
        """Check every byte of every row, and the head. Reports, never raises for what it finds."""
        with self._database.transaction() as cursor:
            head = cursor.execute("SELECT seq, hash FROM audit_heads WHERE kind = %s FOR SHARE", [kind]).fetchone()
            rows = cursor.execute("SELECT seq, line FROM audit WHERE kind = %s ORDER BY seq", [kind]).fetchall()
        lines: list[tuple[str, str | None, bytes]] = [(f"row {seq}", None, line) for seq, line in rows]
        last, _, problems = check_chain(lines)
        if head is None and rows:
            problems.append(ChainProblem("audit_heads", "the head is missing, so rows may be missing at the end"))
        if head is not None and ChainHead(*head) != last:
            problems.append(
                ChainProblem("audit_heads", f"the head is {head[0]}, the last row {last.seq}: rows were cut")
            )
        if anchor is not None:
            problems += check_anchor(anchor, hashes_of(lines))
        return AuditReport(kind, len(lines), last, tuple(problems))

    def _append(self, kind: AuditKind, record: dict[str, Any]) -> ChainEntry:
        with self._database.transaction() as cursor:
            new = "INSERT INTO audit_heads VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
            cursor.execute(new, [kind, START.seq, START.hash])
            held = cursor.execute("SELECT seq, hash FROM audit_heads WHERE kind = %s FOR UPDATE", [kind]).fetchone()
            moment = from_ns(self._clock.wall_ns())
            line, head = encode_entry(ChainHead(*held), stamp(moment, day_of(moment), record))
            cursor.execute("INSERT INTO audit VALUES (%s, %s, %s, %s)", [kind, head.seq, moment, line])
            cursor.execute("UPDATE audit_heads SET seq = %s, hash = %s WHERE kind = %s", [head.seq, head.hash, kind])
        return decode_entry(line, where="the row just written")

    def _entries(self, kind: AuditKind, span: Span) -> Iterator[tuple[str, ChainEntry]]:
        for seq, line in self._database.rows(_READ, kind, span.start, span.end):
            where = f"audit row {seq}"
            yield where, decode_entry(line, where=where)
