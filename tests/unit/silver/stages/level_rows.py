"""Small hand-made frames of es_levels, as stages 15 to 17 see them."""

from __future__ import annotations

from datetime import date

import polars as pl

from ticklake.schema.session import SessionWindow, session_window
from ticklake.silver.frames import Frames
from ticklake.silver.stages.rth import STAGE as RTH
from ticklake.silver.stages.rth import RthParameters
from ticklake.silver.stages.state import STATE_FEATURES, STATE_WORDS

NS = 1_000_000_000
DATE = date(2025, 1, 15)


def session(day: date = DATE) -> SessionWindow:
    window = session_window("us_index_futures", day)
    assert window is not None
    return window


OPEN_NS = session().open_ns


def event_rows(*events: tuple[float, str, float], open_ns: int = OPEN_NS, day: date = DATE) -> pl.DataFrame:
    """Events at (seconds after the open, kind, value); feature number i of an event is `value + i`."""
    numbers = {
        name: pl.Series([value + place for *_, value in events], dtype=pl.Float64)
        for place, name in enumerate(STATE_FEATURES)
    }
    return pl.DataFrame(
        {
            "event_id": [f"{day}_{kind}_{second}" for second, kind, _ in events],
            "date": pl.Series([day] * len(events), dtype=pl.Date),
            "ts_event_ns": pl.Series([open_ns + int(second * NS) for second, *_ in events], dtype=pl.Int64),
            "kind": pl.Series([kind for _, kind, _ in events], dtype=pl.String),
            "direction": pl.Series([1] * len(events), dtype=pl.Int8),
            "zone_points": pl.Series([5.0] * len(events), dtype=pl.Float64),
            "minutes_since_open": pl.Series([second / 60 for second, *_ in events], dtype=pl.Float64),
            **numbers,
            **{name: pl.Series(["NORMAL"] * len(events), dtype=pl.String) for name in STATE_WORDS},
        }
    )


def level_frames(events: pl.DataFrame, *, day: date = DATE) -> Frames:
    """The frames of stages 14 and before: price rises 1 point a minute from 100, every level stands at 100.

    VWAP is absent again after ten minutes.
    """
    window = session(day)
    minutes = range(-5, 200)
    kinds = ("PM_HIGH", "VWAP", "OR_LOW")
    frames = {
        "events": events.lazy(),
        "trades": pl.LazyFrame(
            {
                "ts_event_ns": [window.open_ns + 60 * NS * minute for minute in minutes],
                "price": [100.0 + minute for minute in minutes],
            }
        ),
        "levels": pl.LazyFrame(
            {
                "kind": [*kinds, "VWAP"],
                "level_price": [100.0, 100.0, 100.0, None],
                "valid_from_ns": [window.premarket_ns] * 3 + [window.open_ns + 600 * NS],
            }
        ),
    }
    return frames | RTH.run(frames, RthParameters(), window)
