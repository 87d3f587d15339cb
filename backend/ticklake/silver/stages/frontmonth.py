"""Which one contract a session is about, chosen by what was known before its first event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ticklake.base.errors import NoDataError
from ticklake.readers.frontmonth import FrontMonth, rank_contracts
from ticklake.schema.session import previous_sessions
from ticklake.silver.stage import ColumnSpec, Role

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

_FIRST_NS: Final = "first_ns"


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
    volumes = _volumes(trades, session, spans)
    first_ns = min((first for first in volumes[_FIRST_NS] if first is not None), default=None)
    if first_ns is None:
        raise NoDataError(
            f"no futures trade in the session of {session.date}, so there is no contract to build features of; "
            "publish the trades of that day to the service, or leave the date out"
        )
    traded = [span for index, span in enumerate(spans) if any(volumes[str(index)])]
    if not traded:
        end_ns = first_ns + first_trades_s * 10**9
        spans = traded = [_Span("first_trades", first_ns, end_ns, end_ns)]
        volumes = _volumes(trades, session, spans)
    chosen = traded[0]
    choice, *before = (_leader(volumes, spans.index(span), session) for span in traded if span.basis == chosen.basis)
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


def _volumes(trades: pl.LazyFrame, session: SessionWindow, spans: Sequence[_Span]) -> dict[str, list[Any]]:
    """Of each contract: what it traded in each span, named by its number; and its first trade of the session.

    Integers, so the same in any order of rows.
    """
    time_ns, size = pl.col("ts_event_ns"), pl.col("size").cast(pl.Int64)

    def inside(start_ns: int, end_ns: int) -> pl.Expr:
        return time_ns.is_between(start_ns, end_ns, closed="left")

    volumes = (
        trades.group_by("contract")
        .agg(
            time_ns.filter(inside(session.start_ns, session.end_ns)).min().alias(_FIRST_NS),
            *(size.filter(inside(span.start_ns, span.end_ns)).sum().alias(str(n)) for n, span in enumerate(spans)),
        )
        .collect()
    )
    return volumes.to_dict(as_series=False)


def _leader(volumes: Mapping[str, list[Any]], index: int, session: SessionWindow) -> FrontMonth:
    sizes = {name: size for name, size in zip(volumes["contract"], volumes[str(index)], strict=True) if size}
    return rank_contracts(sizes, day=session.date, symbol="futures", metric="volume")
