"""Bars as frames: merging against a dictionary, months, what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.base.errors import RejectedError
from ticklake.stores.bars_frame import BAR_SCHEMA, START, bars_of, by_month, checked_frame, frame_of, merge
from ticklake.stores.models import PriceBar
from ticklake.stores.spans import ALWAYS

FIRST = datetime(2026, 1, 31, 22, tzinfo=UTC)
Writes = list[tuple[int, int]]


def frame(writes: Writes) -> pl.DataFrame:
    return frame_of([bar(minute, close) for minute, close in writes])


def bar(minute: int, close: float) -> PriceBar:
    return PriceBar("X", FIRST + timedelta(minutes=minute), close, close, close, close, 1)


writes = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1000)), max_size=30)


@given(st.lists(writes, max_size=5))
def test_merging_is_a_dictionary_with_the_newest_value(batches: list[Writes]) -> None:
    stored, expected = pl.DataFrame(schema=BAR_SCHEMA), dict[int, int]()
    for batch in batches:
        stored = merge(stored, frame(batch))
        expected |= dict(batch)
    assert stored.schema == BAR_SCHEMA
    found = bars_of(stored, symbol="X", timeframe="1d", span=ALWAYS)
    assert found == [bar(minute, close) for minute, close in sorted(expected.items())]


@given(writes)
def test_months_are_the_whole_in_order(batch: Writes) -> None:
    rows = frame([(minute * 60 * 24, close) for minute, close in batch])
    parts = list(by_month(rows))
    assert [name for name, _ in parts] == sorted({f"{start:%Y-%m}" for start in rows[START]})
    assert all({f"{start:%Y-%m}" for start in part[START]} == {name} for name, part in parts)
    assert pl.concat([pl.DataFrame(schema=BAR_SCHEMA), *(part for _, part in parts)]).equals(rows)


def test_the_last_month_that_there_is_ends() -> None:
    rows = frame_of([PriceBar("X", datetime(9999, 12, 31, tzinfo=UTC), 1, 1, 1, 1, 1)])
    assert [name for name, _ in by_month(rows)] == ["9999-12"]


def columns(**changed: object) -> pl.DataFrame:
    good = {"start": [FIRST], "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0], "volume": [1.0]}
    return pl.DataFrame({**good, **changed}, strict=False)


@pytest.mark.parametrize(
    "changed",
    [
        {"close": [None]},
        {"close": [float("inf")]},
        {"close": [float("nan")]},
        {"close": ["much"]},
        {"volume": [-1.0]},
        {"start": [None]},
        {"start": [17]},
    ],
    ids=str,
)
def test_what_is_no_bar_is_refused(changed: dict[str, list[object]]) -> None:
    with pytest.raises(RejectedError):
        checked_frame(columns(**changed))


def test_parts_of_a_microsecond_are_refused_because_two_bars_could_collide() -> None:
    bad, good = (pl.Series("start", [ns], dtype=pl.Datetime("ns", "UTC")) for ns in (1, 1000))
    with pytest.raises(RejectedError, match="parts of a microsecond"):
        checked_frame(columns().with_columns(bad))
    assert checked_frame(columns().with_columns(good))[START][0].microsecond == 1


@pytest.mark.parametrize(
    ("start", "means"),
    [
        (pl.Series([FIRST.replace(tzinfo=None)]), FIRST),
        (pl.Series([FIRST]).dt.convert_time_zone("America/New_York"), FIRST),
        (pl.Series([date(2026, 1, 31)]), datetime(2026, 1, 31, tzinfo=UTC)),
        (pl.Series([FIRST]).dt.cast_time_unit("ms"), FIRST),
    ],
    ids=["naive", "zone", "date", "milliseconds"],
)
def test_every_way_to_write_a_time_means_utc(start: pl.Series, means: datetime) -> None:
    rows = checked_frame(columns().with_columns(start.alias("start")))
    assert rows.schema == BAR_SCHEMA
    assert rows[START].to_list() == [means]
