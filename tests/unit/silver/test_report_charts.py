"""The pictures of a report: which days, which times, which numbers, which colours."""

from __future__ import annotations

from itertools import chain

import pytest

from ticklake.silver import report_charts as charts
from ticklake.silver import report_page as html
from ticklake.silver.certificate import Trial, Variant, make_certificate
from ticklake.silver.record import DateRecord, DateStatus
from ticklake.silver.report_cards import short
from ticklake.silver.report_days import ReportDay, calendar_days, stretches

HOUR_NS = 3_600_000_000_000
EVENING_NS = 1_763_672_400_000_000_000
"""2025-11-20 21:00 UTC."""


def luminance(color: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    parts = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(color: str, other: str) -> float:
    low, high = sorted((luminance(color), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_day_between_the_first_and_the_last_is_there():
    records = [
        DateRecord("2025-06-18", DateStatus.BUILT, rows=5),
        DateRecord("2025-06-24", DateStatus.EMPTY, "no row"),
    ]
    days = calendar_days(records, "us_index_futures")
    found = [(day.date[5:], day.status) for day in days]
    assert found == [
        ("06-18", "built"),
        ("06-19", "closed"),  # a holiday
        ("06-20", "not built"),
        ("06-21", "closed"),
        ("06-22", "closed"),
        ("06-23", "not built"),
        ("06-24", "empty"),
    ]
    assert [line[:2] for line in stretches(days)][2] == ("2025-06-21 to 2025-06-22", "closed")
    assert stretches(days)[0][0] == "2025-06-19"
    assert sum(day.rows for day in days) == 5
    assert calendar_days([], "us_index_futures") == []


def test_of_a_calendar_that_nobody_knows_no_day_is_called_closed():
    records = [DateRecord(f"2025-06-2{day}", DateStatus.BUILT, rows=1) for day in (0, 3)]
    days = calendar_days(records, "moon")
    assert [day.status for day in days] == ["built", "not built", "not built", "built"]
    assert "no calendar 'moon'" in days[1].reason


def test_a_picture_of_the_coverage_marks_each_day_without_rows_below_zero():
    days = [
        ReportDay(f"2025-06-1{day}", status, rows=4 * (status == "built"), reason=status)
        for day, status in enumerate(("built", "closed", "not built", "empty", "failed"))
    ]
    drawn = charts.coverage_chart(days)
    bars, *marks = drawn.figure.data
    assert list(bars.x) == ["2025-06-10"]
    assert sorted(chain.from_iterable(mark.x for mark in marks)) == [day.date for day in days[1:]]
    assert all(height < 0 for mark in marks for height in mark.y)
    assert len({mark.marker.symbol for mark in marks}) == 4  # no colour alone tells them apart
    assert all(word in drawn.legend for word in ("built: events", "closed", "not built", "empty", "failed"))


def test_cuts_around_midnight_lie_between_the_first_and_the_last_event_of_their_date():
    """An evening session: by the time of day, cuts after midnight would lie left of those before."""
    hours = {"2025-11-20": (1, 2, 4), "2025-11-21": (0, 3)}
    spans = {
        day: (EVENING_NS + shift * HOUR_NS, EVENING_NS + (shift + 4) * HOUR_NS)
        for shift, day in zip((0, 24), hours, strict=True)
    }
    trials = tuple(
        Trial(day, spans[day][0] + hour * HOUR_NS, Variant.REMOVED, 1.0, 1, changed=int(hour == 4))
        for day in hours
        for hour in hours[day]
    )
    drawn = charts.causality_chart(make_certificate(("price",), trials, (), 0.0), spans)
    line, good, bad = drawn.figure.data
    assert (list(good.x), [day[-2:] for day in good.y]) == ([1.0, 2.0, 0.0, 3.0], ["20", "20", "21", "21"])
    assert (list(bad.x), list(bad.y)) == ([4.0], ["2025-11-20"])
    assert [end for end in line.x if end is not None] == [0, 4.0, 0, 4.0]
    assert drawn.axis == "hours after the first event of the date"
    assert list(drawn.figure.layout.yaxis.ticktext) == [f"{day}<br>from 21:00 UTC" for day in hours]
    assert "a feature changed" in drawn.legend


@pytest.mark.parametrize(("seconds", "unit"), [(8, "seconds"), (600, "minutes"), (9 * 3600, "hours")])
def test_the_unit_of_a_time_axis_fits_its_length(seconds, unit):
    trials = (Trial("2025-11-20", EVENING_NS + seconds * 10**9, Variant.ABSURD, 1.0, 1, 0),)
    spans = {"2025-11-20": (EVENING_NS, EVENING_NS + seconds * 10**9)}
    assert charts.causality_chart(make_certificate((), trials, (), 0.0), spans).axis.startswith(unit)


def test_drift_is_read_beside_its_dots_and_no_large_one_hides_the_others():
    drawn = charts.drift_chart({"a": 8.34, "b": 0.2, "c": 0.001, "d": 0.0})
    *dots, texts = drawn.figure.data
    assert [list(dot.y) for dot in dots] == [["a"], ["b"], ["c", "d"]]
    assert list(texts.text) == ["8.34", "0.20", "<0.01", "<0.01"]
    assert drawn.figure.layout.xaxis.type == "log"
    assert not drawn.figure.layout.annotations  # words at the lines would overlap
    assert "0.1 and 0.25, the rules of thumb" in drawn.legend


@pytest.mark.parametrize(
    ("number", "span", "text"),
    [
        (0.00501, 0.45, "0.005"),
        (-0.25, 0.45, "-0.25"),
        (3.0, 0.0, "3"),
        (61_634.2, 283, "61.634k"),
        (-30_812_345.0, 54e6, "-30.8M"),
        (5725.4, 5000, "5,725"),
        (-0.000338, 0.0007, "-3.4e-4"),
        (0.0, 0.0007, "0"),
        (-0.001, 10, "0"),
        (float("nan"), 1, "none"),
    ],
)
def test_a_number_has_the_digits_that_its_axis_shows(number, span, text):
    assert short(number, span) == text


def test_shapes_and_words_stand_out():
    for color in (charts.BLUE, charts.GREEN, charts.AMBER, charts.RED, charts.GREY, html.PARENT):
        assert contrast(color, "#ffffff") >= 3
    for color in (*charts.OUTCOME_COLORS.values(), *charts.MORE_COLORS):
        assert contrast(color, charts.INK) >= 4.5
