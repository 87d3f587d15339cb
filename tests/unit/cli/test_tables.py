import json
from pathlib import Path

import pytest

from ticklake.cli.main import main
from ticklake.schema.json_schema import json_schema
from ticklake.schema.lookup import BUILTIN_TABLES, TableCatalog


def test_every_table_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "--output", "json"]) == 0
    listed = {row["table"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(listed) == {table.name for table in BUILTIN_TABLES}
    assert listed["futures.trades"]["subject"] == "market.futures.trades"
    assert listed["futures.trades"]["partition_by"] == ["symbol", "date", "hour"]
    assert listed["levels.signals"]["folder"] == "gold/levels/signals"


@pytest.mark.parametrize("name", [table.name for table in BUILTIN_TABLES])
def test_a_table_shows_every_stored_column_with_its_type(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", name, "--output", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)["columns"]
    table = TableCatalog().get(name)
    assert [column["column"] for column in shown if column["in"] == "file"] == table.arrow_schema.names
    assert all(column["doc"] for column in shown)


def test_people_see_the_wire_name_of_the_instrument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "futures.trades"]) == 0
    page = capsys.readouterr().out
    assert "bronze/futures/trades/symbol=.../date=.../hour=..." in page
    (line,) = [line for line in page.splitlines() if line.startswith("contract")]
    assert " symbol " in line


def test_markdown_is_ready_for_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "levels.signals", "--output", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("| column | type | unit | null | wire | doc |\n")


def test_the_schema_of_a_message_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "futures.trades", "--json-schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema == json_schema(TableCatalog().get("futures.trades"))
    assert "price" in schema["required"]
    assert main(["tables", "--json-schema"]) == 2


def test_a_table_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "futures.trade"]) == 2
    assert "futures.trades" in capsys.readouterr().err


def test_user_tables_are_listed_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "ticklake.toml"
    config.write_text(
        '[tables."fx.quotes"]\n'
        'subject = "market.fx.quotes"\n'
        'partition = ["pair", "date", "hour"]\n'
        'event_time = "ts_event_ns"\n'
        '[tables."fx.quotes".columns]\n'
        'ts_event_ns = { type = "int64", unit = "ns" }\n'
        'pair = { type = "string" }\n'
        'bid = { type = "float64" }\n'
    )
    assert main(["tables", "fx.quotes", "--config", str(config), "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["subject"] == "market.fx.quotes"
