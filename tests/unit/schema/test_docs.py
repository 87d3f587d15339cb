"""What is written from the definitions: the reference page and JSON Schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticklake.schema.docs import render_reference
from ticklake.schema.json_schema import json_schema
from ticklake.schema.lookup import BUILTIN_TABLES, TableCatalog

PAGE = Path(__file__).parents[3] / "backend" / "docs" / "reference" / "tables.md"


def test_the_page_in_the_repository_is_the_one_the_definitions_give():
    assert PAGE.read_text() == render_reference(TableCatalog())


def test_the_page_names_every_column():
    page = PAGE.read_text()
    for table in BUILTIN_TABLES:
        part = page.split(f"\n## {table.name}\n")[1].split("\n## ")[0]
        assert all(f"\n| {column.name} |" in part for column in table.columns)


@pytest.mark.parametrize("table", BUILTIN_TABLES, ids=lambda table: table.name)
def test_json_schema_names_the_table(table):
    schema = json_schema(table)
    assert schema["title"] == table.name
    assert schema["$id"].endswith(table.schema_id)


def test_json_schema_of_a_trade():
    schema = json_schema(TableCatalog().get("futures.trades"))
    assert schema["required"] == ["ts_event_ns", "ts_recv_ns", "source", "symbol", "price", "size"]
    assert schema["properties"]["size"]["minimum"] == 1
    assert schema["properties"]["price"]["anyOf"][0] == {"type": "number", "exclusiveMinimum": 0}
    assert schema["properties"]["seq"]["anyOf"][1] == {"type": "null"}


def test_json_schema_follows_the_wire_into_objects_and_lists():
    signals = json_schema(TableCatalog().get("levels.signals"))
    level = signals["properties"]["levels"]["items"]["properties"]
    assert level["barrier"]["properties"]["defending_quote"]["properties"]["price"]["anyOf"][0]["type"] == "number"
    assert signals["properties"]["ts"]["minimum"] == 946_684_800_000
    assert signals["required"] == ["ts"]
    book = json_schema(TableCatalog().get("futures.mbp10"))
    assert book["properties"]["levels"]["maxItems"] == 10
