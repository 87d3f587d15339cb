"""Columns become the keys of the table, and nothing but words JSON has."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from ticklake.base.errors import UsageError
from ticklake.cli.columns import Shaping, parse_pairs, parse_value, shape_frame, shape_object
from ticklake.schema.lookup import TableCatalog

TRADES = TableCatalog().get("crypto.trades")
BOOK = TableCatalog().get("crypto.mbp10")
NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)


def test_timestamps_become_ns_under_the_name_the_table_knows() -> None:
    frame = pl.DataFrame({"ts_event": [NOON], "ts_recv": [None], "made_at": [NOON]}).with_columns(
        pl.col("ts_event").cast(pl.Datetime("ms", "UTC")), pl.col("ts_recv").cast(pl.Datetime("ns", "UTC"))
    )
    shaped = shape_frame(frame, Shaping(TRADES))
    noon_ns = int(NOON.timestamp()) * 10**9
    assert shaped.drop("source").to_dicts() == [{"ts_event_ns": noon_ns, "ts_recv_ns": None, "made_at": noon_ns}]


def test_every_nanosecond_of_a_timestamp_stays() -> None:
    frame = pl.DataFrame({"ts_event": pl.Series([1723161254087896568]).cast(pl.Datetime("ns", "UTC"))})
    assert shape_frame(frame, Shaping(TRADES))["ts_event_ns"].to_list() == [1723161254087896568]


def test_zero_based_books_become_one_based_for_book_tables_only() -> None:
    frame = pl.DataFrame({"bid_px_00": [1.0], "bid_px_01": [0.5], "ask_sz_09": [3.0]})
    assert shape_frame(frame, Shaping(BOOK)).columns == ["bid_px_1", "bid_px_2", "ask_sz_10", "source"]
    assert shape_frame(frame, Shaping(TRADES)).columns == ["bid_px_00", "bid_px_01", "ask_sz_09", "source"]


def test_types_without_a_json_word_get_one() -> None:
    frame = pl.DataFrame(
        {
            "day": [date(2024, 8, 8)],
            "px": [Decimal("61837.6300")],
            "gap": [float("nan")],
            "word": pl.Series(["x"], dtype=pl.Categorical),
        }
    )
    assert shape_frame(frame, Shaping()).to_dicts() == [
        {"day": "2024-08-08", "px": "61837.6300", "gap": None, "word": "x"}
    ]


def test_whole_floats_become_integers_where_the_table_wants_them() -> None:
    frame = pl.DataFrame(
        {"trade_id": [7.0, None, float("nan")], "size": [2.0, 2.0, 2.0], "aggressor": [1.0, 0.0, -1.0]}
    )
    shaped = shape_frame(frame, Shaping(TRADES)).drop("source")
    assert shaped.schema == {"trade_id": pl.Int64, "size": pl.Float64, "aggressor": pl.Int64}
    assert shaped["trade_id"].to_list() == [7, None, None]
    for kept in (7.5, 2.0**53):  # the lake rejects it with the reason; rounding it here would hide that
        assert shape_frame(pl.DataFrame({"trade_id": [kept]}), Shaping(TRADES))["trade_id"].to_list() == [kept]


def test_text_columns_are_named_as_the_file_names_them() -> None:
    texts = Shaping(TRADES, renames={"ticker": "symbol"}).text_columns
    assert {"ticker", "contract", "venue", "source"} <= texts
    assert not {"symbol", "trade_id", "price"} & texts
    assert not Shaping().text_columns


def test_source_is_replay_unless_file_or_person_says_otherwise() -> None:
    frame = pl.DataFrame({"price": [1.0]})
    assert shape_frame(frame, Shaping(TRADES))["source"].to_list() == ["replay"]
    assert shape_frame(frame, Shaping(TRADES, values={"source": "binance"}))["source"].to_list() == ["binance"]
    named = frame.with_columns(source=pl.lit("file"))
    assert shape_frame(named, Shaping(TRADES))["source"].to_list() == ["file"]
    assert shape_frame(named, Shaping(TRADES, values={"source": "mine"}))["source"].to_list() == ["mine"]
    assert "source" not in shape_frame(frame, Shaping()).columns


def test_renames_come_first_so_that_names_of_the_table_apply() -> None:
    frame = pl.DataFrame({"when": [NOON], "p": [1.0]})
    shaped = shape_frame(frame, Shaping(TRADES, renames={"when": "ts_event", "p": "price"}))
    assert shaped.columns == ["ts_event_ns", "price", "source"]


def test_names_can_be_swapped() -> None:
    frame = pl.DataFrame({"a": [1], "b": [2]})
    assert shape_frame(frame, Shaping(renames={"a": "b", "b": "a"})).to_dicts() == [{"b": 1, "a": 2}]


@pytest.mark.parametrize(
    ("renames", "text"), [({"missing": "x"}, "no column 'missing'"), ({"a": "b"}, "column 'b' already")]
)
def test_a_rename_that_cannot_be_is_refused(renames: dict[str, str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        shape_frame(pl.DataFrame({"a": [1], "b": [2]}), Shaping(renames=renames))


@pytest.mark.parametrize("column", [pl.Series("x", [b"\xff"]), pl.Series("x", [float("inf")])])
def test_what_json_cannot_say_is_refused_not_lost(column: pl.Series) -> None:
    with pytest.raises(UsageError, match="'x'"):
        shape_frame(column.to_frame(), Shaping())


def test_objects_are_shaped_like_frames() -> None:
    shaping = Shaping(TRADES, renames={"p": "price"}, values={"venue": "V"})
    assert shape_object({"p": 1, "symbol": "X"}, shaping) == {
        "symbol": "X",
        "price": 1,
        "venue": "V",
        "source": "replay",
    }
    with pytest.raises(UsageError, match="already"):
        shape_object({"p": 1, "price": 2}, shaping)


def test_pairs_and_values_are_read_as_written() -> None:
    assert parse_pairs(["a=b", "c=x=y", "d="], option="--set") == {"a": "b", "c": "x=y", "d": ""}
    assert [parse_value(text) for text in ("1", "1.5", "true", "null", '"1"', "abc", "[1]")] == [
        1, 1.5, True, None, "1", "abc", "[1]"
    ]  # fmt: skip
    for bad in (["a"], ["=b"], ["a=1", "a=2"]):
        with pytest.raises(UsageError, match="--map"):
            parse_pairs(bad, option="--map")
