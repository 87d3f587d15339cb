"""The report: its numbers, and a whole page for versions on disk."""

from __future__ import annotations

import math
import re
from pathlib import Path

import polars as pl
import pytest
from tests.unit.silver.small_version import add_date, fail, lay_down, lay_down_empty, rows

from ticklake.base.errors import CorruptError, NoDataError
from ticklake.silver.folder import VersionFolder
from ticklake.silver.report import write_report
from ticklake.silver.report_numbers import (
    PSI_BINS,
    histogram,
    label_balance,
    missing_by_date,
    missing_share,
    population_stability,
)


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
    assert page.count("Histogram of ") == page.count('<path d="M0.0') == 3
    assert "causality certificate passed" in page
    assert "Depth &lt;near&gt; the level." in page
    assert "1 of 2 features above 0.25" in page
    assert not re.findall(r'(?:src|href)="?(?!#)', page)
    assert "Plotly" in path.read_text().split("</head>")[0]


def test_drift_names_what_differs_from_the_parent(tmp_path):
    lay_down(tmp_path, "v1")
    lay_down(tmp_path, "v2", parent="v1", tape_s=1800)
    add_date(VersionFolder(tmp_path, "v2"), "2026-11-18", rows(60))
    page = body(write_report(tmp_path, "v2"))
    assert "<tr><td>compute_physics.tape_s</td><td>60</td><td>1,800</td></tr>" in page
    assert "2 dates built in both versions, 1 in this one only, 0 in the parent only" in page


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


def test_a_version_whose_dates_failed_says_why_and_shows_what_was_built(tmp_path):
    lay_down(tmp_path, "v1")
    fail(tmp_path, "v1", "StageFailedError: stage x: <bad>", "2026-11-24")
    page = body(write_report(tmp_path, "v1"))
    assert "This version failed and cannot be read: 1 of 4 dates failed, first 2026-11-24." in page
    assert "run `ticklake silver build v1`" in page
    assert "2026-11-24: StageFailedError: stage x: &lt;bad&gt;" in page
    assert "<b>103</b><span>features" in page  # what its pipeline declares; no manifest says so yet
    assert 'id="balance"' in page
    assert page.index("<h2>Checks") < page.index("<h2>Causality")
    assert "the build failed before it" in page


def test_a_failed_version_with_a_stage_of_somebody_else_runs_no_code_of_theirs(tmp_path):
    lay_down(tmp_path, "v1")
    fail(tmp_path, "v1", "no", "2026-11-24")
    stage = tmp_path / "stage.py"
    stage.write_text("raise SystemExit('this ran')")
    request = VersionFolder(tmp_path, "v1").request_path
    request.write_text(request.read_text().replace("stages: []", f"stages: [{{name: x, file: {stage}}}]"))
    assert "stages that are not part of the package" in body(write_report(tmp_path, "v1"))


def test_a_version_without_an_event_says_so_and_draws_no_numbers_of_nothing(tmp_path):
    lay_down_empty(tmp_path, "v1")
    page = body(write_report(tmp_path, "v1"))
    assert "No date has an event: there is nothing to draw of 2 features and 2 labels." in page
    assert "No certificate was drawn: there is no event to try it on." in page
    assert "no row of futures.trades in the session" in page
    assert '"showticklabels":false' in page.split('id="coverage"')[1].split("</script>")[0]


def test_pictures_are_told_to_those_who_cannot_see_them(tmp_path):
    lay_down(tmp_path, "v1", leak=True)
    path = write_report(tmp_path, "v1")
    page = body(path)
    pictures = len(re.findall(r'class="plotly-graph-div"', page)) + len(re.findall("<svg viewBox", page))
    assert len(re.findall(r'role="img" aria-label="[^"]{10,}"', page)) == pictures
    assert '<html lang="en">' in path.read_text()[:100]
    assert "<title>v1 - feature report</title>" in path.read_text()


def test_a_histogram_holds_all_known_values():
    values = pl.Series([*range(1000), None, float("nan")], dtype=pl.Float64, strict=False)
    shape = histogram(values)
    assert sum(shape.shares) == pytest.approx(1)
    assert (shape.low, shape.high, shape.median) == (pytest.approx(9.99), pytest.approx(989.01), 499.5)
    assert shape.missing == pytest.approx(2 / 1002)
    assert sum(histogram(pl.Series([None, None], dtype=pl.Float64)).shares) == 0


def test_a_histogram_reaches_over_both_versions():
    values = pl.Series(range(1000), dtype=pl.Float64)
    shape = histogram(values, values * 2 + 5000)
    assert (shape.low, shape.high) == (pytest.approx(9.99), pytest.approx(6978.02))
    assert sum(shape.shares) == pytest.approx(1)
    assert sum(shape.parent_shares) == pytest.approx(1)
    assert max(shape.parent_shares) < 0.2  # not all in the last bin


def test_bars_of_words_hold_the_parents_words_and_all_others():
    words = histogram(pl.Series(["a", "b", "a", None]), pl.Series(["c", "a"]))
    assert (words.words, words.shares, words.missing) == (("a", "b", "c"), (2 / 3, 1 / 3, 0), 0.25)
    assert words.parent_shares == (0.5, 0, 0.5)
    assert math.isnan(words.median)
    many = histogram(pl.Series([f"w{number:02}" for number in range(15)]))
    assert many.words == (*(f"w{number:02}" for number in range(11)), "(others)")
    assert many.shares[-1] == pytest.approx(4 / 15)


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
