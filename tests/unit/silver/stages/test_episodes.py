"""Episode vectors: what stands where, what history does, and that normalisation knows earlier sessions only."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from tests.unit.silver.stages.level_rows import DATE, event_rows, level_frames, session

from ticklake.base.errors import UsageError
from ticklake.silver.stages.episode_parts import ELEMENTS, dct_matrix
from ticklake.silver.stages.episodes import (
    STAGE,
    VECTOR,
    EpisodeParameters,
    episode_statistics,
    normalise_episodes,
)
from ticklake.silver.stages.state import STAGE as STATE
from ticklake.silver.stages.state import STATE_FEATURES, StateParameters

EVENTS = event_rows((45, "PM_HIGH", 1.0), (60, "VWAP", 200.0), (100, "PM_HIGH", 3.0), (1500, "PM_HIGH", 7.0))
PARAMETERS = EpisodeParameters()


def episodes(events: pl.DataFrame = EVENTS, day: date = DATE, **more: pl.LazyFrame) -> pl.DataFrame:
    frames = level_frames(events, day=day)
    frames = {**frames, **STATE.run(frames, StateParameters(), session(day)), **more}
    return STAGE.run(frames, PARAMETERS, session(day))["episodes"].collect()


def element(rows: pl.DataFrame, name: str, column: str = "vector") -> list[float | None]:
    return rows[column].arr.get(ELEMENTS.index(name)).to_list()


def feature(name: str, value: float) -> float:
    return value + STATE_FEATURES.index(name)


def test_every_element_has_its_own_name_and_the_vector_its_length() -> None:
    rows = episodes()
    assert len(set(ELEMENTS)) == len(ELEMENTS)
    assert rows.schema["vector"] == rows.schema["vector_raw"] == VECTOR
    assert [(spec.name, spec.dtype) for spec in STAGE.gives_with(PARAMETERS)["episodes"]] == list(rows.schema.items())
    assert rows["event_id"].to_list() == EVENTS["event_id"].to_list()


def test_kind_context_and_trends() -> None:
    rows = episodes()
    assert element(rows, "kind_pm_high") == [1, 0, 1, 1]
    assert element(rows, "kind_vwap") == [0, 1, 0, 0]
    assert element(rows, "kind_sma_400") == [0, 0, 0, 0]
    assert element(rows, "tape_velocity") == [feature("tape_velocity", value) for value in (1, 200, 3, 7)]
    assert element(rows, "trend_near_depth") == [None, None, 2.0, 4.0]


def test_history_is_the_levels_own_last_states_newest_first() -> None:
    rows = episodes()
    # states of PM_HIGH stand at 60, 90, 120, ... s; price at second s is 100 + s // 60
    assert rows["n_states"].to_list() == [0, 1, 2, 49]
    assert [element(rows, f"distance_points_back_{back}")[2] for back in range(3)] == [1.0, 1.0, None]
    assert [element(rows, f"time_since_last_touch_s_back_{back}")[2] for back in range(3)] == [45.0, 15.0, None]
    assert [element(rows, f"distance_points_back_{back}")[3] for back in range(5)] == [25, 24, 24, 23, 23]
    assert element(rows, "distance_points_back_0")[0] is None


def test_the_first_spectral_coefficient_is_the_scaled_mean_of_the_last_forty_states() -> None:
    rows = episodes()
    seconds = np.arange(1500 - 39 * 30, 1501, 30)
    expected = (seconds // 60).sum() / np.sqrt(40)
    assert element(rows, "distance_points_dct_0")[3] == pytest.approx(expected, rel=1e-6)
    # with two states the first is repeated on the left: all forty are 1
    assert element(rows, "distance_points_dct_0")[2] == pytest.approx(np.sqrt(40), rel=1e-6)
    assert element(rows, "distance_points_dct_1")[2] == pytest.approx(0.0, abs=1e-6)
    assert element(rows, "distance_points_dct_0")[0] is None


def test_the_cosine_basis_is_orthonormal_and_equals_its_definition() -> None:
    whole = dct_matrix(40, 40)
    np.testing.assert_allclose(whole @ whole.T, np.eye(40), atol=1e-13)
    assert dct_matrix(4, 2)[1, 0] == pytest.approx(np.sqrt(0.5) * np.cos(np.pi / 8), abs=1e-15)
    assert dct_matrix(4, 2)[0].tolist() == [0.5] * 4


def test_without_earlier_sessions_the_vector_is_raw_and_says_so() -> None:
    rows = episodes()
    assert rows["vector"].equals(rows["vector_raw"])
    assert not rows["is_normalized"].any()
    assert rows["history_sessions"].to_list() == [0] * 4
    nothing = normalise_episodes(rows.lazy(), episode_statistics([], PARAMETERS), PARAMETERS).collect()
    assert nothing.equals(rows)


def vectors(day: date, *values: float | None) -> pl.DataFrame:
    """Episodes whose first element has these values and whose others are 0."""
    raw = [[value, *([0.0] * (len(ELEMENTS) - 1))] for value in values]
    return pl.DataFrame(
        {"date": [day] * len(values), "vector_raw": raw}, schema={"date": pl.Date, "vector_raw": VECTOR}
    ).with_columns(vector="vector_raw", is_normalized=pl.lit(False), history_sessions=pl.lit(0, pl.Int32))


def normalised(today: pl.DataFrame, *earlier: pl.DataFrame, parameters: EpisodeParameters = PARAMETERS) -> pl.DataFrame:
    statistics = episode_statistics([frame.lazy() for frame in earlier], parameters)
    return normalise_episodes(today.lazy(), statistics, parameters).collect()


def test_normalised_is_distance_from_the_earlier_median_in_interquartile_ranges() -> None:
    earlier = vectors(date(2025, 1, 13), 1.0, 2.0, 3.0), vectors(date(2025, 1, 14), 4.0, 5.0, None)
    rows = normalised(vectors(DATE, 5.0, 3.0, 1000.0, None), *earlier)
    assert rows["vector"].arr.get(0).to_list() == [1.0, 0.0, 4.0, None]  # median 3, quartiles 2 and 4, clip 4
    assert rows["vector"].arr.get(1).to_list() == [0.0] * 4  # no range: centred only
    assert rows["is_normalized"].all()
    assert rows["history_sessions"].to_list() == [2] * 4


def test_the_statistics_are_quartiles_of_what_is_known() -> None:
    dice = np.random.default_rng(4)
    raw = dice.normal(size=(37, len(ELEMENTS))).astype(np.float32)
    raw[dice.uniform(size=raw.shape) < 0.3] = np.nan
    raw[:, 7] = np.nan
    series = pl.Series("vector_raw", raw.ravel()).fill_nan(None).reshape(raw.shape)
    earlier = pl.DataFrame({"date": pl.Series([DATE] * 37), "vector_raw": series})
    statistics = episode_statistics([earlier[:20].lazy(), earlier[20:].lazy()], PARAMETERS)
    assert (statistics["median"][7], statistics["iqr"][7]) == (None, None)
    raw[:, 7] = 0
    quartiles = np.nanpercentile(raw.astype(np.float64), [25, 50, 75], axis=0)
    known = np.arange(len(ELEMENTS)) != 7
    np.testing.assert_allclose(statistics["median"].fill_null(0).to_numpy()[known], quartiles[1][known], rtol=1e-12)
    np.testing.assert_allclose(
        statistics["iqr"].fill_null(0).to_numpy()[known], (quartiles[2] - quartiles[0])[known], rtol=1e-12
    )


def test_an_element_no_earlier_session_knows_stays_raw() -> None:
    rows = normalised(vectors(DATE, 9.0), vectors(date(2025, 1, 13), None))
    assert rows["vector"].arr.get(0).to_list() == [9.0]


def test_normalising_twice_changes_nothing_and_reads_no_normalised_vector() -> None:
    earlier = vectors(date(2025, 1, 13), 1.0, 2.0, 3.0)
    once = normalised(vectors(DATE, 5.0), earlier)
    assert normalised(once, earlier).equals(once)
    spoilt = earlier.with_columns(vector=vectors(DATE, 7.0, 8.0, 9.0)["vector"])
    assert normalised(vectors(DATE, 5.0), spoilt).equals(once)


def test_only_the_latest_sessions_count() -> None:
    old, new = vectors(date(2025, 1, 13), 100.0, 200.0), vectors(date(2025, 1, 14), 1.0, 3.0)
    few = EpisodeParameters(history_sessions=1)
    assert normalised(vectors(DATE, 2.0), old, new, parameters=few)["vector"].arr.get(0).to_list() == [0.0]
    assert normalised(vectors(DATE, 2.0), old, new, parameters=few)["history_sessions"].to_list() == [1]


def test_a_history_frame_counts_only_up_to_the_day_before() -> None:
    earlier = episodes(
        event_rows((45, "PM_HIGH", 5.0), open_ns=session(date(2025, 1, 14)).open_ns, day=date(2025, 1, 14)),
        date(2025, 1, 14),
    )
    today_and_later = [episodes(), episodes().with_columns(date=pl.lit(date(2025, 1, 16)))]
    history = pl.concat([earlier, *today_and_later]).lazy()
    rows = episodes(history=history)
    expected = normalise_episodes(episodes().lazy(), episode_statistics([earlier.lazy()], PARAMETERS), PARAMETERS)
    assert rows.equals(expected.collect())
    assert rows["history_sessions"].to_list() == [1] * 4


def test_statistics_of_other_elements_are_refused() -> None:
    statistics = episode_statistics([], PARAMETERS).reverse()
    with pytest.raises(UsageError, match="episode_statistics"):
        normalise_episodes(vectors(DATE, 1.0).lazy(), statistics, PARAMETERS)


def test_no_events_give_no_episodes_of_the_same_type() -> None:
    empty = episodes(EVENTS.clear())
    assert empty.height == 0
    assert empty.schema == episodes().schema


def test_what_comes_later_changes_no_earlier_vector() -> None:
    more = EVENTS.vstack(event_rows((1600, "PM_HIGH", -50.0), (1700, "OR_LOW", 4.0)))
    assert episodes(more)[:4].equals(episodes())
