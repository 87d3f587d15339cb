"""The report: its numbers, and a whole page for versions on disk."""

from __future__ import annotations

import math
import re
from pathlib import Path

import polars as pl
import pytest
from tests.unit.silver.small_market import market_of, session, simulate

from ticklake.base.errors import CorruptError, NoDataError
from ticklake.silver.causality import certify
from ticklake.silver.checks import check_date, sum_up
from ticklake.silver.folder import VersionFolder
from ticklake.silver.frames import Frames
from ticklake.silver.manifest import Built, Manifest, column_entries, dump_manifest
from ticklake.silver.record import DateRecord, DateStatus, VersionState, VersionStatus
from ticklake.silver.report import write_report
from ticklake.silver.report_numbers import (
    PSI_BINS,
    histogram,
    label_balance,
    missing_by_date,
    missing_share,
    population_stability,
)
from ticklake.silver.stage import ColumnSpec, Role
from ticklake.silver.validation import Validation, write_validation

COLUMNS = (
    ColumnSpec("event_id", pl.String(), "", Role.KEY, "", null=False),
    ColumnSpec("ts_event_ns", pl.Int64(), "ns", Role.KEY, "", null=False),
    ColumnSpec("near_depth", pl.Float64(), "contracts", Role.FEATURE, ""),
    ColumnSpec("fuel_effect", pl.String(), "", Role.FEATURE, ""),
    ColumnSpec("outcome_2min", pl.String(), "", Role.LABEL, ""),
    ColumnSpec("favorable_2min", pl.Float64(), "points", Role.LABEL, ""),
)


def rows(count: int, scale: float = 1.0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "event_id": [f"e{row}" for row in range(count)],
            "ts_event_ns": list(range(count)),
            "near_depth": [None if row % 5 == 0 else row * scale for row in range(count)],
            "fuel_effect": [["AMPLIFY", "<b>DAMPEN"][row % 2] for row in range(count)],
            "outcome_2min": [["BREAK", "REJECT", "CHOP"][row % 3] for row in range(count)],
            "favorable_2min": [float(row % 7) for row in range(count)],
        }
    )


def honest(inputs: Frames) -> Frames:
    return {"events": market_of(inputs).events.lazy()}


def leaking(inputs: Frames) -> Frames:
    return {"events": market_of(inputs).events.with_columns(pl.col("price").mean()).lazy()}


def lay_down(root: Path, version: str, *, parent: str | None = None, scale: float = 1.0, leak: bool = False) -> None:
    """A version with two built dates and a closed one."""
    folder = VersionFolder(root, version)
    frames = {"2026-11-19": rows(60, scale), "2026-11-20": rows(90, scale)}
    for date, frame in frames.items():
        folder.date_path(date).mkdir(parents=True)
        frame.write_parquet(folder.data_path(date, "signals.parquet"))
        folder.publish(DateRecord(date, DateStatus.BUILT, rows=frame.height), {})
        folder.date_path(date).mkdir(exist_ok=True)
        frame.write_parquet(folder.data_path(date, "signals.parquet"))
    folder.publish(DateRecord("2026-11-21", DateStatus.CLOSED, "no session <i>on that day"), {})
    checks = sum_up([check_date(frame.lazy(), COLUMNS, date=date) for date, frame in frames.items()], COLUMNS)
    certificate = certify(leaking if leak else honest, simulate(), session(), features=["price"], cuts=4)
    write_validation(folder.validation_path, Validation(tuple(checks), certificate))
    built = Built("1", "c" * 64, "m" * 64, "s" * 64, {}, {}, {}, [], certificate_passed=not leak)
    manifest = Manifest(
        version, "es_levels", description="Levels & more", parent=parent,
        columns=column_entries({"signals": COLUMNS}), built=built,
    )  # fmt: skip
    folder.manifest_path.write_text(dump_manifest(manifest))
    folder.write_state(VersionState(VersionStatus.COMPLETE, dates=3, rows=150))


def body(path: Path) -> str:
    """The page without the library in its head."""
    return path.read_text().split("</head>")[1]


def test_a_report_has_every_picture_and_nothing_from_elsewhere(tmp_path):
    lay_down(tmp_path, "v1")
    lay_down(tmp_path, "v2", parent="v1", scale=3.0)
    path = write_report(tmp_path, "v2")
    assert path == tmp_path / "silver/reports/v2.html"
    page = body(path)
    for name in ("coverage", "causality", "checks", "balance", "missing", "drift"):
        assert f'id="{name}"' in page
    assert page.count('<div class="card">') == 3
    assert page.count("<svg ") == page.count("<path d=") == 3
    assert "knows nothing later" in page
    assert "1 of 2 features above 0.25" in page
    assert not re.findall(r'(?:src|href)="?(?!#)', page)
    assert "Plotly" in path.read_text().split("</head>")[0]


def test_texts_of_the_data_are_not_markup(tmp_path):
    lay_down(tmp_path, "v1")
    page = body(write_report(tmp_path, "v1"))
    assert "<b>DAMPEN" not in page
    assert "<i>on" not in page
    assert "Levels &amp; more" in page


def test_equal_versions_give_equal_pages(tmp_path):
    lay_down(tmp_path, "v1")
    first = write_report(tmp_path, "v1", tmp_path / "a.html").read_bytes()
    assert write_report(tmp_path, "v1", tmp_path / "b.html").read_bytes() == first


def test_a_failed_certificate_is_shown_with_what_it_found(tmp_path):
    lay_down(tmp_path, "v1", leak=True)
    page = body(write_report(tmp_path, "v1"))
    assert "certificate not passed" in page
    assert 'id="violations"' in page
    assert "price, e0: " in page


def test_without_a_parent_the_page_says_so(tmp_path):
    lay_down(tmp_path, "v1")
    assert "has no parent version" in body(write_report(tmp_path, "v1"))
    lay_down(tmp_path, "v2", parent="v0")
    assert "The parent version v0 is gone" in body(write_report(tmp_path, "v2"))


def test_an_unknown_version_and_a_lost_file_are_named(tmp_path):
    with pytest.raises(NoDataError, match="no version 'v9'"):
        write_report(tmp_path, "v9")
    lay_down(tmp_path, "v1")
    VersionFolder(tmp_path, "v1").data_path("2026-11-20", "signals.parquet").unlink()
    with pytest.raises(CorruptError, match="date=2026-11-20"):
        write_report(tmp_path, "v1")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    lay_down(tmp_path, "v2")
    path = VersionFolder(tmp_path, "v2").data_path("2026-11-19", "signals.parquet")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptError, match=r"2026-11-19/signals\.parquet cannot be read"):
        write_report(tmp_path, "v2")


def test_a_histogram_holds_all_known_values():
    values = pl.Series([*range(1000), None, float("nan")], dtype=pl.Float64, strict=False)
    shape = histogram(values, values * 2)
    assert sum(shape.shares) == pytest.approx(1)
    assert sum(shape.parent_shares) == pytest.approx(1)
    assert (shape.low, shape.high, shape.median) == (pytest.approx(9.99), pytest.approx(989.01), 499.5)
    assert shape.missing == pytest.approx(2 / 1002)
    words = histogram(pl.Series(["a", "b", "a", None]))
    assert (words.labels, words.shares, words.missing) == (("a", "b"), (2 / 3, 1 / 3), 0.25)
    assert math.isnan(words.median)
    assert sum(histogram(pl.Series([None, None], dtype=pl.Float64)).shares) == 0


def test_population_stability_of_hand_computed_shares():
    then = pl.Series(["x"] * 50 + ["y"] * 50)
    now = pl.Series(["x"] * 80 + ["y"] * 20)
    expected = (0.8 - 0.5) * math.log(0.8 / 0.5) + (0.2 - 0.5) * math.log(0.2 / 0.5)
    assert population_stability(now, then) == pytest.approx(expected)
    assert population_stability(then, then) == 0


def test_population_stability_bins_by_the_parents_deciles_and_counts_missing():
    then = pl.Series(range(1000), dtype=pl.Float64)
    assert population_stability(then.shuffle(seed=1), then) == pytest.approx(0, abs=1e-3)
    moved = population_stability(then + 5000, then)
    floor = 1e-4
    others = PSI_BINS - 1
    assert moved == pytest.approx(
        (1 - 0.1) * math.log(1 / 0.1) + others * (floor - 0.1) * math.log(floor / 0.1), rel=1e-6
    )
    half = pl.Series([None if row % 2 else float(row) for row in range(1000)])
    assert population_stability(half, then) > 2


def test_shares_of_missing_values_and_labels():
    assert missing_share(pl.Series([1.0, None, float("nan"), 2.0])) == 0.5
    assert missing_share(pl.Series([], dtype=pl.Float64)) == 0
    frames = {"b": pl.DataFrame({"x": [None, 1], "y": [1, 1]}), "a": pl.DataFrame({"x": [1, 1], "y": [1, 1]})}
    assert missing_by_date(frames, ["x", "y"]) == {"x": [0.0, 0.5]}
    counted = label_balance(pl.DataFrame({"outcome": ["CHOP", None, "BREAK", "CHOP"]}), ["outcome"])
    assert counted == {"outcome": {"(missing)": 1, "BREAK": 1, "CHOP": 2}}
