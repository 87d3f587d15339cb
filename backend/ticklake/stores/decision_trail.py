"""Decision, orders, fills and outcome put together: one decision's trail, and all trades as one table."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import polars as pl

from ticklake.files.documents import decode_document
from ticklake.stores.decision_filter import DecisionFilter
from ticklake.stores.decision_links import Link, LinkKind
from ticklake.stores.decision_record import Record

TRADE_SCHEMA: Final = pl.Schema(
    {
        "decision_id": pl.String(),
        "decision_ns": pl.Int64(),
        "asset_pair": pl.String(),
        "action": pl.String(),
        "status": pl.String(),
        "strategy": pl.String(),
        "order_id": pl.String(),
        "order_ns": pl.Int64(),
        "order_quantity": pl.Float64(),
        "order_status": pl.String(),
        "fill_id": pl.String(),
        "fill_ns": pl.Int64(),
        "fill_price": pl.Float64(),
        "fill_quantity": pl.Float64(),
        "fee": pl.Float64(),
        "outcome_id": pl.String(),
        "outcome_ns": pl.Int64(),
        "outcome": pl.String(),
        "pnl": pl.Float64(),
    }
)

# The newest outcome of a decision counts; orders and fills all do.
_JOIN: Final = """
SELECT d.decision_id, d.decision_ns, d.pair, d.action, d.status, d.strategy,
       o.link_id, o.at_ns, o.body, f.link_id, f.at_ns, f.body, u.link_id, u.at_ns, u.body
FROM (SELECT * FROM decisions WHERE {condition} ORDER BY decision_ns DESC, name DESC LIMIT ?) AS d
LEFT JOIN links AS o ON o.decision_id = d.decision_id AND o.kind = 'order'
LEFT JOIN links AS f ON f.order_id = o.link_id AND f.kind = 'fill'
LEFT JOIN links AS u ON u.name = (
    SELECT name FROM links WHERE decision_id = d.decision_id AND kind = 'outcome' ORDER BY at_ns DESC, name DESC LIMIT 1
)
ORDER BY d.decision_ns DESC, d.name DESC, o.at_ns, o.name, f.at_ns, f.name
"""


@dataclass(frozen=True, slots=True)
class DecisionTrail:
    """One decision and all that followed, oldest first.

    Attributes:
        decision: its current revision.
        orders: what was sent.
        fills: what was executed, of all orders.
        outcomes: how it ended; the last one counts.
    """

    decision: Record
    orders: tuple[Link, ...]
    fills: tuple[Link, ...]
    outcomes: tuple[Link, ...]


def links_of(database: sqlite3.Connection, decision_id: str) -> list[Link]:
    """All facts that follow from a decision, oldest first."""
    query = (
        "SELECT kind, link_id, decision_id, order_id, at_ns, body FROM links WHERE decision_id = ? ORDER BY at_ns, name"
    )
    return [
        Link(LinkKind(kind), link_id, owner, order_id, at_ns, _body(body))
        for kind, link_id, owner, order_id, at_ns, body in database.execute(query, (decision_id,))
    ]


def order_owner(database: sqlite3.Connection, order_id: str) -> str | None:
    """The decision of an order."""
    row = database.execute("SELECT decision_id FROM links WHERE kind = 'order' AND link_id = ?", (order_id,)).fetchone()
    return None if row is None else str(row[0])


def join_trades(database: sqlite3.Connection, wanted: DecisionFilter, *, limit: int | None) -> pl.DataFrame:
    """Decision -> order -> fill -> outcome.

    Shape:  one row per fill; an order without fills and a decision without orders have one row each with nulls. Newest
            decision first, then orders and fills as they happened.
    Gives:  `TRADE_SCHEMA`; times in ns UTC; prices and quantities as float64 for looking at (the facts keep what was
            recorded, also Decimal).
    """
    condition, parameters = wanted.condition()
    rows = database.execute(_JOIN.format(condition=condition), [*parameters, -1 if limit is None else limit])
    return pl.DataFrame([_trade(row) for row in rows], schema=TRADE_SCHEMA, orient="row")


def _trade(row: tuple[Any, ...]) -> tuple[Any, ...]:
    order, fill, outcome = _body(row[8]), _body(row[11]), _body(row[14])
    return (
        *row[:8],
        _number(order, "quantity", "size"),
        _text(order, "status"),
        *row[9:11],
        _number(fill, "fill_price", "price"),
        _number(fill, "fill_quantity", "quantity", "size"),
        _number(fill, "fee", "commission"),
        *row[12:14],
        _text(outcome, "outcome", "result", "label"),
        _number(outcome, "pnl", "realized_pnl", "profit_loss"),
    )


def _body(text: str | None) -> dict[str, Any]:
    return {} if text is None else dict(decode_document(text.encode("utf-8"), path="index of decisions"))


def _number(body: dict[str, Any], *keys: str) -> float | None:
    for key in keys:
        value = body.get(key)
        if value is not None and not isinstance(value, bool):
            try:
                return float(Decimal(str(value)))
            except InvalidOperation:
                return None
    return None


def _text(body: dict[str, Any], *keys: str) -> str | None:
    value = next((body[key] for key in keys if body.get(key) is not None), None)
    return None if value is None else str(getattr(value, "value", value))
