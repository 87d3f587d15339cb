"""`ticklake silver ...`: what people type, what they see, which exit code tells what."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from tests.integration.silver.toy import TARGET, add_day, day_text, toy_lake
from tests.integration.small_lake import SmallLake
from typer.testing import CliRunner

from ticklake.base.errors import CheckFailedError, CorruptError, NoDataError, UsageError
from ticklake.cli.silver import app
from ticklake.readers.silver import SilverReader
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.folder import VersionFolder
from ticklake.silver.record import VersionState, VersionStatus

FRAGILE = "tests.integration.silver.fragile:FRAGILE"
LEAKY = "tests.integration.silver.toy:LEAKY"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    toy_lake(tmp_path, 2)
    (tmp_path / "m.yaml").write_text(f"version: v1\npipeline: {TARGET}\ncertificate: {{cuts: 3}}\n")
    return tmp_path


def run(lake: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--data", str(lake)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_build_list_compare(lake: Path) -> None:
    told = run(lake, "build", str(lake / "m.yaml"))
    assert "version v1 complete: 160 signals, 2 of 2 dates built" in told
    assert "2 dates built" not in run(lake, "build", "v1").replace("0 of 2 dates built", "")
    facts = json.loads(run(lake, "build", "v1", "--force", "--output", "json"))
    assert (facts["status"], facts["signals_total"], facts["errors"]) == ("complete", 160, [])
    (lake / "n.yaml").write_text(f"version: v2\npipeline: {TARGET}\nparent: v1\nparameters: {{move: {{rows: 7}}}}\n")
    run(lake, "build", str(lake / "n.yaml"), "--date", day_text(1))
    listed = json.loads(run(lake, "ls", "--output", "json"))
    assert [(row["version"], row["state"], row["rows"], row["parent"]) for row in listed] == [
        ("v1", "complete", 160, None),
        ("v2", "complete", 80, "v1"),
    ]
    compared = json.loads(run(lake, "compare", "v1", "v2", "--output", "json"))
    assert (compared["parameters_a"], compared["parameters_b"]) == ({"move.rows": 5}, {"move.rows": 7})
    assert compared["dates_removed"] == [day_text(0)]
    assert "move.rows" in run(lake, "compare", "v1", "v2")


def test_a_range_of_days(lake: Path) -> None:
    add_day(SmallLake(lake, segment=9), 4)
    run(lake, "build", str(lake / "m.yaml"), "--start", day_text(0), "--end", "2024-12-22")
    statuses = [record.status.value for record in SilverFeatureBuilder(lake).get_records("v1")]
    assert statuses == ["built", "built", "empty", "empty", "built", "closed", "closed"]
    with pytest.raises(UsageError, match="together"):
        run(lake, "build", "v1", "--start", day_text(0))
    with pytest.raises(UsageError, match="swap them"):
        run(lake, "build", "v1", "--start", day_text(1), "--end", day_text(0))


def test_a_leak_ends_with_a_failed_check(lake: Path) -> None:
    (lake / "m.yaml").write_text(f"version: v1\npipeline: {LEAKY}\ncertificate: {{cuts: 3}}\n")
    with pytest.raises(CheckFailedError, match="never promoted: the causality certificate failed"):
        run(lake, "build", str(lake / "m.yaml"))
    with pytest.raises(NoDataError, match="no feature version 'v7'"):
        run(lake, "build", "v7")


def test_a_parent_is_another_version_that_was_there_when_this_one_began(lake: Path) -> None:
    run(lake, "build", str(lake / "m.yaml"))
    (lake / "n.yaml").write_text(f"version: v2\npipeline: {TARGET}\ncertificate: {{cuts: 3}}\nparent: base\n")
    with pytest.raises(UsageError, match="parent 'base' of v2 is no other feature version; there are: v1"):
        run(lake, "build", str(lake / "n.yaml"))
    assert not (lake / "silver/features/v2").exists()
    (lake / "m.yaml").write_text(f"version: v1\npipeline: {TARGET}\nparent: v1\n")
    with pytest.raises(UsageError, match="parent 'v1' of v1 is no other"):
        run(lake, "build", str(lake / "m.yaml"))
    (lake / "n.yaml").write_text((lake / "n.yaml").read_text().replace("base", "v1"))
    run(lake, "build", str(lake / "n.yaml"))
    shutil.rmtree(lake / "silver/features/v1")
    assert "0 of 2 dates built" in run(lake, "build", "v2")


def test_the_report_of_a_failed_version_says_why_and_an_unfinished_one_has_none(lake: Path) -> None:
    (lake / "m.yaml").write_text(f"version: v1\npipeline: {FRAGILE}\n")
    with pytest.raises(CheckFailedError, match="version v1 failed: 1 of 2 dates failed"):
        run(lake, "build", str(lake / "m.yaml"))
    page = Path(run(lake, "report", "v1").strip()).read_text()
    assert "not a Tuesday" in page
    VersionFolder(lake, "v2").write_state(VersionState(VersionStatus.BUILDING, "a build is at work, or was killed"))
    with pytest.raises(NoDataError, match=r"v2 is not built to the end \(a build is at work, or was killed\); wait"):
        run(lake, "report", "v2")


def test_a_report_goes_into_a_folder_that_is_named(lake: Path) -> None:
    run(lake, "build", str(lake / "m.yaml"))
    assert run(lake, "report", "v1", "--out", str(lake)) == f"{lake}/v1.html\n"
    assert (lake / "v1.html").stat().st_size > 0


@pytest.mark.parametrize("document", ["state.json", "manifest.yaml"])
def test_a_damaged_version_hides_no_other(lake: Path, document: str) -> None:
    run(lake, "build", str(lake / "m.yaml"))
    (lake / "n.yaml").write_text(f"version: v2\npipeline: {TARGET}\ncertificate: {{cuts: 3}}\n")
    run(lake, "build", str(lake / "n.yaml"))
    path = lake / "silver/features/v1" / document
    path.write_bytes(b"\xff{")
    result = CliRunner().invoke(app, ["ls", "--output", "json", "--data", str(lake)])
    damaged, whole = json.loads(result.stdout)
    assert (damaged["version"], damaged["state"], whole["version"], whole["state"]) == (
        "v1",
        "damaged",
        "v2",
        "complete",
    )
    assert str(path) in damaged["reason"]
    assert isinstance(result.exception, CorruptError)
    assert f"1 version of 2 damaged: v1 ({path}" in str(result.exception)


def test_lists_of_versions_pass_over_a_damaged_state(lake: Path) -> None:
    run(lake, "build", str(lake / "m.yaml"))
    (lake / "silver/features/v0").mkdir()
    (lake / "silver/features/v0/state.json").write_text("{")
    builder, reader = SilverFeatureBuilder(lake), SilverReader(lake)
    assert (builder.list_versions(), builder.list_versions(complete_only=False)) == (["v1"], ["v0", "v1"])
    assert [(found.name, found.state) for found in reader.list_versions()] == [("v0", "damaged"), ("v1", "complete")]
    assert [found.name for found in reader.list_versions(complete_only=True)] == ["v1"]


def test_inspect_shows_stages_or_rows(lake: Path) -> None:
    rows = json.loads(run(lake, "inspect", str(lake / "m.yaml"), day_text(1), "--output", "json"))
    assert [row["stage"] for row in rows] == ["load", "events", "move", "label", "episodes"]
    assert rows[2]["added"] == "distance_points"
    shown = run(lake, "inspect", str(lake / "m.yaml"), day_text(1), "--show", "events", "--rows", "2", "-o", "json")
    assert len(json.loads(shown)) == 2
    with pytest.raises(UsageError, match="no frame 'trades' there; choose one of events, episodes"):
        run(lake, "inspect", str(lake / "m.yaml"), day_text(1), "--show", "trades")


def test_parameters_are_printed_and_a_pipeline_that_is_none_is_refused() -> None:
    table = CliRunner().invoke(app, ["parameters"], catch_exceptions=False).stdout
    assert re.search(r"compute_physics +tape_points +float >= 0 +0\.5 +10\.0 +points +how far from the level", table)
    whole = json.loads(CliRunner().invoke(app, ["parameters", TARGET, "-o", "json"], catch_exceptions=False).stdout)
    assert (whole[1]["stage"], whole[1]["parameter"], whole[1]["default"]) == ("move", "rows", 5)
    assert isinstance(CliRunner().invoke(app, ["parameters", "nothing"]).exception, UsageError)


def test_the_printed_manifest_can_be_built() -> None:
    for pipeline in ("es_levels", "book_flow", "book_flow_quotes"):
        result = CliRunner().invoke(app, ["manifest", pipeline], catch_exceptions=False)
        assert result.exit_code == 0
        assert f"pipeline: {pipeline}\n" in result.stdout
