"""Stage 17, construct_episodes: one fixed-length vector per event, normalised by earlier sessions only. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from ticklake.base.errors import UsageError
from ticklake.schema.session import SessionWindow
from ticklake.silver.stage import ColumnSpec, Frames, Role, Stage, StageParameters
from ticklake.silver.stages.episode_parts import (
    ELEMENTS,
    EVENT_ELEMENTS,
    HISTORY,
    SPECTRUM,
    STATE_SERIES,
    event_part,
    history_part,
    spectrum_part,
)
from ticklake.silver.stages.first_passage import Floats, Ints
from ticklake.silver.stages.rows import rows_of, rows_of_all

VECTOR = pl.Array(pl.Float32, len(ELEMENTS))
"""Type of a vector; elements are named by `ELEMENTS`, a missing one is null."""

_KEYS = ("event_id", "date", "ts_event_ns", "kind")
_NAMES = pl.Series("element", ELEMENTS, dtype=pl.String)


class EpisodeParameters(StageParameters, frozen=True):
    """How vectors are normalised.

    Attributes:
        history_sessions: at most so many of the latest earlier sessions give the statistics.
        clip (ratio): normalised values beyond +-clip are set to it.
    """

    history_sessions: Annotated[int, msgspec.Meta(gt=0)] = 60
    clip: Annotated[float, msgspec.Meta(gt=0)] = 4.0


def construct_episodes(frames: Frames, parameters: EpisodeParameters, session: SessionWindow) -> Frames:
    """A vector of `ELEMENTS` per event: context, dynamics, physics, trends, last states, spectra of four series.

    States are those of the event's own level kind at or before t, from its first event on. With a frame `history`
    (episodes of earlier sessions) the vector is normalised by its statistics; without one it is the raw vector, and
    `is_normalized` is false.

    Shape:  one event in, one episode out; order kept.
    Gives:  keys of the event; `n_states`, those states; `vector_raw`, `vector` float32, missing elements
            null; `is_normalized`; `history_sessions`, sessions that gave the statistics.
    Knows:  nothing later than t.
    """
    after_event = frames["state"].filter(pl.col("last_event_id").is_not_null())
    events, state = rows_of_all(
        [frames["events"], after_event.select("kind", "ts_event_ns", *STATE_SERIES).sort("kind", "ts_event_ns")]
    )
    last, first = _state_positions(events, state)
    known = state.with_columns(pl.col(name).cast(pl.Float64).fill_nan(None) for name in STATE_SERIES)
    carried = known.with_columns(pl.col(STATE_SERIES).forward_fill().over("kind"))
    parts = [_filled(rows_of(events.lazy().pipe(event_part)))]
    parts += [history_part(_values(known, name), last, first) for name in HISTORY]
    parts += [spectrum_part(_values(carried, name), last, first) for name in SPECTRUM]
    raw = _vectors("vector_raw", np.hstack(parts))
    episodes = events.select(
        *_KEYS,
        pl.Series("n_states", np.where(last >= 0, last - first + 1, 0), dtype=pl.Int32),
        raw,
        raw.alias("vector"),
        is_normalized=pl.lit(False),
        history_sessions=pl.lit(0, pl.Int32),
    ).lazy()
    if "history" in frames:
        earlier = frames["history"].filter(pl.col("date") < session.date)
        episodes = normalise_episodes(episodes, episode_statistics([earlier], parameters), parameters)
    return {"episodes": episodes}


def episode_statistics(earlier: Sequence[pl.LazyFrame], parameters: EpisodeParameters) -> pl.DataFrame:
    """Median and interquartile range of every element over earlier sessions.

    Args:
        earlier: episodes of earlier sessions; only `date` and `vector_raw` are read.
        parameters: only the latest `history_sessions` dates count.

    Returns:
        One row per element, in the order of `ELEMENTS`: element, median, iqr (both null when no session knows it),
        sessions (how many gave them).
    """
    vectors = [frame.select("date", "vector_raw").collect() for frame in earlier]
    together = pl.concat([pl.DataFrame(schema={"date": pl.Date, "vector_raw": VECTOR}), *vectors])
    dates = together["date"].unique().sort().tail(parameters.history_sessions)
    kept = together.filter(pl.col("date").is_in(dates.implode()))
    ordered = np.sort(kept["vector_raw"].to_numpy().T.copy(), axis=1)  # NaN last
    low, median, high = (_quantile(ordered, share) for share in (0.25, 0.5, 0.75))
    return pl.DataFrame(
        {
            "element": _NAMES,
            "median": pl.Series(median).fill_nan(None),
            "iqr": pl.Series(high - low).fill_nan(None),
            "sessions": pl.Series([dates.len()] * len(ELEMENTS), dtype=pl.Int32),
        }
    )


def normalise_episodes(episodes: pl.LazyFrame, statistics: pl.DataFrame, parameters: EpisodeParameters) -> pl.LazyFrame:
    """Replace `vector` by (raw - median) / iqr, clipped; doing it twice changes nothing.

    An element with an interquartile range of zero is only centred; one that no earlier session knows stays raw. With no
    earlier session at all the vector is the raw one, and `is_normalized` says so.

    Shape:  rows and order kept; `vector`, `is_normalized`, `history_sessions` replaced.

    Raises:
        UsageError: the statistics are of other elements.
    """
    if statistics["element"].to_list() != list(ELEMENTS):
        raise UsageError(
            "the statistics are of other elements than these episodes; compute them with episode_statistics"
        )
    rows = episodes.collect()
    sessions = int(statistics["sessions"].max() or 0)  # type: ignore[arg-type]
    vector = rows["vector_raw"].alias("vector")
    if sessions:
        median, iqr = (statistics[name].fill_null(np.nan).to_numpy() for name in ("median", "iqr"))
        raw = rows["vector_raw"].to_numpy().astype(np.float64)  # NaN for null
        scaled = np.clip((raw - median) / np.where(iqr > 0, iqr, 1.0), -parameters.clip, parameters.clip)
        vector = _vectors("vector", np.where(np.isnan(median), raw, scaled))
    return rows.with_columns(
        vector,
        is_normalized=pl.lit(sessions > 0),
        history_sessions=pl.lit(sessions, pl.Int32),
    ).lazy()


def _state_positions(events: pl.DataFrame, state: pl.DataFrame) -> tuple[Ints, Ints]:
    """Per event where its kind's last state so far and first state stand in the sorted state table; -1 if none."""
    numbered = state.select("kind", "ts_event_ns", last=pl.int_range(pl.len(), dtype=pl.Int64)).sort("ts_event_ns")
    begins = numbered.group_by("kind", maintain_order=True).agg(first=pl.col("last").min())
    found = (
        events.select("kind", "ts_event_ns")
        .join_asof(numbered, on="ts_event_ns", by="kind", check_sortedness=False)
        .join(begins, on="kind", how="left", maintain_order="left")
        .select(pl.col("last", "first").fill_null(-1))
    )
    return found["last"].to_numpy(), found["first"].to_numpy()


def _filled(columns: pl.DataFrame) -> Floats:
    """A matrix of the columns, NaN for null."""
    return columns.select(pl.all().fill_null(np.nan)).to_numpy()


def _values(columns: pl.DataFrame, name: str) -> Floats:
    return columns[name].fill_null(np.nan).to_numpy()


def _quantile(ordered: NDArray[np.float32], share: float) -> Floats:
    """Quantile of every row by linear interpolation; rows are ascending with NaN last. NaN where nothing is known."""
    if ordered.shape[1] == 0:
        return np.full(ordered.shape[0], np.nan)
    last = np.maximum((~np.isnan(ordered)).sum(axis=1) - 1, 0)
    place = share * last
    below = np.floor(place).astype(np.int64)
    rows = np.arange(ordered.shape[0])
    low = ordered[rows, below].astype(np.float64)
    between: Floats = low + (place - below) * (ordered[rows, np.minimum(below + 1, last)].astype(np.float64) - low)
    return between


def _vectors(name: str, matrix: Floats) -> pl.Series:
    """Rows of the matrix as float32 arrays, null for NaN."""
    flat = pl.Series(name, matrix.astype(np.float32).ravel()).fill_nan(None)
    return flat.reshape((matrix.shape[0], len(ELEMENTS))) if matrix.size else pl.Series(name, [], dtype=VECTOR)


STAGE = Stage(
    name="construct_episodes",
    run=construct_episodes,
    needs={
        "events": (*_KEYS, *EVENT_ELEMENTS),
        "state": ("kind", "ts_event_ns", "last_event_id", *STATE_SERIES),
    },
    gives={
        "episodes": (
            ColumnSpec("event_id", pl.String(), "", Role.KEY, "Of the event.", null=False),
            ColumnSpec("date", pl.Date(), "", Role.KEY, "Trading day.", null=False),
            ColumnSpec("ts_event_ns", pl.Int64(), "ns", Role.KEY, "Of the event.", null=False),
            ColumnSpec("kind", pl.String(), "", Role.KEY, "Kind of level.", null=False),
            ColumnSpec(
                "n_states",
                pl.Int32(),
                "states",
                Role.INFO,
                "States of the level since its first event.",
                null=False,
                low=0,
            ),
            ColumnSpec("vector_raw", VECTOR, "", Role.INFO, "The elements as they are; null when missing.", null=False),
            ColumnSpec(
                "vector", VECTOR, "", Role.FEATURE, "The elements, robust-normalised; null when missing.", null=False
            ),
            ColumnSpec(
                "is_normalized", pl.Boolean(), "", Role.INFO, "Whether `vector` differs from the raw one.", null=False
            ),
            ColumnSpec(
                "history_sessions",
                pl.Int32(),
                "sessions",
                Role.INFO,
                "Earlier sessions behind the statistics.",
                null=False,
                low=0,
            ),
        )
    },
    parameters=EpisodeParameters,
)
