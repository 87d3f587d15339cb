"""Whole sessions of ES as bronze files, drawn as frames: the size of a full day without the minutes of a simulation.

600,000 trades, 2,000,000 ten-level book updates (93,600 of them remain when one in 250 ms of regular hours is kept, and
more before the open) and 1,000 option trades a session. The middle walks by ticks as far as the index does in a day.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from tests.integration.small_lake import TABLES, SmallLake

from ticklake.lake.layout import part_name
from ticklake.lake.parquet import encode_parquet
from ticklake.schema.partition import partition_folder
from ticklake.schema.session import US_INDEX_FUTURES, SessionWindow, session_window

TRADES: Final = 600_000
UPDATES: Final = 2_000_000
OPTIONS: Final = 1_000
_TICK: Final = 0.25
_EARLY_SHARE: Final = 0.08  # of the rows, before the open
_STEPS: Final = 40_000  # of the middle, one tick each: 50 points in a day
_OPEN_TICKS: Final = 24_000
_LATENCY_NS: Final = 120_000
_BLOCK_SHARE: Final = 3e-4  # of the trades
_CONTRACT: Final = "ESU5"


def add_bulk_session(lake: SmallLake, day: date, *, seed: int, scale: float = 1.0) -> dict[str, int]:
    """Draw one session into the lake; gives the rows of each table.

    Args:
        lake: where to.
        day: a trading day.
        seed: the same seed gives the same rows.
        scale: of the numbers of rows above.
    """
    session = session_window(US_INDEX_FUTURES, day)
    if session is None:
        raise ValueError(f"{day} is no trading day")
    draw = np.random.default_rng(seed)
    steps_ns = _times(draw, session, _STEPS)
    middle = _OPEN_TICKS + np.cumsum(draw.choice([-1, 1], _STEPS))
    frames = {
        "futures.trades": _trades(draw, session, steps_ns, middle, round(TRADES * scale)),
        "futures.mbp10": _book(draw, session, steps_ns, middle, round(UPDATES * scale)),
        "options.trades": _options(draw, session, steps_ns, middle, round(OPTIONS * scale)),
    }
    for table, frame in frames.items():
        _write(lake, table, frame)
    return {table: frame.height for table, frame in frames.items()}


def _times(draw: np.random.Generator, session: SessionWindow, rows: int) -> np.ndarray[Any, Any]:
    """Ascending instants of the session, few before the open."""
    early = round(rows * _EARLY_SHARE)
    parts = (
        draw.integers(session.premarket_ns, session.open_ns, early),
        draw.integers(session.open_ns, session.close_ns, rows - early),
    )
    return np.sort(np.concatenate(parts))


def _at(steps_ns: np.ndarray[Any, Any], middle: np.ndarray[Any, Any], at_ns: np.ndarray[Any, Any]) -> Any:
    """The middle as of each instant, in ticks."""
    return middle[np.maximum(np.searchsorted(steps_ns, at_ns, side="right") - 1, 0)]


def _common(times_ns: np.ndarray[Any, Any], first_seq: int) -> dict[str, Any]:
    return {
        "ts_event_ns": times_ns,
        "ts_recv_ns": times_ns + _LATENCY_NS,
        "ingest_ns": times_ns + 2 * _LATENCY_NS,
        "source": pl.repeat("bulk", times_ns.size, eager=True),
        "stream_seq": np.arange(first_seq, first_seq + times_ns.size),
        "message_row": np.zeros(times_ns.size, dtype=np.int32),
    }


def _trades(draw: np.random.Generator, session: SessionWindow, steps_ns: Any, middle: Any, rows: int) -> pl.DataFrame:
    times = _times(draw, session, rows)
    aggressor = draw.choice([-1, 1], rows)
    price = (_at(steps_ns, middle, times) + (aggressor > 0)) * _TICK
    front = pl.Series(draw.random(rows) < 0.95)
    return pl.DataFrame(
        {
            **_common(times, 1),
            "contract": pl.select(pl.when(front).then(pl.lit(_CONTRACT)).otherwise(pl.lit("ESZ5"))).to_series(),
            "price": np.where(front, price, price + 40),
            "size": np.where(draw.random(rows) < _BLOCK_SHARE, draw.integers(80, 200, rows), draw.geometric(0.3, rows)),
            "aggressor": aggressor,
        }
    )


def _book(draw: np.random.Generator, session: SessionWindow, steps_ns: Any, middle: Any, rows: int) -> pl.DataFrame:
    times = _times(draw, session, rows)
    bid = _at(steps_ns, middle, times)
    columns: dict[str, Any] = {}
    for side, sign, best in (("bid", -1, bid), ("ask", 1, bid + 1)):
        for level in range(1, 11):
            columns[f"{side}_px_{level}"] = (best + sign * (level - 1)) * _TICK
            rested = draw.integers(10, 60 + 10 * level, rows // 40 + 1)
            columns[f"{side}_sz_{level}"] = np.repeat(rested, 40)[:rows] + (draw.random(rows) < 0.1)
    is_bid = draw.random(rows) < 0.5
    depth = draw.integers(0, 10, rows)
    return pl.DataFrame(
        {
            **_common(times, 10_000_000),
            "contract": pl.repeat(_CONTRACT, rows, eager=True),
            "is_snapshot": np.zeros(rows, dtype=np.bool_),
            "action": pl.Series(["A", "C", "M", "F"])[draw.choice(4, rows, p=[0.45, 0.42, 0.1, 0.03])],
            "side": pl.select(pl.when(pl.Series(is_bid)).then(pl.lit("B")).otherwise(pl.lit("A"))).to_series(),
            "action_price": np.where(is_bid, bid - depth, bid + 1 + depth) * _TICK,
            "action_size": np.minimum(draw.geometric(0.2, rows), 100),
            **columns,
        }
    )


def _options(draw: np.random.Generator, session: SessionWindow, steps_ns: Any, middle: Any, rows: int) -> pl.DataFrame:
    times = _times(draw, session, rows)
    strike = np.round(_at(steps_ns, middle, times) * _TICK / 5 + draw.integers(-8, 9, rows)) * 5.0
    right = pl.Series(["C", "P"])[draw.integers(0, 2, rows)]
    return pl.DataFrame(
        {
            **_common(times, 20_000_000),
            "option_symbol": pl.select(pl.format("E{}{}", right, pl.Series(strike))).to_series(),
            "strike": strike,
            "right": right,
            "exp_date": pl.repeat(session.date + timedelta(days=3), rows, eager=True),
            "price": draw.integers(1, 200, rows) * 0.25,
            "size": np.minimum(draw.geometric(0.01, rows), 1_000),
            "aggressor": draw.choice([-1, 1], rows),
        }
    )


def _write(lake: SmallLake, table: str, frame: pl.DataFrame) -> None:
    """One file per hour, in event order."""
    spec = TABLES.get(table)
    lake.segment += 1
    known = frame.columns
    hour = frame.select(pl.from_epoch("ts_event_ns", "ns").dt.truncate("1h").alias("hour"))["hour"]
    for part in frame.with_columns(hour=hour).partition_by("hour", maintain_order=True):
        moment: datetime = part["hour"][0].replace(tzinfo=UTC)
        folder = partition_folder(
            {key: {"date": f"{moment:%Y-%m-%d}", "hour": f"{moment:%H}"}.get(key, "ES") for key in spec.partition_by}
        )
        name = part_name(writer=lake.writer, segment=lake.segment, min_ns=part["ts_event_ns"][0])
        path = lake.root / spec.folder / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        absent = [pl.lit(None).alias(field.name) for field in spec.arrow_schema if field.name not in known]
        rows = part.with_columns(absent).select(spec.arrow_schema.names).to_arrow().cast(spec.arrow_schema)
        path.write_bytes(encode_parquet(rows, footer={"schema": spec.schema_id}, sorted_by=["ts_event_ns"]))
