"""Candle files and company facts: shapes, conventions of time, what is refused."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ticklake.base.errors import RejectedError, UsageError
from ticklake.stores.bars_frame import START
from ticklake.stores.bars_import import bars_from_candles, length_of, read_json_file
from ticklake.stores.fundamentals_import import facts_from_company

START_S = 1_767_600_000  # 2026-01-05 08:00 UTC
NUMBERS = {"open": "1", "high": "2", "low": "0.5", "close": "1.5", "volume": "7"}


def by_start(start_s: int) -> dict[str, Any]:
    return {"candles": [{"start": str(start_s), **NUMBERS}]}


def by_end(end_ms: int) -> dict[str, Any]:
    prices = {f"{name}Price": float(NUMBERS[name]) for name in ("open", "high", "low", "close")}
    return {"ohlc": [{"endTime": end_ms, **prices, "volume": 7}]}


@pytest.mark.parametrize(
    "document",
    [by_start(START_S), by_end((START_S + 3600) * 1000), by_end((START_S + 3600) * 1000 - 1)],
    ids=["start", "end", "last millisecond"],
)
def test_every_convention_gives_the_start(document: dict[str, Any]) -> None:
    rows = bars_from_candles(document, timeframe="1h")
    assert rows.row(0) == (datetime(2026, 1, 5, 8, tzinfo=UTC), 1.0, 2.0, 0.5, 1.5, 7.0)


def test_a_time_off_the_grid_is_refused() -> None:
    with pytest.raises(RejectedError, match="1800 s after a whole 1h"):
        bars_from_candles(by_start(START_S + 1800), timeframe="1h")
    with pytest.raises(RejectedError, match="give the right --timeframe"):
        bars_from_candles(by_start(START_S), timeframe="1d")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (by_start(START_S * 1000), "bar 0 has start 1767600000000: expected seconds since 1970"),
        (by_end(START_S * 10**6), "bar 0 has endTime 1767600000000000: expected milliseconds since 1970"),
    ],
)
def test_a_time_of_another_unit_is_refused(document: dict[str, Any], told: str) -> None:
    with pytest.raises(RejectedError, match=told):
        bars_from_candles(document, timeframe="5m")


def test_weeks_begin_on_monday() -> None:
    monday = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())
    assert bars_from_candles(by_start(monday), timeframe="1w")[START].dt.weekday().to_list() == [1]
    with pytest.raises(RejectedError):
        bars_from_candles(by_start(monday + 86_400 * 3), timeframe="1w")


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"candles": 1},
        {"candles": [{}]},
        {"candles": [{"start": "1", **NUMBERS, "open": "much"}]},
        {"ohlc": [1]},
    ],
    ids=str,
)
def test_another_shape_is_refused(document: Any) -> None:
    with pytest.raises(RejectedError):
        bars_from_candles(document, timeframe="1s")


def test_a_timeframe_is_a_length() -> None:
    assert [length_of(text) for text in ("90s", "5m", "4h", "1d", "1w")] == [
        timedelta(seconds=90), timedelta(minutes=5), timedelta(hours=4), timedelta(days=1), timedelta(weeks=1),
    ]  # fmt: skip
    for text in ("", "5", "0m", "-1h", "1M", "5 m"):
        with pytest.raises(UsageError):
            length_of(text)


def test_a_broken_file_says_which(tmp_path: Path) -> None:
    for name, content in (
        ("torn.gz", gzip.compress(b'{"candles": []}')[:-6]),
        ("bad.gz", b"\x1f\x8b\x08\0nonsense"),
        ("bad.json", b"{"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=name) as refused:
            read_json_file(tmp_path / name)
        assert "restore" not in str(refused.value)
    for name in ("missing.json", "."):
        with pytest.raises(UsageError, match="check the path"):
            read_json_file(tmp_path / name)


def test_a_filing_is_known_from_the_end_of_its_day() -> None:
    statement = {"end": "2024-12-31", "val": 5, "accn": "1", "filed": "2025-02-01"}
    document = {"facts": {"us-gaap": {"Assets": {"units": {"USD": [statement]}}}}}
    [fact] = facts_from_company(document, symbol="X")
    assert (fact.concept, fact.period_start, fact.period_end) == ("us-gaap:Assets", None, date(2024, 12, 31))
    assert fact.known_at == datetime(2025, 2, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    del statement["filed"]
    with pytest.raises(RejectedError, match="us-gaap:Assets"):
        facts_from_company(document, symbol="X")
    with pytest.raises(RejectedError):
        facts_from_company([], symbol="X")
