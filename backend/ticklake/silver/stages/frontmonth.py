"""Which one contract a session is about, chosen by what was known before its first event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from ticklake.base.errors import NoDataError
from ticklake.readers.frontmonth import FrontMonth, rank_contracts
from ticklake.schema.session import previous_sessions
from ticklake.silver.stage import ColumnSpec, Role
from ticklake.silver.stages.rows import rows_of, rows_of_all

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow

BASIS_SESSIONS: Final = 2
"""Earlier sessions looked at: the first decides, the one before it tells whether the market has just rolled."""

COLUMNS: Final = (
    ColumnSpec("contract", pl.String(), "", Role.KEY, "The contract of the whole session.", null=False),
    ColumnSpec(
        "basis", pl.String(), "", Role.INFO, "Whose volume decided: previous_session, before_open or first_trades."
    ),
    ColumnSpec("share", pl.Float64(), "ratio", Role.INFO, "Its part of that volume.", null=False, low=0, high=1),
    ColumnSpec("runner_up", pl.String(), "", Role.INFO, "The second contract; null when there was only one."),
    ColumnSpec("runner_up_share", pl.Float64(), "ratio", Role.INFO, "Its part.", null=False, low=0, high=1),
    ColumnSpec(
        "is_roll",
        pl.Boolean(),
        "",
        Role.INFO,
        "No contract dominates, or another one led a session earlier.",
        null=False,
    ),
    ColumnSpec("is_dominant", pl.Boolean(), "", Role.INFO, "The share reaches the threshold.", null=False),
    ColumnSpec("known_from_ns", pl.Int64(), "ns", Role.INFO, "When the choice could be made.", null=False),
)


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of time [start_ns, end_ns) whose volume may decide."""

    basis: str
    start_ns: int
    end_ns: int
    known_from_ns: int


def front_month(
    trades: pl.LazyFrame, session: SessionWindow, *, dominance_min: float, first_trades_s: int
) -> pl.DataFrame:
    """The contract of the session: the one with the most volume before anything was decided.

    Asked in this order, the first that has trades decides: the latest earlier session of the look-back; this session
    before its open; its first `first_trades_s` seconds from the first trade. Each looks only at trades before
    `known_from_ns`, and no interaction with a level counts before that moment, so the choice never knows the future.

    Needs:  ts_event_ns, contract, size (contracts); any order.
    Shape:  one row, see `COLUMNS`. A tie goes to the contract whose name sorts first.

    Raises:
        NoDataError: the session has no trade.
    """
    earlier = reversed(previous_sessions(session.calendar, session.date, BASIS_SESSIONS))
    spans = [_Span("previous_session", one.start_ns, one.end_ns, session.start_ns) for one in earlier]
    spans.append(_Span("before_open", session.start_ns, session.open_ns, session.open_ns))
    volumes = _volumes(trades, spans)
    first_ns = rows_of(trades.filter(_is_inside(session)).select(pl.col("ts_event_ns").min())).item()
    if first_ns is None:
        raise NoDataError(
            f"no futures trade in the session of {session.date}, so there is no contract to build features of; "
            "publish the trades of that day to the service, or leave the date out"
        )
    traded = [span for span in spans if any(volumes[span].values())]
    if not traded:
        end_ns = first_ns + first_trades_s * 10**9
        spans = traded = [_Span("first_trades", first_ns, end_ns, end_ns)]
        volumes = _volumes(trades, spans)
    chosen = traded[0]
    choice, *before = (_leader(volumes[span], session) for span in traded if span.basis == chosen.basis)
    has_rolled = any(leader.contract != choice.contract for leader in before)
    is_dominant = choice.dominance_ratio >= dominance_min
    row = {
        "contract": choice.contract,
        "basis": chosen.basis,
        "share": choice.dominance_ratio,
        "runner_up": choice.runner_up,
        "runner_up_share": choice.runner_up_ratio,
        "is_roll": has_rolled or not is_dominant,
        "is_dominant": is_dominant,
        "known_from_ns": chosen.known_from_ns,
    }
    return pl.DataFrame({name: [value] for name, value in row.items()}, schema={c.name: c.dtype for c in COLUMNS})


def _volumes(trades: pl.LazyFrame, spans: Sequence[_Span]) -> dict[_Span, dict[str, int]]:
    """Of each span: what each contract traded in it. Integers, so the same in any order of rows."""
    volume = pl.col("size").cast(pl.Int64).sum()
    sums = rows_of_all([trades.filter(_is_inside(span)).group_by("contract").agg(volume) for span in spans])
    return {span: dict(rows.iter_rows()) for span, rows in zip(spans, sums, strict=True)}


def _is_inside(span: _Span | SessionWindow) -> pl.Expr:
    return pl.col("ts_event_ns").is_between(span.start_ns, span.end_ns, closed="left")


def _leader(volumes: Mapping[str, int], session: SessionWindow) -> FrontMonth:
    sizes = {name: size for name, size in volumes.items() if size}
    return rank_contracts(sizes, day=session.date, symbol="futures", metric="volume")
