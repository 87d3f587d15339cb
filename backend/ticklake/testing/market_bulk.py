"""Many futures trades at once, as a frame."""

from __future__ import annotations

from array import array

import polars as pl

from ticklake.testing.market_book import TICK
from ticklake.testing.market_dice import Dice
from ticklake.testing.market_event import SOURCE
from ticklake.testing.market_session import Session

_NEXT_CONTRACT_SHARE = 0.1
_LATENCY_NS = 120_000


def draw_trades(
    session: Session, dice: Dice, *, rows: int, contracts: tuple[str, str], open_ticks: int
) -> pl.DataFrame:
    """`rows` trades spread over regular hours; see `MarketSimulator.trades_frame` for the columns."""
    front, later = contracts
    step_ns = (session.close_ns - session.bell_ns) // max(1, rows)
    uniform = dice.uniform
    drawn = pl.DataFrame(
        {
            "row": pl.int_range(rows, eager=True),
            "jitter": array("d", [uniform() for _ in range(rows)]),
            "walk": array("d", [uniform() for _ in range(rows)]),
            "size": array("i", [dice.lots() for _ in range(rows)]),
        }
    )
    event_ns = session.bell_ns + pl.col("row") * step_ns + (pl.col("jitter") * step_ns).cast(pl.Int64)
    is_front = (pl.col("jitter") * 1_000).floor() % 10 >= 10 * _NEXT_CONTRACT_SHARE
    eighth = (pl.col("walk") * 8).floor().cast(pl.Int64)
    ticks = open_ticks + ((eighth == 7).cast(pl.Int64) - (eighth == 0).cast(pl.Int64)).cum_sum()
    return drawn.select(
        ts_event_ns=event_ns,
        ts_recv_ns=event_ns + _LATENCY_NS,
        source=pl.lit(SOURCE),
        symbol=pl.when(is_front).then(pl.lit(front)).otherwise(pl.lit(later)),
        price=ticks * TICK,
        size=pl.col("size").cast(pl.Int32),
        aggressor=(pl.col("walk") < 0.5).cast(pl.Int8) * 2 - 1,
        exchange=pl.lit("XCME"),
        seq=pl.col("row") + 1,
    )
