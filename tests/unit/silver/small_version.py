"""Versions on disk for the report: two built dates and a closed one, checked, with a certificate."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from tests.unit.silver.small_market import market_of, session, simulate

from ticklake.silver.causality import certify
from ticklake.silver.checks import check_date, check_empty, sum_up
from ticklake.silver.folder import VersionFolder
from ticklake.silver.frames import Frames
from ticklake.silver.manifest import Built, Manifest, column_entries, dump_manifest
from ticklake.silver.record import DateRecord, DateStatus, VersionState, VersionStatus
from ticklake.silver.stage import ColumnSpec, Role
from ticklake.silver.validation import Validation, write_validation

COLUMNS = (
    ColumnSpec("event_id", pl.String(), "", Role.KEY, "", null=False),
    ColumnSpec("ts_event_ns", pl.Int64(), "ns", Role.KEY, "", null=False),
    ColumnSpec("near_depth_change_at_the_level", pl.Float64(), "contracts", Role.FEATURE, "Depth <near> the level."),
    ColumnSpec("fuel_effect", pl.String(), "", Role.FEATURE, ""),
    ColumnSpec("outcome_2min", pl.String(), "", Role.LABEL, ""),
    ColumnSpec("favorable_2min", pl.Float64(), "points", Role.LABEL, ""),
)
_DAY_NS = 86_400_000_000_000


def rows(count: int, scale: float = 1.0, days_later: int = 0) -> pl.DataFrame:
    """Events of a session, ten seconds apart."""
    first_ns = session().open_ns + days_later * _DAY_NS
    return pl.DataFrame(
        {
            "event_id": [f"e{row}" for row in range(count)],
            "ts_event_ns": [first_ns + row * 10_000_000_000 for row in range(count)],
            "near_depth_change_at_the_level": [None if row % 5 == 0 else row * scale for row in range(count)],
            "fuel_effect": [["AMPLIFY", "<b>DAMPEN"][row % 2] for row in range(count)],
            "outcome_2min": [["BREAK", "REJECT", "CHOP"][row % 3] for row in range(count)],
            "favorable_2min": [None if row % 9 == 0 else (row % 7 - 3) * 1.23456e-4 for row in range(count)],
        }
    )


def honest(inputs: Frames) -> Frames:
    return {"events": market_of(inputs).events.lazy()}


def leaking(inputs: Frames) -> Frames:
    return {"events": market_of(inputs).events.with_columns(pl.col("price").mean()).lazy()}


def add_date(folder: VersionFolder, date: str, frame: pl.DataFrame) -> None:
    """A built date."""
    folder.publish(DateRecord(date, DateStatus.BUILT, rows=frame.height), {})
    folder.date_path(date).mkdir(exist_ok=True)
    frame.write_parquet(folder.data_path(date, "signals.parquet"))


def lay_down(
    root: Path, version: str, *, parent: str | None = None, scale: float = 1.0, leak: bool = False, tape_s: int = 60
) -> None:
    """A complete version."""
    folder = VersionFolder(root, version)
    frames = {"2026-11-19": rows(60, scale, -1), "2026-11-20": rows(90, scale)}
    for date, frame in frames.items():
        add_date(folder, date, frame)
    folder.publish(DateRecord("2026-11-21", DateStatus.CLOSED, "no session <i>on that day"), {})
    checks = sum_up([check_date(frame.lazy(), COLUMNS, date=date) for date, frame in frames.items()], COLUMNS)
    certificate = certify(leaking if leak else honest, simulate(), session(), features=["price"], cuts=4)
    write_validation(folder.validation_path, Validation(tuple(checks), certificate))
    built = Built("1", "c" * 64, "m" * 64, "s" * 64, {}, {}, {}, [], certificate_passed=not leak)
    manifest = Manifest(
        version, "es_levels", description="Levels & more", parent=parent, calendar="us_index_futures",
        parameters={"compute_physics": {"tape_s": tape_s}}, columns=column_entries({"signals": COLUMNS}), built=built,
    )  # fmt: skip
    folder.manifest_path.write_text(dump_manifest(manifest))
    folder.write_state(VersionState(VersionStatus.COMPLETE, dates=3, rows=150))


def fail(root: Path, version: str, reason: str, date: str) -> None:
    """Make it one whose last date failed: no manifest but the request, and nothing was checked."""
    folder = VersionFolder(root, version)
    folder.publish(DateRecord(date, DateStatus.FAILED, reason), {})
    folder.withdraw([folder.manifest_path, folder.validation_path])
    request = Manifest(version, "es_levels", calendar="us_index_futures")
    folder.request_path.write_text(dump_manifest(request))
    folder.write_state(VersionState(VersionStatus.FAILED, f"1 of 4 dates failed, first {date}"))


def lay_down_empty(root: Path, version: str) -> None:
    """A complete version without an event."""
    lay_down(root, version)
    folder = VersionFolder(root, version)
    for date in ("2026-11-19", "2026-11-20"):
        folder.publish(DateRecord(date, DateStatus.EMPTY, "no row of futures.trades in the session"), {})
    checks = sum_up([check_empty("no row", date="2026-11-20")], COLUMNS)
    write_validation(folder.validation_path, Validation(tuple(checks)))
    folder.write_state(VersionState(VersionStatus.COMPLETE, "no causality certificate: there was no event", dates=3))
