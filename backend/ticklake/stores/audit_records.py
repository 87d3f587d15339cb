"""Decisions and orders as audit records, and back. Pure; the same for files and databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from ticklake.base.errors import CorruptError
from ticklake.stores.audit_chain import ChainEntry, ChainHead, ChainProblem
from ticklake.stores.models import Decision, Order, OrderResult
from ticklake.stores.spans import Span


class AuditKind(StrEnum):
    """The two logs. Each is a chain of its own."""

    DECISIONS = "decisions"
    ORDERS = "orders"


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """A decision as it was logged.

    Attributes:
        seq: number of the line.
        timestamp: when it was logged.
        strategy_name: whose it is.
        decision: the decision.
    """

    seq: int
    timestamp: datetime
    strategy_name: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class LoggedOrder:
    """An order and the broker's answer as they were logged.

    Attributes:
        seq: number of the line.
        timestamp: when it was logged.
        strategy_name: whose it is.
        order: what was sent.
        result: what came back.
    """

    seq: int
    timestamp: datetime
    strategy_name: str
    order: Order
    result: OrderResult


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What a check of one log found.

    Attributes:
        kind: which log.
        lines: whole lines read.
        head: end of the chain; keep it elsewhere to notice a log that was rewritten as a whole.
        problems: everything that does not fit; empty when the log is whole.
        unfinished_bytes: rest of a line whose writer was killed before its call returned; no problem.
    """

    kind: AuditKind
    lines: int
    head: ChainHead
    problems: tuple[ChainProblem, ...]
    unfinished_bytes: int = 0

    @property
    def is_ok(self) -> bool:
        """Whether nothing was changed, removed or reordered."""
        return not self.problems


def stamp(moment: datetime, day: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its time, and the day of the file it goes to."""
    return {"day": day, "timestamp": moment.isoformat(timespec="microseconds"), **record}


def record_of_decision(strategy_name: str, decision: Decision) -> dict[str, Any]:
    """A decision as fields of a line."""
    return {"strategy": strategy_name, **asdict(decision), "action": decision.action.value}


def record_of_order(strategy_name: str, order: Order, result: OrderResult) -> dict[str, Any]:
    """An order and its result as fields of a line."""
    answer = {**asdict(result), "status": result.status.value}
    return {"strategy": strategy_name, "order": asdict(order), "result": answer}


def decision_of(entry: ChainEntry, span: Span, *, where: str) -> LoggedDecision | None:
    """The decision of a line; None when it lies outside the span."""
    moment = timestamp_of(entry, where=where)
    if not span.holds(moment):
        return None
    record = entry.record
    try:
        decision = Decision(**{field.name: record[field.name] for field in fields(Decision)})
        return LoggedDecision(entry.head.seq, span.present(moment), record["strategy"], decision)
    except KeyError as error:
        raise CorruptError(f"{where}: no logged decision, {error} is missing; run `ticklake audit verify`") from error


def order_of(entry: ChainEntry, span: Span, *, where: str) -> LoggedOrder | None:
    """The order of a line; None when it lies outside the span."""
    moment = timestamp_of(entry, where=where)
    if not span.holds(moment):
        return None
    record = entry.record
    try:
        order, result = Order(**record["order"]), OrderResult(**record["result"])
        return LoggedOrder(entry.head.seq, span.present(moment), record["strategy"], order, result)
    except (KeyError, TypeError) as error:
        raise CorruptError(f"{where}: no logged order ({error}); run `ticklake audit verify`") from error


def timestamp_of(entry: ChainEntry, *, where: str) -> datetime:
    """When the line was logged: aware, UTC."""
    try:
        return datetime.fromisoformat(entry.record["timestamp"])
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptError(f"{where}: the line has no timestamp; run `ticklake audit verify`") from error
