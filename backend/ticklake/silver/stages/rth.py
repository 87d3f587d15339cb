"""Stage 15, filter_rth: keeps the events of the regular morning. Pure."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

import polars as pl

from ticklake.base.errors import UsageError
from ticklake.schema.session import SessionWindow
from ticklake.silver.stage import ColumnSpec, Frames, Role, Stage, StageParameters

_NS_PER_S = 1_000_000_000


class RthParameters(StageParameters, frozen=True):
    """Which events stay.

    Attributes:
        rth_start: first wall time kept, HH:MM.
        rth_end: first wall time no longer kept, HH:MM.
        timezone: in which both times are told, an IANA name.
    """

    rth_start: str = "09:30"
    rth_end: str = "12:30"
    timezone: str = "America/New_York"


def rth_window(parameters: RthParameters, session: SessionWindow) -> tuple[int, int]:
    """Bounds [start, end) in ns UTC: the wall times of the session's date, within its opening hours.

    On a half day the close cuts the end. The zone's own rules make 09:30 an hour earlier in UTC in summer.

    Raises:
        UsageError: a time is not HH:MM, or the start is not before the end.
    """
    start_ns = _wall_ns(session, parameters.rth_start, parameters.timezone)
    end_ns = _wall_ns(session, parameters.rth_end, parameters.timezone)
    if not start_ns < end_ns:
        raise UsageError(
            f"filter_rth: rth_start {parameters.rth_start} is not before rth_end {parameters.rth_end}; "
            "swap or correct them in the manifest"
        )
    return max(start_ns, session.open_ns), min(end_ns, session.close_ns)


def filter_rth(frames: Frames, parameters: RthParameters, session: SessionWindow) -> Frames:
    """Keep events with start <= t < end; labels may look past the end, as far as trades were loaded.

    Shape:  a subset of the events; order kept. Frame `rth`: one row, the bounds. Frame `touches`: kind and time of
            every event before the end, also of those before the start.
    Knows:  nothing later than t.
    """
    start_ns, end_ns = rth_window(parameters, session)
    is_inside = (pl.col("ts_event_ns") >= start_ns) & (pl.col("ts_event_ns") < end_ns)
    return {
        "events": frames["events"].filter(is_inside),
        "touches": frames["events"].filter(pl.col("ts_event_ns") < end_ns).select("kind", "ts_event_ns"),
        "rth": pl.LazyFrame({"start_ns": [start_ns], "end_ns": [end_ns]}),
    }


def _wall_ns(session: SessionWindow, wall_time: str, timezone: str) -> int:
    try:
        wall = time.fromisoformat(wall_time)
    except ValueError as error:
        raise UsageError(f"filter_rth: {wall_time!r} is no time of day; write HH:MM in the manifest") from error
    moment = datetime.combine(session.date, wall, tzinfo=ZoneInfo(timezone))
    return int(moment.timestamp()) * _NS_PER_S


STAGE = Stage(
    name="filter_rth",
    run=filter_rth,
    needs={"events": ("ts_event_ns", "kind")},
    gives={
        "rth": (
            ColumnSpec("start_ns", pl.Int64(), "ns", Role.INFO, "First instant kept.", null=False),
            ColumnSpec("end_ns", pl.Int64(), "ns", Role.INFO, "First instant no longer kept.", null=False),
        ),
        "touches": (
            ColumnSpec("kind", pl.String(), "", Role.KEY, "Kind of level.", null=False),
            ColumnSpec("ts_event_ns", pl.Int64(), "ns", Role.KEY, "When the price entered its zone.", null=False),
        ),
    },
    parameters=RthParameters,
)
