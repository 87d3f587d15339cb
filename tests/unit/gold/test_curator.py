"""GoldCurator: promote, refuse, skip, roll back, validate; what lies on disk afterwards."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from tests.unit.gold.small_version import DAYS, MONDAY, lay_version, rows_of, write_json

from ticklake.base.errors import NoDataError, RetryableError, UsageError
from ticklake.catalog.run_record import RunStatus
from ticklake.catalog.runs import RunRegistry
from ticklake.files.errors import AlreadyStoredError, UnreadableError
from ticklake.gold import promotion
from ticklake.gold.curator import GoldCurator
from ticklake.gold.gates import GateLimits
from ticklake.gold.promotion import Promotion, PromotionStatus
from ticklake.gold.publish import next_version, seal_version, stage_folder
from ticklake.lake.parquet import read_footer
from ticklake.readers.gold import GoldReader
from ticklake.testing.clock import ManualClock

NAME = "signals_production"


@pytest.fixture
def curator(tmp_path: Path) -> GoldCurator:
    return GoldCurator(tmp_path, clock=ManualClock())


def failed(done: Promotion) -> list[str]:
    return [gate.name for gate in done.gates if not gate.passed and not gate.forced]


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_promotion_writes_a_version_and_makes_it_current(tmp_path: Path, curator: GoldCurator) -> None:
    lay_version(tmp_path)
    done = curator.promote_to_training("v1", notes="first")
    assert (done.status, done.version, done.signal_count, done.feature_count) == (PromotionStatus.SUCCESS, 1, 180, 2)
    history = tmp_path / "gold/history/signals_production/v000001"
    assert sorted(path.name for path in history.iterdir()) == ["data.parquet", "metadata.json", "sources.json"]
    plain = tmp_path / "gold/training/signals_production.parquet"
    assert plain.read_bytes() == (history / "data.parquet").read_bytes()
    expected = pl.concat([rows_of(day) for day in DAYS])
    assert curator.load_training_data().equals(expected)
    assert pl.read_parquet(tmp_path / "gold/training/*.parquet").equals(expected)
    metadata = curator.get_dataset_metadata()
    assert metadata["data"]["sha256"] == hashlib.sha256(plain.read_bytes()).hexdigest()
    assert (metadata["keys"], metadata["info"]) == (["event_id", "date", "ts_event_ns"], ["kind"])
    assert metadata["features"] == ["distance_points", "tape_imbalance"]
    assert metadata["labels"] == ["outcome_2min", "favorable_2min"]
    assert metadata["date_range"] == {"start": "2024-12-16", "end": "2024-12-18"}
    assert (metadata["silver_version"], metadata["notes"], metadata["forced"]) == ("v1", "first", False)
    footer = read_footer(str(plain))
    assert (footer["dataset"], footer["dataset_version"], footer["silver_version"]) == (NAME, "1", "v1")
    assert curator.list_datasets()[0]["version"] == 1
    assert curator.list_datasets() == curator.list_training_datasets()
    run = RunRegistry(tmp_path).get_run(done.run_id)
    assert (run.status, run.datasets, len(run.inputs)) == (RunStatus.FINISHED, ("gold/training/signals_production",), 3)


def test_equal_versions_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        lay_version(tmp_path / name)
        GoldCurator(tmp_path / name).promote_to_training("v1")
    plain = "gold/training/signals_production.parquet"
    assert (tmp_path / "a" / plain).read_bytes() == (tmp_path / "b" / plain).read_bytes()


def test_what_is_current_already_is_skipped_and_force_makes_it_anew(tmp_path: Path, curator: GoldCurator) -> None:
    lay_version(tmp_path)
    curator.promote_to_training("v1")
    again = curator.promote_to_training("v1")
    assert (again.status, again.version, again.passed) == (PromotionStatus.SKIPPED, 1, True)
    assert "v000001 is current" in again.reason
    assert curator.promote_to_training("v1", notes="other").version == 2
    forced = curator.promote_to_training("v1", notes="other", force=True)
    assert (forced.version, forced.reason) == (3, "v000002 held exactly this already; it is made once more, by force")


def test_a_damaged_old_version_keeps_nobody_from_promoting(tmp_path: Path, curator: GoldCurator) -> None:
    lay_version(tmp_path)
    curator.promote_to_training("v1")
    curator.promote_to_training("v1", notes="two")
    kept = tmp_path / "gold/history/signals_production/v000001/metadata.json"
    kept.chmod(0o600)
    kept.write_text("{")
    assert curator.promote_to_training("v1", notes="three").version == 3


def test_rollback_goes_below_to_a_version_and_forward_again(tmp_path: Path, curator: GoldCurator) -> None:
    for number in (1, 2, 3):
        lay_version(tmp_path, f"v{number}", {MONDAY: rows_of(MONDAY, 120, shift=number)})
        curator.promote_to_training(f"v{number}", dates=MONDAY)
    before = files_below(tmp_path / "gold/history")
    for to, number in ((None, 2), (None, 1), ("v000003", 3), (1, 1)):
        assert curator.rollback(to=to).version == number
        rows = curator.load_training_data()
        assert rows["distance_points"][0] == number
        assert pl.read_parquet(tmp_path / "gold/training/signals_production.parquet").equals(rows)
        assert curator.get_dataset_metadata()["silver_version"] == f"v{number}"
        assert curator.validate_dataset().passed
    with pytest.raises(NoDataError, match="no version below v000001"):
        curator.rollback()
    with pytest.raises(NoDataError, match="there are: v000001, v000002, v000003"):
        curator.rollback(to=9)
    assert files_below(tmp_path / "gold/history") == before
    assert [path.name for path in (tmp_path / "gold/training").iterdir() if path.name.startswith(".")] == []
    assert [line["version"] for line in curator.list_versions() if line["is_current"]] == [1]
    assert curator.load_training_data(version=3)["distance_points"][0] == 3.0


def test_a_version_that_was_rolled_back_is_taken_up_again(tmp_path: Path, curator: GoldCurator) -> None:
    for number in (1, 2):
        lay_version(tmp_path, f"v{number}", {MONDAY: rows_of(MONDAY, 120, shift=number)})
        curator.promote_to_training(f"v{number}", dates=MONDAY)
    curator.rollback()
    again = curator.promote_to_training("v2", dates=MONDAY)
    assert (again.status, again.version) == (PromotionStatus.SUCCESS, 2)
    assert "held exactly this already" in again.reason
    assert curator.load_training_data()["distance_points"][0] == 2.0


@pytest.mark.parametrize("state", ["building", "failed"])
def test_an_unfinished_version_is_refused_with_or_without_force(
    tmp_path: Path, curator: GoldCurator, state: str
) -> None:
    lay_version(tmp_path, state=state)
    for force in (False, True):
        done = curator.promote_to_training("v1", force=force)
        assert (done.status, failed(done), done.version) == (PromotionStatus.REFUSED, ["complete"], None)
    assert not (tmp_path / "gold").exists()
    assert RunRegistry(tmp_path).get_run(done.run_id).status is RunStatus.FAILED


def test_no_force_passes_the_hard_gates(tmp_path: Path, curator: GoldCurator) -> None:
    lay_version(
        tmp_path, "leaky", validation={"checks": [], "causality": {"passed": False, "cuts": 20, "violations": []}}
    )
    changed = lay_version(tmp_path, "changed")
    (changed / f"date={MONDAY}/signals.parquet").write_bytes(b"PAR1 something else PAR1")
    lost = lay_version(tmp_path, "lost")
    (lost / f"date={MONDAY}/signals.parquet").unlink()
    twice = rows_of(MONDAY, 120)
    lay_version(tmp_path, "twice", {MONDAY: twice.with_columns(event_id=pl.lit("same"))})
    lay_version(tmp_path, "typed", {MONDAY: twice.with_columns(pl.col("distance_points").cast(pl.String))})
    lay_version(tmp_path, "holes", {MONDAY: twice.with_columns(kind=pl.lit(None, pl.String))})
    lay_version(tmp_path, "mixed", {MONDAY: twice.reverse()})
    lay_version(tmp_path, "nothing", {MONDAY: twice.head(0)})
    wanted = {
        "leaky": ["certificate"],
        "changed": ["checksums"],
        "lost": ["checksums"],
        "twice": ["unique_keys"],
        "typed": ["schema"],
        "holes": ["nulls"],
        "mixed": ["order"],
        "nothing": ["minimum_rows"],
    }
    assert {name: failed(curator.promote_to_training(name, force=True)) for name in wanted} == wanted
    assert curator.list_datasets() == []


def test_force_passes_soft_gates_and_says_so(tmp_path: Path, curator: GoldCurator) -> None:
    few = rows_of(MONDAY, 20).with_columns(outcome_2min=pl.lit("BREAK"))
    lay_version(tmp_path, frames={MONDAY: few, DAYS[2]: rows_of(DAYS[2], 0)}, others={DAYS[1]: "failed"})
    done = curator.promote_to_training("v1")
    assert (done.status, failed(done)) == (PromotionStatus.REFUSED, ["coverage", "label_balance", "minimum_rows"])
    assert "2024-12-17 failed: was failed" in done.reason
    done = curator.promote_to_training("v1", force=True)
    assert done.status is PromotionStatus.SUCCESS
    metadata = curator.get_dataset_metadata()
    assert metadata["forced"]
    assert {gate["name"] for gate in metadata["gates"] if gate["forced"]} == {
        "coverage",
        "label_balance",
        "minimum_rows",
    }
    assert curator.validate_dataset().passed
    assert metadata["dates"] == ["2024-12-16"]


def test_holidays_and_weekends_need_no_date(tmp_path: Path, curator: GoldCurator) -> None:
    days = [MONDAY.replace(day=24), MONDAY.replace(day=26), MONDAY.replace(day=27), MONDAY.replace(day=30)]
    lay_version(tmp_path, frames={day: rows_of(day) for day in days}, others={MONDAY.replace(day=25): "closed"})
    done = curator.promote_to_training("v1")
    assert "4 of 4 open days are built" in [gate.reason for gate in done.gates if gate.name == "coverage"]


def test_an_empty_day_of_another_year_is_one_gap_and_a_closed_one_none(tmp_path: Path, curator: GoldCurator) -> None:
    closed = {date(2020, 1, 1): "closed", date(2025, 12, 25): "closed"}
    lay_version(tmp_path, others=closed)
    done = curator.promote_to_training("v1")
    assert done.passed, done.reason
    assert "3 of 3 open days are built" in [gate.reason for gate in done.gates if gate.name == "coverage"]
    lay_version(tmp_path, "gap", others={**closed, date(2020, 1, 2): "empty"})
    refused = curator.promote_to_training("gap")
    assert "coverage: 3 of 4 open days are built; missing: 2020-01-02 empty: was empty; get" in refused.reason
    assert curator.promote_to_training("gap", dates=DAYS).passed
    hole = {day: rows_of(day) for day in (DAYS[0], DAYS[2])}
    lay_version(tmp_path, "hole", hole)
    refused = curator.promote_to_training("hole")
    assert (
        "missing: 2024-12-17 was not asked for; get their data and build them, or name the days with --date"
        in refused.reason
    )


def test_selected_dates_only(tmp_path: Path, curator: GoldCurator) -> None:
    lay_version(tmp_path)
    assert curator.promote_to_training("v1", dates=[str(DAYS[0]), str(DAYS[2])]).signal_count == 120
    assert curator.get_dataset_metadata()["dates"] == ["2024-12-16", "2024-12-18"]
    with pytest.raises(NoDataError, match="has no date 2024-12-20"):
        curator.promote_to_training("v1", dates="2024-12-20")


def test_a_build_while_it_is_promoted_is_noticed(
    tmp_path: Path, curator: GoldCurator, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lay_version(tmp_path)
    survey_version = promotion.survey_version

    def then_build(*args: object, **details: object) -> object:
        found = survey_version(*args, **details)  # type: ignore[arg-type]
        write_json(folder / "state.json", {"state": "building", "reason": ""})
        return found

    monkeypatch.setattr(promotion, "survey_version", then_build)
    with pytest.raises(RetryableError, match="built again while it was promoted"):
        curator.promote_to_training("v1")
    assert list((tmp_path / "gold/history/signals_production").iterdir()) == []
    assert curator.list_datasets() == []


def test_a_file_that_changes_between_gates_and_copy_is_noticed(
    tmp_path: Path, curator: GoldCurator, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lay_version(tmp_path)
    survey_version = promotion.survey_version

    def then_change(*args: object, **details: object) -> object:
        found = survey_version(*args, **details)  # type: ignore[arg-type]
        rows_of(MONDAY, shift=9).write_parquet(folder / f"date={MONDAY}/signals.parquet")
        return found

    monkeypatch.setattr(promotion, "survey_version", then_change)
    with pytest.raises(RetryableError, match="changed while it was promoted"):
        curator.promote_to_training("v1")


def test_a_number_is_won_once(tmp_path: Path) -> None:
    first, second = stage_folder(tmp_path, "x"), stage_folder(tmp_path, "x")
    for folder in (first, second):
        (folder / "metadata.json").write_text(folder.name)
    assert seal_version(tmp_path, "x", 1, first).name == "v000001"
    with pytest.raises(AlreadyStoredError, match="another curator took the number"):
        seal_version(tmp_path, "x", 1, second)
    assert (tmp_path / "gold/history/x/v000001/metadata.json").read_text() == first.name
    assert next_version(tmp_path, "x") == 2


def test_what_a_killed_curator_left_is_put_right(tmp_path: Path, curator: GoldCurator) -> None:
    lay_version(tmp_path)
    curator.promote_to_training("v1")
    left = stage_folder(tmp_path, NAME)
    (left / "data.parquet").write_bytes(b"half")
    plain = tmp_path / "gold/training/signals_production.parquet"
    lay_version(tmp_path, "v2", {MONDAY: rows_of(MONDAY, 120)})
    curator.promote_to_training("v2")
    plain.unlink()
    assert not curator.validate_dataset().passed
    assert curator.promote_to_training("v2").status is PromotionStatus.SKIPPED
    assert curator.validate_dataset().passed
    assert not left.exists()


def test_a_damaged_pointer_is_named_and_a_rollback_heals_it(tmp_path: Path, curator: GoldCurator) -> None:
    lay_version(tmp_path)
    curator.promote_to_training("v1")
    (tmp_path / "gold/training/signals_production_metadata.json").write_text("{}")
    with pytest.raises(UnreadableError, match=r"signals_production_metadata\.json"):
        curator.load_training_data()
    curator.rollback(to=1)
    assert curator.load_training_data().height == 180


def test_validation_names_each_fault(tmp_path: Path, curator: GoldCurator) -> None:
    lay_version(tmp_path)
    curator.promote_to_training("v1")
    found = curator.validate_dataset()
    assert (found.passed, found.row_count, found.column_count) == (True, 180, 8)
    assert found.label_distribution["outcome_2min"] == {"BREAK": 45, "CHOP": 45, "REJECT": 45, "missing": 45}
    assert found.null_summary == {"total_nulls": 18, "high_null_columns": {}}
    assert found.date_coverage["signals_per_date"] == {str(day): 60 for day in DAYS}
    assert found.metadata_match == {"signal_count_match": True, "expected_count": 180, "actual_count": 180}
    plain = tmp_path / "gold/training/signals_production.parquet"
    plain.unlink()  # the name, not the file of the history
    rows_of(MONDAY).write_parquet(plain)
    assert [gate.name for gate in curator.validate_dataset().findings if not gate.passed] == ["plain_file"]
    history = tmp_path / "gold/history/signals_production/v000001"
    (history / "sources.json").write_text("{}")
    assert "sources" in [gate.name for gate in curator.validate_dataset(version=1).findings if not gate.passed]
    (history / "data.parquet").write_bytes(b"PAR1")
    found = curator.validate_dataset()
    assert not found.passed
    assert "restore it from a copy" in next(gate.reason for gate in found.findings if gate.name == "checksum")


def test_validation_judges_the_rows_again(tmp_path: Path) -> None:
    lay_version(tmp_path)
    GoldCurator(tmp_path).promote_to_training("v1")
    found = GoldCurator(tmp_path, limits=GateLimits(rows_min=500)).validate_dataset()
    assert [gate.name for gate in found.findings if not gate.passed] == ["minimum_rows"]
    assert not found.passed


def test_names_that_are_none_and_things_that_are_not_there(tmp_path: Path, curator: GoldCurator) -> None:
    lay_version(tmp_path)
    for name in ("../x", "", ".hidden", "a/b", "x" * 101):
        with pytest.raises(UsageError):
            curator.promote_to_training("v1", name)
    with pytest.raises(NoDataError, match="there are: v1"):
        curator.promote_to_training("v2")
    with pytest.raises(NoDataError, match="there are: none"):
        curator.load_training_data("x")
    with pytest.raises(UsageError, match="no version"):
        curator.load_training_data("x", version="newest")


def test_columns_by_role_and_by_name(tmp_path: Path, curator: GoldCurator) -> None:
    lay_version(tmp_path)
    curator.promote_to_training("v1")
    reader = GoldReader(tmp_path)
    assert reader.load_training_data(NAME, roles=["feature", "key"]).columns == [
        "event_id", "date", "ts_event_ns", "distance_points", "tape_imbalance",
    ]  # fmt: skip
    assert reader.load_training_data(NAME, columns=["kind", "date"]).columns == ["kind", "date"]
    for wrong in ({"roles": ["target"]}, {"columns": ["x"]}, {"columns": ["kind"], "roles": ["key"]}):
        with pytest.raises(UsageError):
            reader.scan_training_data(NAME, **wrong)
    assert (reader.list_training_sets(), reader.list_training_versions(NAME)) == ([NAME], [1])


def test_the_best_experiment_is_promoted(tmp_path: Path, curator: GoldCurator) -> None:
    lay_version(tmp_path, "v1")
    lay_version(tmp_path, "v2", state="failed")
    entries = [
        {"id": "small", "version": "v1", "metrics": {"auc": 0.6}},
        {"id": "tied", "version": "v1", "metrics": {"auc": 0.7}},
        {"id": "large", "version": "v1", "metrics": {"auc": 0.7}, "model_metrics": {"loss": 0.2}},
        {"id": "broken", "version": "v2", "metrics": {"auc": 0.9}},
        {"id": "running", "version": "v1", "status": "running", "metrics": {"auc": 0.9}},
        {"id": "odd", "version": "v1", "metrics": {"auc": None}},
    ]
    write_json(tmp_path / "silver/features/experiments.json", {"experiments": entries})
    curator.promote_best_experiment("auc", notes="as asked")
    assert curator.get_dataset_metadata()["notes"] == "experiment large: auc = 0.7; as asked"
    curator.promote_best_experiment("auc", lower_is_better=True)
    assert curator.get_dataset_metadata()["notes"] == "experiment small: auc = 0.6"
    curator.promote_best_experiment("loss")
    assert curator.get_dataset_metadata()["notes"] == "experiment large: loss = 0.2"
    with pytest.raises(NoDataError, match="metrics: auc, loss"):
        curator.promote_best_experiment("f1")


def test_the_metadata_is_a_document_that_anybody_can_read(tmp_path: Path, curator: GoldCurator) -> None:
    lay_version(tmp_path, inputs={MONDAY: [{"path": "bronze/x.parquet", "rows": 1, "bytes": 2, "sha256": "ab"}]})
    curator.promote_to_training("v1")
    text = (tmp_path / "gold/training/signals_production_metadata.json").read_text()
    metadata = json.loads(text)
    assert metadata["manifest"]["parameters"] == {"label_outcomes": {"threshold_atr": 1.0}}
    assert "inputs" not in metadata["manifest"]["built"]
    sources = json.loads((tmp_path / "gold/history/signals_production/v000001/sources.json").read_text())
    assert sources["dates"][0]["bronze"] == [{"path": "bronze/x.parquet", "rows": 1, "bytes": 2, "sha256": "ab"}]
