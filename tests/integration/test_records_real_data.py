"""All bars and all company facts that we have: counts, conventions of time, and what could be known when."""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ticklake.stores.bars_import import bars_from_candles, read_json_file
from ticklake.stores.file_store import FileDataStore
from ticklake.stores.fundamentals_import import facts_from_company

DATA = Path(__file__).parents[3] / "shared" / "data"
BARS = {
    "Binance-ETH-USD-PT5M-20230313_20230315": ("5m", 580),
    "Coinbase-ETH-USD-PT1D-20160517_20260310": ("1d", 3_582),
    "Coinbase-ETH-USD-PT4H-20160518_20251028": ("4h", 20_675),
}
COMPANIES = {
    "AAPL": ("AAPL_CIK0000320193", 24_579),
    "NVDA": ("NVDA_CIK0001045810", 26_903),
    "SNOW": ("SNOW_facts", 8_163),
}
RESTATED = 200
EVER = (date(2000, 1, 1), date(2099, 1, 1))

Period = tuple[str, str, str | None, str]
Statement = tuple[str, str, float]

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there; see its README")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileDataStore:
    store = FileDataStore(tmp_path_factory.mktemp("records"))
    for name, (timeframe, _) in BARS.items():
        document = read_json_file(DATA / "ohlcv_permissive" / f"{name}.json.gz")
        store.write_bar_frame("ETH-USD", bars_from_candles(document, timeframe=timeframe), timeframe=timeframe)
    for symbol, (name, _) in COMPANIES.items():
        document = read_json_file(DATA / "sec_companyfacts" / f"{name}.json.gz")
        store.write_facts(symbol, facts_from_company(document, symbol=symbol))
    return store


@cache
def raw(folder: str, name: str) -> Any:
    return json.loads(gzip.decompress((DATA / folder / f"{name}.json.gz").read_bytes()))


@cache
def statements(symbol: str) -> dict[Period, list[Statement]]:
    """Filed day, filing and value of every statement, by period: straight from the file."""
    found: dict[Period, list[Statement]] = defaultdict(list)
    for taxonomy, concepts in raw("sec_companyfacts", COMPANIES[symbol][0])["facts"].items():
        for concept, described in concepts.items():
            for unit, rows in described["units"].items():
                for row in rows:
                    key = (f"{taxonomy}:{concept}", unit, row.get("start"), row["end"])
                    found[key].append((row["filed"], row["accn"], row["val"]))
    return found


def restated() -> Iterator[tuple[str, Period]]:
    for symbol in COMPANIES:
        for period, rows in statements(symbol).items():
            if len({value for _, _, value in rows}) > 1:
                yield symbol, period


def test_all_bars_are_there(store: FileDataStore) -> None:
    assert {series.timeframe: series.rows for series in store.list_bars()} == dict(BARS.values())


def test_both_conventions_of_time_give_the_start_of_a_bar(store: FileDataStore) -> None:
    firsts = {series.timeframe: series.first for series in store.list_bars()}
    assert firsts == {
        "5m": datetime(2023, 3, 13, 18, 0, tzinfo=UTC),  # the file says: ended 18:04:59.999
        "1d": datetime(2016, 5, 18, tzinfo=UTC),  # the file says: ended 2016-05-19 00:00
        "4h": datetime(2016, 5, 18, tzinfo=UTC),  # the file says: started then
    }


def test_bars_of_two_files_agree_where_they_overlap(store: FileDataStore) -> None:
    """Daily bars (given by their end) against complete days of 4-hour bars (given by their start)."""
    days = {bar.date: bar for bar in store.read_bars("ETH-USD", *EVER)}
    parts = defaultdict(list)
    for bar in store.read_bars("ETH-USD", *EVER, timeframe="4h"):
        parts[bar.date.replace(hour=0)].append(bar.high)
    highs = {day: max(found) for day, found in parts.items() if len(found) == 6}

    def agreeing(shift: timedelta) -> float:
        both = [(high, days[day + shift].high) for day, high in highs.items() if day + shift in days]
        assert len(both) > 3_000
        return sum(one == other for one, other in both) / len(both)

    assert agreeing(timedelta()) == 1.0
    assert agreeing(timedelta(days=1)) < 0.01  # so the comparison can tell a day from its neighbour
    assert agreeing(timedelta(days=-1)) < 0.01


def test_every_bar_is_the_one_of_the_file(store: FileDataStore) -> None:
    for row in raw("ohlcv_permissive", "Coinbase-ETH-USD-PT4H-20160518_20251028")["candles"][::97]:
        start = datetime.fromtimestamp(int(row["start"]), UTC)
        [bar] = store.read_bars("ETH-USD", start, start, timeframe="4h")
        numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        assert numbers == tuple(float(row[name]) for name in ("open", "high", "low", "close", "volume"))


def test_all_facts_are_there(store: FileDataStore) -> None:
    assert store.count_facts() == {symbol: count for symbol, (_, count) in COMPANIES.items()}
    for symbol in COMPANIES:
        assert len(store.read_facts(symbol)) == len(statements(symbol))


def test_restated_facts_are_answered_as_they_were_filed(store: FileDataStore) -> None:
    """200 numbers that later filings changed: asked on the day of the first filing and of the first change, at noon of
    that day, when the filing is not known yet, and on the day before.
    """
    chosen = random.Random(4).sample(sorted(restated(), key=str), RESTATED)
    for symbol, period in chosen:
        rows = sorted(statements(symbol)[period])
        first = rows[0]
        changed = next(row for row in rows if row[2] != first[2])
        for filed in {date.fromisoformat(first[0]), date.fromisoformat(changed[0])}:
            before = filed - timedelta(days=1)
            noon = datetime(filed.year, filed.month, filed.day, 12, tzinfo=UTC)
            for as_of, last in ((filed, filed), (noon, before), (before, before)):
                known = [row for row in rows if row[0] <= last.isoformat()]
                assert answer(store, symbol, period, as_of) == (known[-1][2] if known else None), (
                    symbol,
                    period,
                    as_of,
                )
    values = [answer(store, symbol, period, None) for symbol, period in chosen]
    assert values == [max(statements(symbol)[period])[2] for symbol, period in chosen]


def answer(store: FileDataStore, symbol: str, period: Period, as_of: date | None) -> float | None:
    concept, unit, start, end = period
    found = [
        fact.value
        for fact in store.read_facts(symbol, as_of, concept=concept)
        if (fact.unit, fact.period_start and fact.period_start.isoformat(), fact.period_end.isoformat())
        == (unit, start, end)
    ]
    assert len(found) < 2
    return found[0] if found else None
