import csv
import io
import json
from datetime import date

import pytest

from ticklake.cli.output import Output, show_json, show_rows

ROWS = [
    {"name": "futures.trades", "rows": 1234567, "share": 0.5, "day": date(2024, 12, 16), "whole": True, "note": None},
    {"name": 'odd|"name"\n\x1b[31m', "rows": 1, "share": None, "day": None, "whole": False, "note": "x, y"},
]


def shown(output: Output, **options: object) -> str:
    stream = io.StringIO()
    show_rows(ROWS, output, stream=stream, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def test_json_and_ndjson_hold_the_values() -> None:
    rows = json.loads(shown(Output.JSON))
    assert rows == [json.loads(line) for line in shown(Output.NDJSON).splitlines()]
    assert rows[0] == {
        "name": "futures.trades",
        "rows": 1234567,
        "share": 0.5,
        "day": "2024-12-16",
        "whole": True,
        "note": None,
    }
    assert rows[1]["name"] == ROWS[1]["name"]


def test_csv_can_be_read_back() -> None:
    header, first, second = csv.reader(io.StringIO(shown(Output.CSV)))
    assert header == list(ROWS[0])
    assert first[:4] == ["futures.trades", "1234567", "0.5", "2024-12-16"]
    assert second[2:] == ["", "", "false", "x, y"]


def test_a_table_in_a_pipe_keeps_one_row_on_one_line_and_numbers_whole() -> None:
    text = shown(Output.TABLE, title="Tables")
    lines = text.splitlines()
    assert lines[0].strip() == "Tables"
    assert len(lines) == 4
    assert "1,234,567" in lines[2]
    assert "\x1b" not in text
    assert lines == [line.rstrip() for line in lines]


def test_in_a_table_a_time_is_text_and_a_sequence_has_no_commas() -> None:
    row = {"ingest_ns": 1_734_358_200_000_000_001, "took_ns": 1_500, "stream_seq": 4092, "rows": 4092}
    stream = io.StringIO()
    show_rows([row], stream=stream)
    assert stream.getvalue().splitlines()[1].split() == ["2024-12-16T14:10:00.000000001Z", "1,500", "4092", "4,092"]
    stream = io.StringIO()
    show_rows([row], Output.CSV, stream=stream)
    assert stream.getvalue().splitlines()[1] == "1734358200000000001,1500,4092,4092"


def test_markdown_is_a_table_whatever_the_cells_hold() -> None:
    lines = shown(Output.MARKDOWN, columns=("name", "rows")).splitlines()
    assert lines[:3] == ["| name | rows |", "| --- | --- |", "| futures.trades | 1234567 |"]
    assert len(lines) == 4
    assert lines[3].replace("\\|", "").count("|") == 3


@pytest.mark.parametrize("output", list(Output))
def test_columns_choose_and_order_and_nothing_is_no_error(output: Output) -> None:
    text = shown(output, columns=("rows", "absent"))
    assert "futures.trades" not in text
    stream = io.StringIO()
    show_rows([], output, columns=("a",), stream=stream)
    if output in (Output.JSON, Output.NDJSON):
        assert json.loads(stream.getvalue() or "[]") == []


def test_one_value_as_json() -> None:
    stream = io.StringIO()
    show_json({"a": [1, None], "when": date(2024, 1, 2)}, stream=stream)
    assert json.loads(stream.getvalue()) == {"a": [1, None], "when": "2024-01-02"}
