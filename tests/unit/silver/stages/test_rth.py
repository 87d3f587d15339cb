"""The regular morning: wall time of New York, whatever the season, never behind the close."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from ticklake.base.errors import UsageError
from ticklake.schema.session import SessionWindow, session_window
from ticklake.silver.stages.rth import STAGE, RthParameters, rth_window

NS = 1_000_000_000


def day(text: str, calendar: str = "us_index_futures") -> SessionWindow:
    window = session_window(calendar, date.fromisoformat(text))
    assert window is not None
    return window


def utc_ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


@pytest.mark.parametrize(
    ("date_text", "start", "end"),
    [
        ("2025-01-15", "2025-01-15T14:30", "2025-01-15T17:30"),  # winter
        ("2025-07-15", "2025-07-15T13:30", "2025-07-15T16:30"),  # summer
        ("2025-03-10", "2025-03-10T13:30", "2025-03-10T16:30"),  # first session of summer time
        ("2025-11-03", "2025-11-03T14:30", "2025-11-03T17:30"),  # first session of winter time
    ],
)
def test_the_window_is_wall_time_of_new_york(date_text: str, start: str, end: str) -> None:
    assert rth_window(RthParameters(), day(date_text)) == (utc_ns(start), utc_ns(end))


def test_the_close_of_a_half_day_cuts_the_window() -> None:
    half_day = day("2024-11-29")
    assert half_day.is_half_day
    assert rth_window(RthParameters(rth_end="15:00"), half_day)[1] == utc_ns("2024-11-29T18:00")
    assert rth_window(RthParameters(rth_end="15:00"), day("2024-11-27"))[1] == utc_ns("2024-11-27T20:00")


def test_the_open_cuts_an_earlier_start() -> None:
    assert rth_window(RthParameters(rth_start="08:00"), day("2025-01-15"))[0] == utc_ns("2025-01-15T14:30")
    assert rth_window(RthParameters(rth_start="08:00"), day("2025-01-15", "always_open"))[0] == utc_ns(
        "2025-01-15T13:00"
    )


def test_the_start_stays_and_the_end_goes() -> None:
    start_ns, end_ns = rth_window(RthParameters(), day("2025-01-15"))
    times = [start_ns - 1, start_ns, start_ns + 5, end_ns - 1, end_ns]
    events = pl.LazyFrame({"ts_event_ns": times, "row": range(5), "kind": ["VWAP"] * 5})
    made = STAGE.run({"events": events}, RthParameters(), day("2025-01-15"))
    assert made["events"].collect()["row"].to_list() == [1, 2, 3]
    assert made["rth"].collect().rows() == [(start_ns, end_ns)]
    assert made["touches"].collect().rows() == [("VWAP", time) for time in times[:4]]


@pytest.mark.parametrize("parameters", [RthParameters(rth_start="12:30"), RthParameters(rth_end="half past")])
def test_times_that_make_no_window_are_refused(parameters: RthParameters) -> None:
    with pytest.raises(UsageError, match="manifest"):
        rth_window(parameters, day("2025-01-15"))
