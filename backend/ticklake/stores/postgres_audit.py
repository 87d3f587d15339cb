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
from ticklake.stores.audit_records import (
    AuditKind,
    AuditReport,
    LoggedDecision,
    LoggedOrder,
    decision_of,
    order_of,
    record_of_decision,
    record_of_order,
    stamp,
)
from ticklake.stores.models import Decision, Order, OrderResult
from ticklake.stores.postgres_database import Database
from ticklake.stores.spans import ALWAYS, Moment, Span, day_of, from_ns

_READ: Final = """
SELECT seq, line FROM audit WHERE kind = %s AND logged_at >= coalesce(%s, '-infinity'::timestamptz)
    AND logged_at <= coalesce(%s, 'infinity'::timestamptz) ORDER BY seq
"""


class PostgresAudit:
    """The `AuditStore` of a database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def log_decision(self, strategy_name: str, decision: Decision) -> LoggedDecision:
        """Append a decision."""
        entry = self._append(AuditKind.DECISIONS, record_of_decision(strategy_name, decision))
        logged = decision_of(entry, ALWAYS, where="the row just written")
        assert logged is not None, "an open span holds every time"
        return logged

    def log_order(self, strategy_name: str, order: Order, result: OrderResult) -> LoggedOrder:
        """Append an order and its result."""
        entry = self._append(AuditKind.ORDERS, record_of_order(strategy_name, order, result))
        logged = order_of(entry, ALWAYS, where="the row just written")
        assert logged is not None, "an open span holds every time"
        return logged

    def read_decisions(
        self, start: Moment | None = None, end: Moment | None = None, *, strategy_name: str | None = None
    ) -> list[LoggedDecision]:
        """Decisions logged from `start` to `end`, both included, in the order of logging."""
        span = Span.of(start, end)
        found = (decision_of(entry, span, where=where) for where, entry in self._entries(AuditKind.DECISIONS, span))
        return [one for one in found if one and strategy_name in (None, one.strategy_name)]

    def read_orders(
        self, start: Moment | None = None, end: Moment | None = None, *, strategy_name: str | None = None
    ) -> list[LoggedOrder]:
        """Orders logged from `start` to `end`, as `read_decisions`."""
        span = Span.of(start, end)
        found = (order_of(entry, span, where=where) for where, entry in self._entries(AuditKind.ORDERS, span))
        return [one for one in found if one and strategy_name in (None, one.strategy_name)]

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
