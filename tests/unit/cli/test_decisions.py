import csv
import io
import json
from pathlib import Path

import pytest
import typer

from ticklake.base.errors import CheckFailedError, NoDataError
from ticklake.cli.decisions import app
from ticklake.stores.decisions import DecisionStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with DecisionStore({"storage_path": tmp_path / "records" / "decisions"}) as store:
        store.save_decision({"id": "d-1", "timestamp": "2024-12-01", "asset_pair": "BTCUSD", "action": "BUY"})
        store.update_decision({"id": "d-1", "asset_pair": "BTCUSD", "action": "BUY", "status": "closed"})
        store.save_decision({"id": "d-2", "timestamp": "2024-12-02", "asset_pair": "ETHUSD", "action": "SELL"})
        store.record_order("d-1", {"order_id": "o-1", "quantity": 2, "timestamp": "2024-12-01T00:00:01Z"})
        store.record_fill("o-1", {"fill_id": "f-1", "price": 5, "timestamp": "2024-12-01T00:00:02Z"})
    return tmp_path


def run(*words: str) -> int:
    try:
        code = typer.main.get_command(app)(args=list(words), standalone_mode=False)
    except typer.Exit as done:
        return int(done.exit_code)
    return int(code or 0)


def test_ls_lists_newest_first_in_every_form(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("ls", "--data", str(folder), "--output", "json")
    rows = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["revision"]) for row in rows] == [("d-2", 1), ("d-1", 2)]
    run("ls", "--data", str(folder), "--output", "csv")
    assert [row["id"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))] == ["d-2", "d-1"]
    run("ls", "--data", str(folder))
    assert "2024-12-02T00:00:00Z" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--pair", "BTCUSD"), ["d-1"]),
        (("--action", "SELL"), ["d-2"]),
        (("--status", "closed"), ["d-1"]),
        (("--pair", "BTCUSD", "--pair", "ETHUSD"), ["d-2", "d-1"]),
        (("--start", "2024-12-02"), ["d-2"]),
        (("--end", "2024-12-01"), ["d-1"]),
        (("--end", "2024-12-02"), ["d-2", "d-1"]),
        (("--limit", "1"), ["d-2"]),
    ],
)
def test_ls_filters(folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], found: list[str]) -> None:
    run("ls", "--store", str(folder / "records" / "decisions"), "--output", "json", *words)
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == found


def test_show_prints_the_decision_and_what_followed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("show", "d-1", "--data", str(folder))
    shown = json.loads(capsys.readouterr().out)
    assert shown["decision"]["status"] == "closed"
    assert [order["id"] for order in shown["orders"]] == ["o-1"]
    assert [fill["price"] for fill in shown["fills"]] == [5]
    assert shown["outcomes"] == []


def test_history_lists_revisions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("history", "d-1", "--data", str(folder), "--output", "json")
    rows = json.loads(capsys.readouterr().out)
    assert [(row["revision"], row["status"]) for row in rows] == [(1, None), (2, "closed")]
    assert not any(row["deleted"] for row in rows)
    assert rows[0]["record"]["id"] == "d-1"


def test_trades_joins(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("trades", "--data", str(folder), "--output", "json")
    rows = json.loads(capsys.readouterr().out)
    assert [(row["decision_id"], row["order_id"], row["fill_price"]) for row in rows] == [
        ("d-2", None, None),
        ("d-1", "o-1", 5.0),
    ]


def test_export_writes_plain_json_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("export", "--data", str(folder))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["d-2", "d-1"]


def test_check_names_a_damaged_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:

    assert run("check", "--data", str(folder)) == 0
    (folder / "records" / "decisions" / "2024-12-09_bad.json").write_text("{")
    with pytest.raises(CheckFailedError):
        run("check", "--data", str(folder))
    assert "2024-12-09_bad.json" in capsys.readouterr().out


def test_looking_makes_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("ls", "--data", str(tmp_path))
    assert "nothing stored yet" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    with pytest.raises(NoDataError, match="check --store"):
        run("ls", "--store", str(tmp_path / "typo"))
