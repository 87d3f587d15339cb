"""Small hand-made bronze frames for book_flow, and a run through its stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from ticklake.schema.session import SessionWindow, session_window
from ticklake.silver.frames import Frames
from ticklake.silver.stage import AnyStage, StageParameters, check_gives, check_needs
from ticklake.silver.stages.book_flow import STAGES

NS = 1_000_000_000
DATE = date(2024, 8, 8)
LEVELS = 5


def session(day: date = DATE) -> SessionWindow:
    window = session_window("always_open", day)
    assert window is not None
    return window


START_NS = session().start_ns


def trade_rows(*trades: tuple[float, float, float, int], venue: str = "V", contract: str = "X") -> pl.LazyFrame:
    """Trades at (seconds after the start, price, size, aggressor)."""
    return pl.LazyFrame(
        [
            _place(number, second, venue, contract) | {"price": price, "size": size, "aggressor": aggressor}
            for number, (second, price, size, aggressor) in enumerate(trades)
        ],
        schema=_PLACE | {"price": pl.Float64, "size": pl.Float64, "aggressor": pl.Int8},
    )


def book_rows(
    *books: tuple[float, float | None, float | None, float | None, float | None], venue: str = "V", contract: str = "X"
) -> pl.LazyFrame:
    """Books at (seconds, bid, bid size, ask, ask size); level n stands n - 1 points behind with n times the size."""
    sides = {
        f"{side}_{part}_{n}": pl.Float64 for n in range(1, LEVELS + 1) for side in ("bid", "ask") for part in _PARTS
    }
    rows = []
    for number, (second, bid, bid_size, ask, ask_size) in enumerate(books):
        row = _place(number, second, venue, contract)
        for n in range(1, LEVELS + 1):
            row |= {
                f"bid_px_{n}": None if bid is None else bid - (n - 1),
                f"bid_sz_{n}": None if bid_size is None else bid_size * n,
                f"ask_px_{n}": None if ask is None else ask + (n - 1),
                f"ask_sz_{n}": None if ask_size is None else ask_size * n,
            }
        rows.append(row)
    return pl.LazyFrame(rows, schema=_PLACE | sides)


def run(
    inputs: Frames,
    stages: Sequence[AnyStage] = STAGES,
    parameters: Mapping[str, StageParameters] | None = None,
    day: date = DATE,
) -> dict[str, pl.DataFrame]:
    """Every frame after all stages; what stages need and give is checked as in a pipeline."""
    frames = dict(inputs)
    for stage in stages:
        own = (parameters or {}).get(stage.name, stage.parameters())
        check_needs(frames, stage, own)
        made = {name: frame.collect().lazy() for name, frame in stage.run(frames, own, session(day)).items()}
        check_gives(made, stage, own)
        frames |= made
    return {name: frame.collect() for name, frame in frames.items()}


_PARTS = ("px", "sz")
_PLACE: dict[str, type[pl.DataType]] = {
    "ts_event_ns": pl.Int64,
    "ts_recv_ns": pl.Int64,
    "symbol": pl.String,
    "contract": pl.String,
    "venue": pl.String,
    "stream_seq": pl.Int64,
    "message_row": pl.Int32,
}


def _place(number: int, second: float, venue: str, contract: str) -> dict[str, object]:
    event_ns = START_NS + round(second * NS)
    place = (event_ns, event_ns + 1_000_000, contract, contract, venue, number, 0)
    return dict(zip(_PLACE, place, strict=True))
