"""How cuts are drawn, shared out and judged, and what a tampered future looks like."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from tests.unit.silver.small_market import market_of, session, simulate

from ticklake.base.errors import CheckFailedError, RejectedError, UsageError
from ticklake.silver.causality import certify, certify_published, density_for, share_cuts
from ticklake.silver.certificate import Variant, merge_certificates
from ticklake.silver.frames import Frames
from ticklake.silver.tamper import ABSURD_REACH_NS, NEAR_NS, Futures, absurd_after, thinned

PRICE = pl.col("price")


def honest(inputs: Frames) -> Frames:
    """Events with the price so far and the next one."""
    market = market_of(inputs)
    return {"events": market.events.with_columns(mean=PRICE.cum_sum()).lazy()}


def leaking(inputs: Frames) -> Frames:
    market = market_of(inputs)
    return {"events": market.events.with_columns(mean=PRICE.mean()).lazy()}


def test_an_honest_pipeline_passes_and_says_what_was_compared():
    certificate = certify(honest, simulate(), session(), features=["price", "mean"], cuts=6, seed=1)
    assert certificate.passed
    assert certificate.cuts == 6
    assert len(certificate.trials) == 12
    assert {trial.variant for trial in certificate.trials} == set(Variant)
    assert certificate.columns == ("price", "mean")
    assert certificate.events_compared == sum(trial.events for trial in certificate.trials) > 100


def test_a_violation_names_column_event_cut_and_both_values():
    certificate = certify(leaking, simulate(), session(), features=["price", "mean"], cuts=6, seed=1)
    assert not certificate.passed
    assert {violation.column for violation in certificate.violations} == {"mean"}
    removed = next(violation for violation in certificate.violations if violation.variant is Variant.REMOVED)
    assert removed.trials == 6
    assert removed.event == "e0"
    assert removed.cut_ns == certificate.trials[0].cut_ns
    assert float(removed.before) != float(removed.after)


def test_an_event_that_needs_the_future_is_caught():
    def run(inputs: Frames) -> Frames:
        events = market_of(inputs).events
        return {"events": events.filter(PRICE.mean() > PRICE).lazy()}

    certificate = certify(run, simulate(), session(), features=["price"], cuts=6, seed=1)
    assert {violation.column for violation in certificate.violations} == {""}


def test_a_pipeline_that_breaks_without_a_future_is_caught():
    def run(inputs: Frames) -> Frames:
        if inputs["bronze_trades"].select(pl.len()).collect().item() < 3000:
            raise RejectedError("too few trades")
        return honest(inputs)

    certificate = certify(run, simulate(), session(), features=["price"], cuts=3, seed=1)
    assert {(violation.column, violation.variant) for violation in certificate.violations} == {
        ("", Variant.REMOVED),
        ("", Variant.ABSURD),
    } or {violation.variant for violation in certificate.violations} == {Variant.REMOVED}
    assert "too few trades" in certificate.violations[-1].after


def test_nothing_compared_is_not_passed():
    def run(inputs: Frames) -> Frames:
        return {"events": market_of(inputs).events.head(0).lazy()}

    assert not certify(run, simulate(), session(), features=["price"], cuts=3).passed


def test_the_draw_depends_on_the_seed_alone_and_hits_events_and_gaps():
    def cuts(seed: int) -> list[int]:
        certificate = certify(honest, simulate(), session(), features=["price"], cuts=6, seed=seed)
        return [trial.cut_ns for trial in certificate.trials]

    assert cuts(1) == cuts(1) != cuts(2)
    moments = set(market_of(simulate()).events["ts_event_ns"])
    at_event = [cut_ns in moments for cut_ns in cuts(1)[::2]]
    assert at_event[::2] == [True, True, True]
    assert not all(at_event)


def test_published_events_are_tried_with_all_rows():
    built = honest(simulate(20_000, 20_000))["events"].collect()
    inputs = simulate(20_000, 20_000)
    good = certify_published(honest, inputs, session(), built, features=["mean"])
    assert good.passed
    assert [(trial.density, trial.variant) for trial in good.trials] == [(1.0, Variant.ABSURD)]
    other = built.with_columns(mean=pl.col("mean") + 1)
    wrong = certify_published(honest, inputs, session(), other, features=["mean"])
    assert {violation.column for violation in wrong.violations} == {"mean"}
    assert not certify_published(honest, inputs, session(), built.head(0), features=["mean"]).passed


def test_the_trial_with_all_rows_is_cut_anywhere_in_the_session():
    inputs = simulate()
    built = honest(inputs)["events"].collect()
    moments = built["ts_event_ns"].unique().sort()
    cuts = [
        certify_published(honest, inputs, session(), built, features=["price"], seed=seed).trials[0].cut_ns
        for seed in range(12)
    ]
    places = [moments.search_sorted(cut) / len(moments) for cut in cuts]
    assert min(places) < 0.3
    assert max(places) > 0.7


def test_unusable_input_is_refused_with_its_name():
    with pytest.raises(UsageError, match="no column nope"):
        certify(honest, simulate(), session(), features=["nope"])
    with pytest.raises(UsageError, match="no frame 'state'"):
        certify(honest, simulate(), session(), primary="state", features=["price"])
    with pytest.raises(CheckFailedError, match="the same kind"):
        certify(honest, simulate(), session(), features=["price"], key=["kind"])
    timeless = simulate() | {"bronze_book": pl.LazyFrame({"price": [1.0]})}
    with pytest.raises(UsageError, match="'bronze_book' has neither"):
        certify(honest, timeless, session(), features=["price"])


def test_cuts_are_shared_out_over_the_sessions():
    assert share_cuts([], 20) == {}
    assert share_cuts(["a"], 20) == {"a": 20}
    shares = share_cuts(["c", "a", "b"], 20, seed=5)
    assert sum(shares.values()) == 20
    assert set(shares.values()) == {6, 7}
    assert shares == share_cuts(["b", "c", "a"], 20, seed=5)
    assert sum(share_cuts([str(day) for day in range(100)], 20).values()) == 20
    assert density_for(3, 20) == pytest.approx(0.012)
    assert density_for(500, 20) == 1.0


def test_certificates_of_dates_become_one():
    good = certify(honest, simulate(), session(), features=["mean"], cuts=2, seed=1)
    bad = certify(leaking, simulate(), session(), features=["mean"], cuts=2, seed=1)
    other = replace(bad, trials=tuple(replace(trial, date="2026-11-23") for trial in bad.trials))
    both = merge_certificates([good, other])
    assert not both.passed
    assert both.cuts == 4
    assert both.events_compared == good.events_compared + bad.events_compared
    assert len(both.violations) == len(bad.violations)
    assert merge_certificates([good]).passed
    assert not merge_certificates([]).passed


FUTURE = pl.DataFrame(
    {
        "ts_event_ns": [1, 2, None, 3, 4 + ABSURD_REACH_NS],
        "ts_recv_ns": [1, 2, 3, 3, 4],
        "price": [1.0, 1.0, 8.0, 8.0, 1.0],
        "size": pl.Series([1, 2, 3, 100, 5], dtype=pl.Int8),
        "bid_sz_1": [1.0, 1.0, 2.0, 2.0, 2.0],
        "aggressor": pl.Series([1, 0, 0, -1, 1], dtype=pl.Int8),
        "right": ["C", "C", "C", "P", "C"],
        "stream_seq": [1, 2, 3, 4, 5],
    }
)


def test_a_removed_future_leaves_the_past_alone():
    past = Futures({"x": FUTURE}).at(2, Variant.REMOVED)["x"].collect()
    assert past.equals(FUTURE.head(2))


def test_an_absurd_future_has_the_same_past_and_other_values():
    frame = Futures({"x": FUTURE}).at(2, Variant.ABSURD)["x"].collect()
    assert frame.schema == FUTURE.schema
    assert frame.head(2).equals(FUTURE.head(2))
    assert frame["stream_seq"].to_list() == [1, 2, 3, 4]
    assert frame["price"].to_list()[2:] == [56.0, 1.0]
    assert frame["size"].to_list()[2:] == [127, 127]
    assert frame["bid_sz_1"].to_list()[2:] == [2000.0, 2000.0]
    assert frame["aggressor"].to_list()[2:] == [1, 1]
    assert frame["right"].to_list()[2:] == ["P", "C"]


def test_an_absurd_future_is_ruled_by_another_contract():
    frame = pl.DataFrame({"ts_event_ns": [1, 2, 3, 4], "size": [1, 1, 1, 1], "contract": ["A", "A", "A", "B"]})
    absurd = Futures({"x": frame}).at(1, Variant.ABSURD)["x"].collect()
    assert absurd["size"].to_list() == [1, 1000, 1000, 1_000_000]


def test_thinning_keeps_a_share_of_the_time_and_all_rows_near_a_cut():
    second_ns = 1_000_000_000
    frame = pl.LazyFrame({"ts_event_ns": pl.int_range(0, 100_000, eager=True) * second_ns})
    far = thinned({"x": frame}, 0.1)["x"]["ts_event_ns"]
    assert far.len() == pytest.approx(10_000, rel=0.1)
    assert far.diff().max() < 120 * second_ns
    near = thinned({"x": frame}, 0.1, [50_000 * second_ns])["x"]["ts_event_ns"] // second_ns
    reach = NEAR_NS // second_ns
    assert near.filter(near.is_between(50_000 - reach, 50_000 + reach)).len() == 2 * reach + 1
    assert near.is_sorted()
    assert set(far // second_ns) <= set(near)
    small = frame.head(5_000)
    assert thinned({"x": small}, 0.1)["x"].equals(small.collect())


def test_thinning_keeps_seconds_whole_and_less_of_the_context():
    second_ns = 1_000_000_000
    frame = pl.LazyFrame({"ts_event_ns": pl.int_range(0, 400_000, eager=True) * (second_ns // 20)})
    until_ns = 10_000 * second_ns
    kept = thinned({"x": frame}, 0.1, context_until_ns=until_ns)["x"]["ts_event_ns"]
    recent = kept.filter(kept >= until_ns)
    assert recent.len() == pytest.approx(20_000, rel=0.1)
    assert set((recent // second_ns).value_counts()["count"]) == {20}
    assert kept.len() - recent.len() == pytest.approx(20_000 / 8, rel=0.2)


def test_an_absurd_future_of_files_is_that_of_frames():
    frame = pl.DataFrame({"ts_event_ns": [1, 2, 3, 4 + ABSURD_REACH_NS], "price": [1.0, 2.0, 8.0, 3.0]})
    lazily = absurd_after({"x": frame.lazy()}, 2)["x"].collect()
    assert lazily.equals(Futures({"x": frame}).at(2, Variant.ABSURD)["x"].collect())
    assert lazily["price"].to_list() == [1.0, 2.0, 56.0]
