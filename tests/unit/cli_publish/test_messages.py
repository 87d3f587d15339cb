"""Rows become messages without loss: whatever the format, unpacking gives the rows back."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.base.errors import UsageError
from ticklake.cli.columns import Shaping
from ticklake.cli.messages import Format, Message, Packing, fingerprint, pack_file
from ticklake.schema.lookup import TableCatalog

TRADES = TableCatalog().get("crypto.trades")


def unpack(message: Message, packing: Packing) -> list[dict[str, Any]]:
    if packing.format is Format.ARROW:
        with pa.ipc.open_stream(io.BytesIO(message.payload)) as reader:
            rows: list[dict[str, Any]] = reader.read_all().to_pylist()
        return rows
    if packing.format is Format.NDJSON:
        return [json.loads(line) for line in message.payload.splitlines()]
    value = json.loads(message.payload)
    return value if packing.batch_rows > 1 else [value]


def check_numbers(messages: list[Message]) -> None:
    row = 0
    for message in messages:
        assert message.first_row == row
        row += message.rows


PACKINGS = [
    Packing(format, batch_rows, Shaping())
    for format in (Format.JSON, Format.NDJSON, Format.ARROW)
    for batch_rows in (1, 4, 1_000)
]


@pytest.mark.parametrize("packing", PACKINGS, ids=lambda packing: f"{packing.format}-{packing.batch_rows}")
@pytest.mark.parametrize("kind", ["parquet", "ndjson"])
def test_every_row_arrives_once_and_in_order(tmp_path: Path, packing: Packing, kind: str) -> None:
    frame = pl.DataFrame({"seq": range(11), "price": [61837.63 + i / 7 for i in range(11)], "text": ['a"\n ü'] * 11})
    path = tmp_path / f"x.{kind}"
    frame.write_parquet(path) if kind == "parquet" else frame.write_ndjson(path)
    messages = list(pack_file(path, packing))
    assert [row for message in messages for row in unpack(message, packing)] == frame.to_dicts()
    assert sum(message.rows for message in messages) == 11
    assert max(message.rows for message in messages) == min(11, packing.batch_rows)
    check_numbers(messages)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "n": st.none() | st.integers(-(2**63), 2**63 - 1),
                "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "s": st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"])),
            }
        ),
        min_size=1,
        max_size=30,
    )
)
def test_any_value_survives_the_way_through_json(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "x.parquet"
    pl.DataFrame(rows, schema={"n": pl.Int64, "x": pl.Float64, "s": pl.String}).write_parquet(path)
    packing = Packing(Format.JSON, 1, Shaping())
    assert [row for message in pack_file(path, packing) for row in unpack(message, packing)] == rows


def test_untouched_ndjson_lines_go_out_as_they_stand(tmp_path: Path) -> None:
    lines = [b'{"b":1.50, "a": 1e3}', b'{ "a" : "\\u00fc" }']
    (tmp_path / "x.ndjson").write_bytes(b"\n".join(lines))
    assert [m.payload for m in pack_file(tmp_path / "x.ndjson", Packing(Format.JSON, 1, Shaping()))] == lines


def test_ndjson_is_shaped_for_its_table(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text('{"p": 1.5, "symbol": "X"}\n')
    packing = Packing(Format.JSON, 1, Shaping(TRADES, renames={"p": "price"}))
    (message,) = pack_file(tmp_path / "x.ndjson", packing)
    assert json.loads(message.payload) == {"symbol": "X", "price": 1.5, "source": "replay"}


def test_a_line_that_is_no_object_is_named_by_number(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text('{"p": 1}\n[1]\n')
    with pytest.raises(UsageError, match=r"x\.ndjson, line 2"):
        list(pack_file(tmp_path / "x.ndjson", Packing(Format.JSON, 1, Shaping(values={"a": 1}))))


def test_raw_sends_lines_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(b'1 {"a"\n\xff\n')
    packing = Packing(Format.RAW, 1, Shaping(values={"ignored": 1}))
    assert [m.payload for m in pack_file(tmp_path / "x.log", packing)] == [b'1 {"a"', b"\xff"]


@pytest.mark.parametrize(
    ("packing", "content_type"),
    [
        (Packing(Format.JSON, 1, Shaping()), None),
        (Packing(Format.JSON, 2, Shaping()), "application/json"),
        (Packing(Format.NDJSON, 1, Shaping()), "application/x-ndjson"),
        (Packing(Format.ARROW, 1, Shaping()), "application/vnd.apache.arrow.stream"),
        (Packing(Format.RAW, 1, Shaping()), None),
    ],
)
def test_batches_say_what_they_are(packing: Packing, content_type: str | None) -> None:
    assert packing.content_type == content_type


def test_a_fingerprint_names_content_packing_and_subject(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_text('{"a": 1}\n')
    plain = Packing(Format.JSON, 1, Shaping())
    before = fingerprint(path, plain, "a.b")
    assert before == fingerprint(path, plain, "a.b")
    assert before != fingerprint(path, plain, "a.c"), "a stream would drop the file at its second subject"
    assert before != fingerprint(path, Packing(Format.JSON, 2, Shaping()), "a.b")
    assert before != fingerprint(path, Packing(Format.JSON, 1, Shaping(values={"a": 2})), "a.b")
    path.write_text('{"a": 2}\n')
    assert before != fingerprint(path, plain, "a.b")
    assert before.startswith("x.ndjson:")
