"""What every `DataStore` must do, as tests for any backend. Needs pytest only to run.

class TestMyStore(DataStoreSuite):
    @pytest.fixture
    def store(self) -> Iterator[DataStore]:
        yield MyStore(...)          # empty for each test
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import polars as pl

from ticklake.base.errors import RejectedError, TickLakeError, UsageError
from ticklake.stores.audit_chain import ChainHead
from ticklake.stores.audit_records import AuditKind
from ticklake.stores.models import (
    Action,
    Decision,
    Event,
    FundamentalData,
    FundamentalFact,
    Order,
    OrderResult,
    OrderStatus,
    PriceBar,
)
from ticklake.stores.protocol import DataStore
from ticklake.stores.state import StateConflictError

HOSTILE_NAMES: Final = (
    "../x", "a/b", "*", "\0", "x" * 300, "BTC/USD", "BTCUSD", "btcusd", "📈", "caf\u00e9", "cafe\u0301", "a%2Fb", "%",
    ".", "..", " ", "a\nb", "'; DROP TABLE bars; --", "__HIVE_DEFAULT_PARTITION__", "CON", "symbol=x",
)  # fmt: skip
"""Names that break stores that trust names. No two of them may meet."""

NOON: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)
_WRITERS: Final = 8
_WRITES: Final = 5


def bar(start: datetime, close: float = 1.0, *, symbol: str = "AAPL", timeframe: str = "1d") -> PriceBar:
    """A bar with one price throughout."""
    return PriceBar(symbol, start, close, close, close, close, 10, timeframe)


def snapshot(timestamp: datetime, employees: int, *, known_at: datetime | None = None) -> FundamentalData:
    """A snapshot that can be told from others by its head count."""
    return FundamentalData("AAPL", timestamp, "Apple Inc", "0000320193", employees, known_at=known_at)


def fact(value: float, known_at: datetime, *, concept: str = "us-gaap:Revenues", source: str = "1") -> FundamentalFact:
    """A statement about the year 2024."""
    return FundamentalFact("AAPL", concept, "USD", value, date(2024, 12, 31), known_at, date(2024, 1, 1), source)


def event(happened: datetime, kind: str = "earnings", **payload: Any) -> Event:
    """An event of AAPL."""
    return Event(kind, "AAPL", happened, happened + timedelta(seconds=1), "wire", payload)


def refuses(kind: type[TickLakeError], call: Callable[[], object]) -> TickLakeError:
    """The error that `call` must raise."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


class BarSuite:
    """Bars."""

    def test_bars_come_back_in_order_and_as_they_were(self, store: DataStore) -> None:
        """Aware in, aware out; the order of writing does not matter."""
        bars = [bar(NOON + timedelta(days=day), close=day + 0.1) for day in range(40)]
        store.write_bars("AAPL", bars[20:])
        store.write_bars("AAPL", bars[:20][::-1])
        assert store.read_bars("AAPL", NOON, NOON + timedelta(days=99)) == bars

    def test_naive_times_are_utc_and_come_back_naive(self, store: DataStore) -> None:
        """The answer has the form of the question."""
        store.write_bars("AAPL", [bar(datetime(2026, 1, 5))])  # noqa: DTZ001 - the point of the test
        [naive] = store.read_bars("AAPL", datetime(2026, 1, 5), datetime(2026, 1, 5))  # noqa: DTZ001
        [aware] = store.read_bars("AAPL", datetime(2026, 1, 5, tzinfo=UTC), date(2026, 1, 5))
        assert naive.date == datetime(2026, 1, 5)  # noqa: DTZ001
        assert aware.date == datetime(2026, 1, 5, tzinfo=UTC)

    def test_intraday_bars_never_collapse(self, store: DataStore) -> None:
        """The key is the start, to the microsecond."""
        starts = [NOON + step * timedelta(microseconds=1) for step in range(5)]
        store.write_bars("AAPL", [bar(start, timeframe="1us") for start in starts])
        assert [one.date for one in store.read_bars("AAPL", NOON, date(2026, 1, 5), timeframe="1us")] == starts

    def test_timeframes_do_not_mix(self, store: DataStore) -> None:
        """One start, two lengths, two bars."""
        store.write_bars("AAPL", [bar(NOON, 1.0, timeframe="5m"), bar(NOON, 2.0, timeframe="1h")])
        assert [one.close for one in store.read_bars("AAPL", NOON, NOON, timeframe="5m")] == [1.0]
        assert [one.close for one in store.read_bars("AAPL", NOON, NOON, timeframe="1h")] == [2.0]
        assert store.read_bars("AAPL", NOON, NOON) == []

    def test_of_equal_keys_the_last_written_bar_stays(self, store: DataStore) -> None:
        """Between writes and within one."""
        store.write_bars("AAPL", [bar(NOON, 1.0), bar(NOON + timedelta(days=1), 5.0)])
        store.write_bars("AAPL", [bar(NOON, 2.0), bar(NOON, 3.0)])
        assert [one.close for one in store.read_bars("AAPL", NOON, date(2026, 1, 31))] == [3.0, 5.0]

    def test_both_ends_of_a_range_are_included(self, store: DataStore) -> None:
        """Also across months and years."""
        starts = [datetime(2025, 12, 31, tzinfo=UTC) + timedelta(days=day) for day in range(3)]
        store.write_bars("AAPL", [bar(start) for start in starts])
        assert len(store.read_bars("AAPL", starts[0], starts[2])) == 3
        assert [one.date for one in store.read_bars("AAPL", starts[1], starts[1])] == [starts[1]]
        assert refuses(UsageError, lambda: store.read_bars("AAPL", starts[1], starts[0]))

    def test_unknown_symbols_and_empty_writes_are_nothing(self, store: DataStore) -> None:
        """Neither is an error."""
        store.write_bars("AAPL", [])
        assert store.read_bars("AAPL", NOON, NOON) == []
        assert store.read_bar_frame("MISSING").is_empty()
        assert store.list_bars() == []

    def test_bars_of_another_symbol_are_refused_whole(self, store: DataStore) -> None:
        """Nothing of such a write is stored."""
        refuses(RejectedError, lambda: store.write_bars("AAPL", [bar(NOON), bar(NOON, symbol="MSFT")]))
        assert store.list_bars() == []

    def test_frames_and_models_are_two_views_of_one_thing(self, store: DataStore) -> None:
        """Any Arrow table, naive or not, with Decimal or float."""
        rows = pl.DataFrame({"date": [NOON], "open": [1], "high": [2], "low": [0.5], "close": [1.5], "volume": [7]})
        assert store.write_bar_frame("AAPL", rows.to_arrow(), timeframe="5m") == 1
        [one] = store.read_bars("AAPL", NOON, NOON, timeframe="5m")
        assert one == PriceBar("AAPL", NOON, 1.0, 2.0, 0.5, 1.5, 7, "5m")
        assert store.read_bar_frame("AAPL", timeframe="5m").row(0) == (NOON, 1.0, 2.0, 0.5, 1.5, 7.0)
        refuses(RejectedError, lambda: store.write_bar_frame("AAPL", rows.with_columns(close=float("nan"))))
        refuses(RejectedError, lambda: store.write_bar_frame("AAPL", rows.drop("close")))

    def test_hostile_symbols_stay_apart(self, store: DataStore) -> None:
        """As symbol and as timeframe."""
        for number, name in enumerate(HOSTILE_NAMES):
            store.write_bars(name, [bar(NOON, float(number), symbol=name, timeframe=name)])
        for number, name in enumerate(HOSTILE_NAMES):
            [one] = store.read_bars(name, NOON, NOON, timeframe=name)
            assert (one.symbol, one.close) == (name, float(number))
        assert sorted(series.symbol for series in store.list_bars()) == sorted(HOSTILE_NAMES)

    def test_writers_at_once_lose_no_bar(self, store: DataStore) -> None:
        """Eight of them, in one month."""

        def write(writer: int) -> None:
            for step in range(_WRITES):
                store.write_bars("AAPL", [bar(NOON + timedelta(minutes=writer * 100 + step))])

        with ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(write, range(_WRITERS)))
        assert len(store.read_bar_frame("AAPL")) == _WRITERS * _WRITES


class FundamentalSuite:
    """Snapshots and facts."""

    def test_the_newest_snapshot_is_read(self, store: DataStore) -> None:
        """By event time, not by the order of writing."""
        store.write_fundamental("AAPL", snapshot(NOON, 166_000))
        store.write_fundamental("AAPL", snapshot(NOON - timedelta(days=4), 160_000))
        assert store.read_fundamental("AAPL") == snapshot(NOON, 166_000)
        assert store.read_fundamental("MISSING") is None

    def test_as_of_is_inclusive_and_sees_nothing_later(self, store: DataStore) -> None:
        """To the microsecond; a date means until its end."""
        store.write_fundamental("AAPL", snapshot(NOON - timedelta(days=90), 1, known_at=NOON))
        assert store.read_fundamental("AAPL", NOON - timedelta(microseconds=1)) is None
        assert store.read_fundamental("AAPL", NOON) is not None
        assert store.read_fundamental("AAPL", date(2026, 1, 4)) is None
        assert store.read_fundamental("AAPL", date(2026, 1, 5)) is not None

    def test_a_restatement_leaves_the_earlier_answer(self, store: DataStore) -> None:
        """Both can be had, each as of its time; within one second, too."""
        store.write_fundamental("AAPL", snapshot(NOON, 1))
        store.write_fundamental("AAPL", snapshot(NOON, 2, known_at=NOON + timedelta(microseconds=2)))
        for as_of, employees in ((NOON, 1), (NOON + timedelta(microseconds=2), 2), (None, 2)):
            found = store.read_fundamental("AAPL", as_of)
            assert found is not None
            assert found.employees == employees
        assert [one.employees for one in store.read_fundamental_history("AAPL")] == [1, 2]

    def test_a_snapshot_is_kept_once_with_its_types(self, store: DataStore) -> None:
        """Writing it again changes nothing; Decimal stays Decimal."""
        data = FundamentalData("AAPL", NOON, "Apple", "1", None, Decimal("14776353000.10"), raw_xml="<a>\0é</a>")
        store.write_fundamental("AAPL", data)
        store.write_fundamental("AAPL", data)
        assert store.read_fundamental_history("AAPL") == [data]
        assert store.count_fundamentals() == {"AAPL": 1}
        refuses(RejectedError, lambda: store.write_fundamental("MSFT", data))

    def test_facts_are_answered_as_they_could_be_known(self, store: DataStore) -> None:
        """Of filings known at one instant the higher number counts; another concept is another answer."""
        later = NOON + timedelta(days=30)
        store.write_facts("AAPL", [fact(10.0, NOON), fact(12.0, later, source="3"), fact(11.0, later, source="2")])
        store.write_facts("AAPL", [fact(5.0, NOON, concept="us-gaap:Assets")])
        answers = [
            {one.concept: one.value for one in store.read_facts("AAPL", as_of)}
            for as_of in (NOON - timedelta(microseconds=1), NOON, later, None)
        ]
        both = {"us-gaap:Assets": 5.0, "us-gaap:Revenues": 10.0}
        assert answers == [{}, both, {**both, "us-gaap:Revenues": 12.0}, {**both, "us-gaap:Revenues": 12.0}]
        assert [one.value for one in store.read_facts("AAPL", concept="us-gaap:Assets")] == [5.0]
        assert [one.value for one in store.read_fact_history("AAPL", concept="us-gaap:Revenues")] == [10.0, 11.0, 12.0]
        assert store.count_facts() == {"AAPL": 4}

    def test_a_fact_written_again_is_one_fact(self, store: DataStore) -> None:
        """Of equal statements the last; an instant has no start, and that is part of the key."""
        instant = FundamentalFact("AAPL", "us-gaap:Revenues", "USD", 1, date(2024, 12, 31), NOON, source="1")
        store.write_facts("AAPL", [fact(1.0, NOON), instant])
        store.write_facts("AAPL", [fact(2.0, NOON), instant])
        assert [(one.period_start, one.value) for one in store.read_fact_history("AAPL")] == [
            (None, 1.0),
            (date(2024, 1, 1), 2.0),
        ]
        assert store.read_facts("MISSING") == []


class EventSuite:
    """Events."""

    def test_events_are_found_by_time_and_type(self, store: DataStore) -> None:
        """Both ends included, sorted by time."""
        late, early = event(NOON + timedelta(days=2), "split"), event(NOON)
        store.write_event(late)
        store.write_event(early)
        assert store.read_events(NOON, NOON + timedelta(days=2)) == [early, late]
        assert store.read_events(NOON, NOON + timedelta(days=2), ["split"]) == [late]
        assert store.read_events(NOON, NOON) == [early]
        assert store.read_events(NOON, NOON, []) == []
        assert store.count_events() == {("2026-01-05", "earnings"): 1, ("2026-01-07", "split"): 1}
        refuses(RejectedError, lambda: store.read_events(NOON, NOON, "split"))

    def test_payloads_keep_their_types(self, store: DataStore) -> None:
        """Nested, with Decimal, times, ids, bytes and NaN-free text of any kind."""
        payload: dict[str, Any] = {
            "eps": Decimal("1.10"),
            "at": NOON,
            "id": UUID(int=7),
            "raw": b"\0\xff",
            "deep": [{"x": (1, "\0é")}],
        }
        store.write_event(event(NOON, **payload))
        [found] = store.read_events(NOON, NOON)
        assert found.payload == payload

    def test_equal_times_keep_the_order_of_writing(self, store: DataStore) -> None:
        """And hostile types and no symbol are fine."""
        for name in HOSTILE_NAMES:
            store.write_event(Event(name, None, NOON, NOON, name, {}))
        assert [one.type for one in store.read_events(NOON, NOON)] == list(HOSTILE_NAMES)
        assert [one.source for one in store.read_events(NOON, NOON, ["*"])] == ["*"]


class StateSuite:
    """State of strategies."""

    def test_a_state_comes_back_with_its_types(self, store: DataStore) -> None:
        """The newest version, and None when there is none."""
        state = {"positions": {"AAPL": 100, 7: "key"}, "cash": Decimal("10000.00"), "at": NOON}
        assert store.load_strategy_state("value") is None
        assert store.save_strategy_state("value", {"cash": 1}) == 1
        assert store.save_strategy_state("value", state, schema="value/1") == 2
        assert store.load_strategy_state("value") == state
        found = store.read_strategy_state("value", version=1)
        assert found is not None
        assert (found.state, found.schema) == ({"cash": 1}, None)
        assert store.list_state_versions("value") == [1, 2]
        assert store.read_strategy_state("value", version=3) is None

    def test_old_states_go_and_the_current_one_stays(self, store: DataStore) -> None:
        """The newest versions stay, of this strategy only; numbers go on."""
        for number in range(5):
            store.save_strategy_state("value", {"n": number})
        store.save_strategy_state("other", {"n": 0})
        refuses(UsageError, lambda: store.delete_old_states("value", 0))
        assert store.delete_old_states("value", 2) == 3
        assert store.delete_old_states("value", 2) == store.delete_old_states("nobody") == 0
        assert store.list_state_versions("value") == [4, 5]
        assert store.save_strategy_state("value", {"n": 9}) == 6
        assert store.list_state_versions("other") == [1]

    def test_who_read_an_old_version_is_told(self, store: DataStore) -> None:
        """Nothing is written then."""
        store.save_strategy_state("value", {"n": 1}, expected_version=0)
        error = refuses(StateConflictError, lambda: store.save_strategy_state("value", {"n": 2}, expected_version=0))
        assert isinstance(error, StateConflictError)
        assert (error.expected, error.current) == (0, 1)
        refuses(StateConflictError, lambda: store.save_strategy_state("value", {"n": 2}, expected_version=5))
        assert store.load_strategy_state("value") == {"n": 1}

    def test_counting_together_by_compare_and_set_loses_nothing(self, store: DataStore) -> None:
        """Eight writers add one again and again."""
        store.save_strategy_state("count", {"n": 0})

        def add(_: int) -> None:
            for _ in range(_WRITES):
                while True:
                    seen = store.read_strategy_state("count")
                    assert seen is not None
                    try:
                        store.save_strategy_state("count", {"n": seen.state["n"] + 1}, expected_version=seen.version)
                        break
                    except StateConflictError:
                        continue

        with ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(add, range(_WRITERS)))
        assert store.load_strategy_state("count") == {"n": _WRITERS * _WRITES}

    def test_hostile_strategies_stay_apart(self, store: DataStore) -> None:
        """Names are any text."""
        for name in HOSTILE_NAMES:
            store.save_strategy_state(name, {"name": name})
        assert [store.load_strategy_state(name) for name in HOSTILE_NAMES] == [{"name": n} for n in HOSTILE_NAMES]
        assert store.list_strategies() == sorted(HOSTILE_NAMES)


class AuditSuite:
    """The audit log."""

    decision = Decision("AAPL", Action.BUY, Decimal("0.05"), 0.8, "Strong\nfundamentals \0 é", "d-1")
    order = Order("value", "AAPL", "BUY", 100, "LIMIT", Decimal("150.25"), "d-1")
    result = OrderResult(123, OrderStatus.FILLED, Decimal("150.20"), 100)

    def test_decisions_and_orders_can_be_read_again(self, store: DataStore) -> None:
        """In the order of logging, with their types, by strategy and time; the decision's id joins them."""
        first = store.log_decision("value", self.decision)
        store.log_decision("growth", self.decision)
        order = store.log_order("value", self.order, self.result)
        assert [one.seq for one in store.read_decisions()] == [1, 2]
        assert store.read_decisions(strategy_name="value") == [first]
        assert first.decision == self.decision
        assert store.read_orders() == [order]
        assert (order.order, order.result) == (self.order, self.result)
        assert order.order.decision_id == first.decision.decision_id
        assert store.read_decisions(first.timestamp, first.timestamp, strategy_name="value") == [first]
        assert store.read_decisions(first.timestamp + timedelta(days=1)) == []

    def test_a_log_that_nobody_touched_verifies(self, store: DataStore) -> None:
        """An empty one, too; and a head kept elsewhere is found in it later."""
        assert store.verify_audit(AuditKind.ORDERS).is_ok
        for _ in range(3):
            store.log_decision("value", self.decision)
        report = store.verify_audit(AuditKind.DECISIONS)
        assert (report.is_ok, report.lines, report.head.seq) == (True, 3, 3)
        store.log_decision("value", self.decision)
        assert store.verify_audit(AuditKind.DECISIONS, anchor=report.head).is_ok
        assert not store.verify_audit(AuditKind.DECISIONS, anchor=ChainHead(3, "f" * 64)).is_ok
        assert not store.verify_audit(AuditKind.DECISIONS, anchor=ChainHead(9, report.head.hash)).is_ok

    def test_writers_at_once_make_one_chain(self, store: DataStore) -> None:
        """No number is given twice, none is left out."""

        def log(writer: int) -> None:
            for _ in range(_WRITES):
                store.log_decision(f"strategy {writer}", self.decision)

        with ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(log, range(_WRITERS)))
        assert [one.seq for one in store.read_decisions()] == list(range(1, _WRITERS * _WRITES + 1))
        assert store.verify_audit(AuditKind.DECISIONS).is_ok


class DataStoreSuite(BarSuite, FundamentalSuite, EventSuite, StateSuite, AuditSuite):
    """Everything a data store promises. Subclass it with a fixture `store` that gives an empty one."""

    def test_it_has_every_call(self, store: DataStore) -> None:
        """As the protocol names them."""
        assert isinstance(store, DataStore)
