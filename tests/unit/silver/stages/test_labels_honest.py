"""On prices without any drift neither outcome may be favoured, wherever the entry is."""

from __future__ import annotations

from datetime import date
from itertools import product
from math import comb

import numpy as np
import polars as pl
import pytest

from ticklake.schema.session import SessionWindow, session_window
from ticklake.silver.stages.labels import STAGE, LabelParameters
from ticklake.silver.stages.zones import STAGE as ZONES
from ticklake.silver.stages.zones import ZoneParameters

NS = 1_000_000_000
WALKS = 400
STEPS = 600  # one a second: beyond the longest horizon
GAP_NS = 3_600 * NS  # between two walks
TICK, ATR = 0.25, 2.5
HORIZONS_MIN = LabelParameters().horizons_min
DIRECTIONS = (1, -1)
LEVEL = 0.01


def walks(seed: int, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Times and prices of 400 walks, one after the other; steps of one tick up or down with even chances."""
    dice = np.random.default_rng(seed)
    ticks = dice.choice([-1, 1], (WALKS, steps)).cumsum(axis=1)
    times = GAP_NS * np.arange(1, WALKS + 1)[:, None] + NS * np.arange(1, steps + 1)
    return times, 6_000 + TICK * ticks


def outcomes(
    seed: int, points_from_level: float, *, steps: int = STEPS, walk_alone: bool = False, entry_off: float = 0.0
) -> pl.DataFrame:
    """Labels of 400 walks from the entry on, so many points before a level.

    Args:
        seed: of the walks.
        points_from_level: from the entry to the level, in the direction of travel.
        steps: how long each walk is, s.
        walk_alone: no walk follows, so that the trades end with it.
        entry_off: the events say that they began so many points further on than the walks do.
    """
    times, prices = walks(seed, steps)
    direction = np.tile([1, -1], WALKS // 2)
    events = pl.DataFrame(
        {
            "ts_event_ns": GAP_NS * np.arange(1, WALKS + 1),
            "entry_price": 6_000.0 + direction * entry_off,
            "level_price": 6_000.0 + direction * points_from_level,
            "direction": direction.astype(np.int8),
            "atr": np.full(WALKS, ATR),
        }
    )
    trades = pl.DataFrame({"ts_event_ns": times.ravel(), "price": prices.ravel()})
    day = session_window("us_index_futures", date(2023, 11, 14))
    assert isinstance(day, SessionWindow)
    if walk_alone:
        alone = [
            STAGE.run(
                {"events": events[number : number + 1].lazy(), "trades": trades[number * steps :][:steps].lazy()},
                LabelParameters(),
                day,
            )["events"]
            for number in range(WALKS)
        ]
        return pl.concat(alone).collect()
    return STAGE.run({"events": events.lazy(), "trades": trades.lazy()}, LabelParameters(), day)["events"].collect()


def found_by_stage_5(seed: int, zone_points: float) -> pl.DataFrame:
    """Labels of the first entry that `detect_interaction_zones` finds in each walk towards a level."""
    steps = 2 * STEPS
    times, prices = walks(seed, steps)
    side = np.tile([1, -1], WALKS // 2)[:, None]
    towards = prices + side * (zone_points + 2)  # begins two points outside the zone, above or below the level
    trades = pl.DataFrame({"ts_event_ns": times.ravel(), "price": towards.ravel()}).with_columns(
        contract=pl.lit("ESZ5"), stream_seq=pl.int_range(pl.len()), message_row=pl.lit(0, pl.Int32), is_lookback=False
    )
    frames = {
        "trades": trades.lazy(),
        "bars_1min": pl.LazyFrame({"available_ns": [0], "atr": [ATR]}),
        "levels": pl.LazyFrame({"kind": ["VWAP"], "level_price": [6_000.0], "valid_from_ns": [0]}),
        "front_month": pl.LazyFrame([{"share": 1.0, "runner_up": None, "is_roll": False, "known_from_ns": 0}]),
    }
    day = session_window("us_index_futures", date(2023, 11, 14))
    assert isinstance(day, SessionWindow)
    events = ZONES.run(frames, ZoneParameters(zone_points=zone_points), day)["events"].collect()
    walk = events["ts_event_ns"] // GAP_NS
    in_time = events.filter(walk.is_first_distinct() & (events["ts_event_ns"] % GAP_NS < STEPS * NS))
    return STAGE.run({"events": in_time.lazy(), "trades": trades.lazy()}, LabelParameters(), day)["events"].collect()


def binomial_p(successes: int, tries: int) -> float:
    """Exact two-sided p-value against even chances."""
    tail = max(successes, tries - successes)
    term, total = comb(tries, tail), 0
    for k in range(tail, tries + 1):
        total += term
        term = term * (tries - k) // (k + 1)
    return min(1.0, 2 * total / 2**tries)


def tally(labels: pl.DataFrame, horizon_min: int, direction: int) -> tuple[int, int]:
    """Of the events of one direction: how many broke, and how many broke or were rejected."""
    found = labels.filter(pl.col("direction") == direction)[f"outcome_{horizon_min}min"].to_list()
    assert "NO_DATA" not in found
    return found.count("BREAK"), found.count("BREAK") + found.count("REJECT")


def check_even(tallies: list[tuple[int, int]], family: int) -> None:
    """No sample is uneven beyond chance, nor are all together, which would show a bias of one sample's noise.

    Of all the p-values of a test, `family` times as many as there are samples, the smallest falls below LEVEL / their
    number with a probability of at most LEVEL (Bonferroni), however they hang together.
    """
    smallest = min(binomial_p(*each) for each in tallies)
    assert smallest > LEVEL / (family * len(tallies))
    assert together(tallies) > LEVEL / family


def together(tallies: list[tuple[int, int]]) -> float:
    """The p-value of all samples as one."""
    return binomial_p(sum(breaks for breaks, _ in tallies), sum(tries for _, tries in tallies))


@pytest.mark.parametrize("points_from_level", [0.0, 2.0, 4.0])
def test_break_and_reject_are_symmetric(points_from_level: float) -> None:
    """Twenty samples of 400 walks, others for each distance; up and down apart, lest one evens out the other."""
    samples = [outcomes(100 * seed + int(points_from_level), points_from_level) for seed in range(20)]
    for horizon_min, direction in product(HORIZONS_MIN, DIRECTIONS):
        tallies = [tally(labels, horizon_min, direction) for labels in samples]
        assert min(tries for _, tries in tallies) > WALKS // 20
        check_even(tallies, family=3 * len(HORIZONS_MIN) * len(DIRECTIONS))


@pytest.mark.parametrize("zone_points", [1.0, 3.0, 5.0])
def test_entries_found_at_the_edge_of_a_zone_are_symmetric_too(zone_points: float) -> None:
    samples = [found_by_stage_5(100 * seed + int(zone_points), zone_points) for seed in range(5)]
    for rows in samples:
        assert set((rows["entry_price"] - rows["level_price"]).abs()) == {zone_points}
    for direction in DIRECTIONS:
        tallies = [tally(labels, 8, direction) for labels in samples]
        assert min(tries for _, tries in tallies) > WALKS // 4
        check_even(tallies, family=3 * len(DIRECTIONS))


def test_an_entry_a_tick_off_shows_in_all_samples_together() -> None:
    samples = [outcomes(seed, 2.0, entry_off=TICK) for seed in range(20)]
    for direction in DIRECTIONS:
        assert together([tally(labels, 8, direction) for labels in samples]) < 1e-4


def test_the_label_does_not_know_the_level() -> None:
    labels = ["outcome_2min", "time_to_barrier_2min", "favorable_2min", "adverse_2min"]
    assert outcomes(2, 0.0).select(labels).equals(outcomes(2, 4.0).select(labels))


def test_walks_that_end_early_are_no_data_not_chop() -> None:
    found = outcomes(3, 2.0, steps=60, walk_alone=True)
    touched = found["time_to_barrier_2min"].is_not_null()
    assert 0 < touched.sum() < WALKS
    assert set(found.filter(~touched)["outcome_2min"]) == {"NO_DATA"}
    assert set(found.filter(touched)["outcome_2min"]) == {"BREAK", "REJECT"}


def test_the_measure_itself_would_notice_a_bias() -> None:
    assert binomial_p(200, 400) == 1.0
    assert binomial_p(165, 400) < 0.01
    assert binomial_p(9, 10) == pytest.approx(22 / 1024)
