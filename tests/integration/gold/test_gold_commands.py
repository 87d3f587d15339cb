"""gold promote, validate, ls, metadata, rollback and lineage used-by on the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from tests.unit.gold.small_version import DAYS, MONDAY, lay_version, rows_of, write_json
from typer.testing import CliRunner

from ticklake.base.errors import CheckFailedError, CorruptError, NoDataError, UsageError
from ticklake.cli import gold, lineage


def run(root: Path, app: typer.Typer, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--data", str(root)])


def call(root: Path, *words: str) -> Any:
    result = run(root, gold.app, *words, *(() if words[0] == "metadata" else ("--output", "json")))
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def test_from_promotion_to_rollback(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        lay_version(tmp_path, version, {day: rows_of(day, shift=float(version[1])) for day in DAYS})
        done = call(tmp_path, "promote", version, "--name", "x", "--notes", "because")
        assert (done["status"], done["silver_version"]) == ("success", version)
        assert {gate["verdict"] for gate in done["gates"]} == {"passed"}
    assert [(line["version"], line["versions"], line["start_date"]) for line in call(tmp_path, "ls")] == [
        (2, 2, "2024-12-16")
    ]
    assert [line["is_current"] for line in call(tmp_path, "ls", "x")] == [False, True]
    assert call(tmp_path, "validate", "x")["passed"] is True
    assert call(tmp_path, "metadata", "x")["notes"] == "because"
    assert call(tmp_path, "metadata", "x", "--version", "1")["silver_version"] == "v1"
    assert call(tmp_path, "rollback", "x")[0]["version"] == 1
    assert call(tmp_path, "rollback", "x", "--to", "v000002")[0]["version"] == 2


def test_a_refusal_prints_every_gate_and_ends_with_exit_code_3(tmp_path: Path) -> None:
    lay_version(tmp_path, frames={MONDAY: rows_of(MONDAY, 20)})
    result = run(tmp_path, gold.app, "promote", "v1", "--output", "csv")
    assert isinstance(result.exception, CheckFailedError)
    assert result.exception.exit_code == 3
    rows = {row["name"]: row["verdict"] for row in csv.DictReader(io.StringIO(result.stdout))}
    assert (rows["minimum_rows"], rows["certificate"]) == ("failed", "passed")
    assert "20 rows, at least 100 wanted" in str(result.exception)
    assert call(tmp_path, "promote", "v1", "--min-rows", "20")["status"] == "success"
    assert call(tmp_path, "validate")["passed"], "it holds what was demanded of it"
    assert call(tmp_path, "promote", "v1", "--force")["version"] == 2


def test_a_damaged_set_fails_validation_with_exit_code_3(tmp_path: Path) -> None:
    lay_version(tmp_path)
    call(tmp_path, "promote", "v1")
    plain = tmp_path / "gold/training/signals_production.parquet"
    plain.unlink()
    result = run(tmp_path, gold.app, "validate", "--output", "table")
    assert isinstance(result.exception, CheckFailedError)
    assert "plain_file" in result.stdout


def test_a_damaged_set_or_version_hides_no_other(tmp_path: Path) -> None:
    lay_version(tmp_path)
    for name, notes in (("x", "one"), ("x", "two"), ("y", "")):
        call(tmp_path, "promote", "v1", "--name", name, "--notes", notes)
    kept = tmp_path / "gold/history/x/v000001/metadata.json"
    kept.chmod(0o600)
    kept.write_text("{")
    result = run(tmp_path, gold.app, "ls", "x", "--output", "json")
    assert [(line["version"], line["is_current"]) for line in json.loads(result.stdout)] == [(1, False), (2, True)]
    assert isinstance(result.exception, CorruptError)
    assert f"1 of 2 damaged: {kept}: " in str(result.exception)

    pointer = tmp_path / "gold/training/x_metadata.json"
    pointer.write_text("{")
    result = run(tmp_path, gold.app, "ls", "--output", "json")
    assert [(line["name"], line["version"]) for line in json.loads(result.stdout)] == [("x", None), ("y", 1)]
    assert isinstance(result.exception, CorruptError)
    assert f"1 of 2 damaged: {pointer}: " in str(result.exception)
    result = run(tmp_path, gold.app, "ls", "x", "--output", "json")
    assert [(line["version"], line["is_current"]) for line in json.loads(result.stdout)] == [(1, None), (2, None)]
    assert "`ticklake gold rollback x --to VERSION`" in str(result.exception)
    assert call(tmp_path, "rollback", "x", "--to", "2")[0]["version"] == 2
    assert [line["version"] for line in call(tmp_path, "ls")] == [2, 1]


def test_the_best_experiment_and_selected_dates(tmp_path: Path) -> None:
    lay_version(tmp_path)
    entry = {"id": "e", "version": "v1", "status": "completed", "metrics": {"auc": 0.7}}
    write_json(tmp_path / "silver/features/experiments.json", {"experiments": [entry]})
    assert call(tmp_path, "promote", "--best", "auc")["signal_count"] == 180
    dated = call(tmp_path, "promote", "v1", "--date", str(DAYS[0]), "--date", str(DAYS[1]))
    assert dated["signal_count"] == 120


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("promote",), UsageError),
        (("promote", "v1", "--best", "auc"), UsageError),
        (("promote", "v1", "--lower-is-better"), UsageError),
        (("promote", "v9"), NoDataError),
        (("metadata", "x"), NoDataError),
        (("rollback", "x"), NoDataError),
        (("validate", "x", "--version", "newest"), UsageError),
    ],
)
def test_calls_that_cannot_be_answered(tmp_path: Path, words: tuple[str, ...], error: type[Exception]) -> None:
    assert isinstance(run(tmp_path, gold.app, *words).exception, error)


def test_lineage_on_the_command_line(tmp_path: Path) -> None:
    path = "bronze/futures/trades/symbol=ES/date=2024-12-16/hour=15/part-1.parquet"
    lay_version(tmp_path, inputs={MONDAY: [{"path": path, "rows": 1, "bytes": 2, "sha256": "ab"}]})
    call(tmp_path, "promote", "v1")
    shown = run(tmp_path, lineage.app, "show", "signals_production", "--files", "--output", "json")
    assert path in [step["name"] for step in json.loads(shown.stdout)]
    used = run(tmp_path, lineage.app, "used-by", path, "--output", "json")
    assert [(use["kind"], use["dates"]) for use in json.loads(used.stdout)] == [
        ("feature_version", ["2024-12-16"]),
        ("training_set", ["2024-12-16"]),
    ]
