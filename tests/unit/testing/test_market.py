"""The simulated market keeps the promises a reader of market data relies on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from ticklake.base.errors import UsageError
from ticklake.testing.market import BOOK_SUBJECT, TRADES_SUBJECT, MarketSimulator, SimulatedEvent, encode
from ticklake.testing.market_options import NBBO_SUBJECT
from ticklake.testing.market_options import TRADES_SUBJECT as OPTION_TRADES_SUBJECT
from ticklake.testing.market_signals import SIGNALS_SUBJECT

DAY = date(2024, 12, 16)
MINUTE_NS = 60 * 10**9
FIRST_10K = "2f7ecb69883d1c41130e6490d5a1291cfa3cd47c477f4787b6d27c8f2c09b30f"


@pytest.fixture(scope="module")
def opening() -> list[SimulatedEvent]:
    """The first six minutes after the bell, busy enough to hold everything."""
    market = MarketSimulator(7, DAY, scale=0.8, begin=time(9, 29))
    return list(market.events(end_ns=market.session.bell_ns + 6 * MINUTE_NS))


def payloads(events: list[SimulatedEvent], subject: str) -> list[dict[str, Any]]:
    return [event.payload for event in events if event.subject == subject]


def fingerprint(events: Iterator[SimulatedEvent]) -> str:
    digest = hashlib.sha256()
    for event in events:
        digest.update(b"%d %s " % (event.event_ns, event.subject.encode()))
        digest.update(encode(event))
    return digest.hexdigest()


def test_the_seed_decides_every_byte_on_every_machine() -> None:
    assert fingerprint(islice(MarketSimulator(7, DAY, begin=time(9, 29)).events(), 10_000)) == FIRST_10K


def test_another_seed_is_another_day() -> None:
    first, second = (
        fingerprint(islice(MarketSimulator(seed, DAY, begin=time(9, 29)).events(), 500)) for seed in (1, 2)
    )
    assert first != second


def test_events_are_ordered_and_inside_the_session(opening: list[SimulatedEvent]) -> None:
    assert all(before.event_ns <= after.event_ns for before, after in pairwise(opening))
    market = MarketSimulator(7, DAY, scale=0.02, begin=time(15, 58))
    closing = list(market.events())
    begin = datetime.combine(DAY, time(15, 58), ZoneInfo("America/New_York"))
    assert closing[0].event_ns >= begin.timestamp() * 10**9
    assert market.session.close_ns - MINUTE_NS < closing[-1].event_ns < market.session.close_ns


def test_a_window_shows_what_the_whole_day_shows_there(opening: list[SimulatedEvent]) -> None:
    market = MarketSimulator(7, DAY, scale=0.8, begin=time(9, 29))
    start_ns, end_ns = market.session.bell_ns + MINUTE_NS, market.session.bell_ns + 2 * MINUTE_NS
    expected = [event for event in opening if start_ns <= event.event_ns < end_ns]
    assert list(market.events(start_ns, end_ns)) == expected
    assert len(expected) > 1_000


@pytest.mark.parametrize("subjects", [(TRADES_SUBJECT, OPTION_TRADES_SUBJECT), (BOOK_SUBJECT, SIGNALS_SUBJECT)])
def test_an_event_is_the_same_when_others_are_not_asked_for(subjects: tuple[str, ...]) -> None:
    market = MarketSimulator(7, DAY, scale=0.3, begin=time(9, 29))
    end_ns = market.session.bell_ns + MINUTE_NS
    among_all = [event for event in market.events(end_ns=end_ns) if event.subject in subjects]
    assert list(market.events(end_ns=end_ns, subjects=subjects)) == among_all
    assert {event.subject for event in among_all} == set(subjects)


def test_every_kind_of_event_is_there(opening: list[SimulatedEvent]) -> None:
    counts = Counter(event.subject for event in opening)
    assert set(counts) == {BOOK_SUBJECT, TRADES_SUBJECT, OPTION_TRADES_SUBJECT, NBBO_SUBJECT, SIGNALS_SUBJECT}
    assert 0.2 < counts[TRADES_SUBJECT] / counts[BOOK_SUBJECT] < 0.45
    assert {payload["action"] for payload in payloads(opening, BOOK_SUBJECT)} == set("ACMTF")


def test_more_scale_is_more_events() -> None:
    def count(scale: float) -> int:
        market = MarketSimulator(3, DAY, scale=scale, begin=time(9, 31))
        events = market.events(end_ns=market.session.bell_ns + 3 * MINUTE_NS)
        return sum(event.subject == BOOK_SUBJECT for event in events)

    assert 3 < count(1.0) / count(0.2) < 6


def test_times_go_from_the_exchange_to_us(opening: list[SimulatedEvent]) -> None:
    for event in opening:
        payload: dict[str, Any] = event.payload
        if event.subject != SIGNALS_SUBJECT:
            assert payload["ts_event_ns"] == event.event_ns
            assert payload["ts_recv_ns"] > event.event_ns


def test_spreads_are_mostly_one_tick_and_crossed_only_for_moments(opening: list[SimulatedEvent]) -> None:
    tops = [payload["levels"][0] for payload in payloads(opening, BOOK_SUBJECT)]
    spreads = Counter(top["ask_px"] - top["bid_px"] for top in tops)
    crossed = sum(count for spread, count in spreads.items() if spread <= 0)
    assert 0 < crossed < 0.001 * len(tops)
    assert spreads[0.25] > 0.9 * len(tops)
    assert max(spreads) <= 1.0


def test_books_have_ten_levels_in_order_with_real_sizes(opening: list[SimulatedEvent]) -> None:
    for payload in payloads(opening, BOOK_SUBJECT):
        levels = payload["levels"]
        assert len(levels) == 10
        for better, worse in pairwise(levels):
            assert better["bid_px"] > worse["bid_px"]
            assert better["ask_px"] < worse["ask_px"]
        assert all(level["bid_sz"] >= 1 and level["ask_sz"] >= 1 for level in levels)
        assert all((price * 4).is_integer() for level in levels for price in (level["bid_px"], level["ask_px"]))


def side_of(levels: list[dict[str, Any]], side: str) -> dict[float, int]:
    name = {"B": "bid", "A": "ask"}[side]
    return {level[f"{name}_px"]: level[f"{name}_sz"] for level in levels}


def test_each_snapshot_is_the_one_before_plus_its_action(opening: list[SimulatedEvent]) -> None:
    for before, after in pairwise(payloads(opening, BOOK_SUBJECT)):
        if after["seq"] != before["seq"] + 1:
            continue  # a declared gap of the feed
        action, price, size = after["action"], after["action_price"], after["action_size"]
        changed = after["side"] if action != "T" else "AB"[after["side"] == "A"]
        for side in "BA":
            old, new = side_of(before["levels"], side), side_of(after["levels"], side)
            kept = old.keys() & new.keys() - ({price} if side == changed else set())
            assert all(old[at] == new[at] for at in kept), after["seq"]
            assert len(new.keys() - old.keys()) <= (side == changed)
        old, new = side_of(before["levels"], changed), side_of(after["levels"], changed)
        if action == "A":
            assert new[price] - old.get(price, 0) == size
        elif action == "M":
            assert new[price] == size
        elif action == "F":
            assert old[price] == size
            assert price not in new
        elif action == "T":
            assert old[price] - new[price] == size
        else:
            assert old[price] - new.get(price, 0) == size


def test_trades_take_the_best_price_of_the_book_before_them(opening: list[SimulatedEvent]) -> None:
    top: dict[str, float] | None = None
    seen = 0
    for event in opening:
        payload: dict[str, Any] = event.payload
        if event.subject == BOOK_SUBJECT:
            top = payload["levels"][0]
        elif event.subject == TRADES_SUBJECT:
            assert (payload["price"] * 4).is_integer()
            assert payload["size"] >= 1
            if top is not None and payload["symbol"] == "ESH5":
                wanted = top["ask_px"] if payload["aggressor"] == 1 else top["bid_px"]
                seen += 1
                assert payload["price"] == wanted
    assert seen > 1_000


def test_a_tenth_of_the_trades_is_in_the_next_contract(opening: list[SimulatedEvent]) -> None:
    symbols = Counter(payload["symbol"] for payload in payloads(opening, TRADES_SUBJECT))
    assert set(symbols) == {"ESH5", "ESM5"}
    assert 0.07 < symbols["ESM5"] / symbols.total() < 0.13


def test_sequences_jump_only_in_declared_gaps() -> None:
    market = MarketSimulator(7, DAY)
    gap = market.feed_gaps[2]
    just_before = datetime.fromtimestamp(gap.start_ns // 10**9, ZoneInfo("America/New_York")) - timedelta(seconds=20)
    market = MarketSimulator(7, DAY, scale=0.3, begin=just_before.time())
    events = list(market.events(end_ns=gap.until_ns + 20 * 10**9))
    for subject in (BOOK_SUBJECT, TRADES_SUBJECT):
        rows = payloads(events, subject)
        jumps = [(one, two) for one, two in pairwise(rows) if two["seq"] != one["seq"] + 1]
        assert len(jumps) == 1
        assert jumps[0][0]["ts_event_ns"] < gap.start_ns
        assert jumps[0][1]["ts_event_ns"] >= gap.until_ns
        assert jumps[0][1]["seq"] > jumps[0][0]["seq"] + 1
    assert all(10**9 <= gap.until_ns - gap.start_ns <= 8 * 10**9 for gap in market.feed_gaps)
    assert all(one.until_ns <= two.start_ns for one, two in pairwise(market.feed_gaps))


def test_options_expire_today_and_trade_inside_their_quote(opening: list[SimulatedEvent]) -> None:
    trades, quotes = payloads(opening, OPTION_TRADES_SUBJECT), payloads(opening, NBBO_SUBJECT)
    for payload in [*trades, *quotes]:
        assert payload["exp_date"] == DAY.isoformat()
        assert payload["strike"] % 5 == 0
        assert payload["option_symbol"] == f"ESH5 {payload['right']}{payload['strike']:.0f}"
    for quote in quotes:
        assert (quote["bid_px"] is None) == (quote["bid_sz"] is None)
        assert quote["bid_px"] is None or 0 < quote["bid_px"] < quote["ask_px"]
    for trade in trades:
        bid, ask = trade["opt_bid"], trade["opt_ask"]
        expected = {1: trade["price"] == ask, -1: trade["price"] == bid, 0: bid and bid < trade["price"] < ask}
        assert expected[trade["aggressor"]]
    assert {trade["aggressor"] for trade in trades} == {1, -1, 0}


def test_a_worthless_option_has_no_bid_rather_than_a_zero() -> None:
    quotes = payloads(list(MarketSimulator(7, DAY, scale=0.2, begin=time(15, 58)).events()), NBBO_SUBJECT)
    absent = [quote for quote in quotes if quote["bid_px"] is None]
    assert 0 < len(absent) < len(quotes)
    assert all(quote["bid_sz"] is None and quote["ask_px"] > 0 for quote in absent)
    assert all(quote["bid_px"] > 0 and quote["bid_sz"] > 0 for quote in quotes if quote not in absent)


def test_signals_come_every_quarter_of_a_second(opening: list[SimulatedEvent]) -> None:
    signals = payloads(opening, SIGNALS_SUBJECT)
    assert {two["ts"] - one["ts"] for one, two in pairwise(signals)} == {250}
    assert signals[0] == {
        "ts": signals[0]["ts"],
        "spy": {"spot": None, "bid": None, "ask": None},
        "levels": [],
    }
    assert signals[0]["ts"] * 10**6 == int(datetime(2024, 12, 16, 14, 29, tzinfo=UTC).timestamp()) * 10**9


def test_signals_describe_every_level_completely(opening: list[SimulatedEvent]) -> None:
    signals = [signal for signal in payloads(opening, SIGNALS_SUBJECT) if signal["levels"]]
    assert len(signals) > 1_600
    states, kinds = Counter[str](), Counter[str]()
    for signal in signals:
        assert signal["spy"]["spot"] == (signal["spy"]["bid"] + signal["spy"]["ask"]) / 2
        for level in signal["levels"]:
            kinds[level["kind"]] += 1
            states[level["barrier"]["state"]] += 1
            assert level["distance"] == pytest.approx(abs(signal["spy"]["spot"] - level["price"]), abs=1e-3)
            assert (level["direction"] == "RESISTANCE") == (signal["spy"]["spot"] < level["price"])
            assert 0 <= level["break_score_raw"] <= 100
            assert 0 <= level["break_score_smooth"] <= 100
            assert -1 <= level["tape"]["imbalance"] <= 1
            assert level["barrier"]["delta_liq"] == pytest.approx(
                level["barrier"]["added"] - level["barrier"]["canceled"] - level["barrier"]["filled"], abs=1e-3
            )
            assert set(level) == LEVEL_KEYS
            assert set(level["runway"]) == {"direction", "distance", "next_obstacle", "quality"}
            assert set(level["fuel"]) == {
                "effect", "net_dealer_gamma", "net_dealer_gamma_smooth", "call_wall", "put_wall", "hvl"
            }  # fmt: skip
    assert set(kinds) == {"PM_HIGH", "PM_LOW", "OR_HIGH", "OR_LOW", "SMA_200", "SMA_400"}
    assert len(states) >= 4
    assert any(target["p_break"] > 0 for signal in signals for target in signal.get("viewport", {}).get("targets", ()))


LEVEL_KEYS = {
    "id", "price", "kind", "direction", "distance", "break_score_raw", "break_score_smooth", "signal", "confidence",
    "approach_velocity", "approach_bars", "approach_distance", "prior_touches", "barrier", "tape", "fuel", "runway",
    "confluence_count", "confluence_pressure", "confluence_alignment", "confluence_level", "confluence_level_name",
    "note",
}  # fmt: skip


def test_the_bytes_are_the_payload(opening: list[SimulatedEvent]) -> None:
    for event in opening[:200]:
        assert msgspec.json.decode(encode(event)) == event.payload


def test_bulk_trades_have_the_columns_of_the_wire(opening: list[SimulatedEvent]) -> None:
    frame = MarketSimulator(7, DAY).trades_frame(5_000)
    assert frame.columns == list(payloads(opening, TRADES_SUBJECT)[0])
    assert frame.height == 5_000
    assert frame.null_count().sum_horizontal().item() == 0
    assert frame["ts_event_ns"].is_sorted()
    assert frame["seq"].to_list() == list(range(1, 5_001))
    assert set(frame["aggressor"]) == {1, -1}
    assert ((frame["price"] * 4) % 1 == 0).all()
    assert frame.equals(MarketSimulator(7, DAY).trades_frame(5_000))
    assert MarketSimulator(7, DAY).trades_frame(0).height == 0


@pytest.mark.parametrize("scale", [0, -1, float("nan")])
def test_a_scale_that_makes_no_sense_is_refused(scale: float) -> None:
    with pytest.raises(UsageError, match="scale"):
        MarketSimulator(1, DAY, scale=scale)


def test_a_beginning_outside_the_session_is_refused() -> None:
    with pytest.raises(UsageError, match="begin"):
        MarketSimulator(1, DAY, begin=time(3, 59))
