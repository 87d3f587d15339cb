"""What every audit log does alike, wherever its lines lie: append a record, read those of a span."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from ticklake.stores.audit_chain import ChainEntry, ChainHead
from ticklake.stores.audit_records import (
    AuditKind,
    AuditReport,
    LoggedDecision,
    LoggedOrder,
    decision_of,
    order_of,
    record_of_decision,
    record_of_order,
)
from ticklake.stores.models import Decision, Order, OrderResult
from ticklake.stores.spans import ALWAYS, Moment, Span

_JUST_WRITTEN = "the line just written"


class ChainedAudit(ABC):
    """Two logs, each a chain of hashes; a backend says how a line is kept and found."""

    @abstractmethod
    def verify_audit(self, kind: AuditKind, *, anchor: ChainHead | None = None) -> AuditReport:
        """Check every byte of a log. Reports, never raises for what it finds."""

    @abstractmethod
    def _append(self, kind: AuditKind, record: dict[str, Any]) -> ChainEntry:
        """Append a record to a chain; durable on return."""

    @abstractmethod
    def _entries(self, kind: AuditKind, span: Span) -> Iterator[tuple[str, ChainEntry]]:
        """Place and entry of every line that may lie in the span, in the order of logging."""

    def log_decision(self, strategy_name: str, decision: Decision) -> LoggedDecision:
        """Append a decision; it is durable when this returns.

        Raises:
            CorruptError: the end of the log is damaged; run `ticklake audit verify`. Nothing was appended.
        """
        entry = self._append(AuditKind.DECISIONS, record_of_decision(strategy_name, decision))
        logged = decision_of(entry, ALWAYS, where=_JUST_WRITTEN)
        assert logged is not None, "an open span holds every time"
        return logged

    def log_order(self, strategy_name: str, order: Order, result: OrderResult) -> LoggedOrder:
        """Append an order and its result; both are durable when this returns. Raises as `log_decision`."""
        entry = self._append(AuditKind.ORDERS, record_of_order(strategy_name, order, result))
        logged = order_of(entry, ALWAYS, where=_JUST_WRITTEN)
        assert logged is not None, "an open span holds every time"
        return logged

    def read_decisions(
        self, start: Moment | None = None, end: Moment | None = None, *, strategy_name: str | None = None
    ) -> list[LoggedDecision]:
        """Decisions logged from `start` to `end`, both included, in the order of logging.

        Raises:
            CorruptError: a line was changed; the text names it.
        """
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
