"""What a column stores for what the wire says."""

from __future__ import annotations

import json
from datetime import date

import pytest
from tests.unit.decode.corpus import GOOD, INGEST_NS, T0_NS, render
from tests.unit.decode.outcomes import decode, group_of


def rows(table, *payloads):
    decoded = decode(group_of(table, payloads))
    assert not decoded.rejected
    return decoded.tables[0].rows.to_pylist()


def stored(table, **changes):
    (row,) = rows(table, render(GOOD[table] | changes))
    return row


def rejected(table, **changes):
    decoded = decode(group_of(table, [render(GOOD[table] | changes)]))
    assert not decoded.tables
    (bad,) = decoded.rejected
    return str(bad.reason), bad.path


def test_a_trade_is_stored_as_it_came():
    assert stored("futures.trades") == {
        "ts_event_ns": T0_NS,
        "ts_recv_ns": T0_NS + 5_000,
        "source": "replay",
        "contract": "ESZ4",
        "price": 6050.25,
        "size": 3,
        "aggressor": -1,
        "exchange": "XCME",
        "conditions": [1, 2],
        "seq": 42,
        "stream_seq": 1,
        "message_row": 0,
        "ingest_ns": INGEST_NS,
        "extra": None,
    }


@pytest.mark.parametrize(
    ("word", "sign"),
    [
        ('"BUY"', 1),
        ('"SELL"', -1),
        ('"MID"', 0),
        ('"B"', 1),
        ('"A"', -1),
        ('"S"', -1),
        ('"N"', 0),
        ("1", 1),
        ("null", 0),
    ],
)
def test_aggressor_words(word, sign):
    assert stored("futures.trades", aggressor=word)["aggressor"] == sign


def test_missing_is_null_and_never_zero():
    row = stored("futures.mbp10")
    assert (row["bid_px_8"], row["bid_sz_8"]) == (6000.25, 3)
    assert [row[f"{side}_{what}_9"] for side in ("bid", "ask") for what in ("px", "sz")] == [None] * 4
    quote = stored("options.nbbo")
    assert (quote["bid_px"], quote["bid_sz"], quote["ask_px"], quote["ask_sz"]) == (None, None, 0.05, 11)


def test_a_price_of_zero_with_a_size_is_a_price():
    assert stored("options.nbbo", bid_px="0", bid_sz="5")["bid_px"] == 0.0
    assert stored("options.nbbo", bid_px="1", bid_sz="0")["bid_sz"] == 0


def test_the_undefined_price_is_null_where_null_is_allowed():
    undefined = "9223372036.854775807"
    assert stored("options.trades", opt_bid=undefined)["opt_bid"] is None
    assert stored("futures.mbp10", action_price=undefined)["action_price"] is None
    assert rejected("futures.trades", price=undefined) == ("undefined_price", "$.price")
    assert stored("crypto.trades", price="9300000000.5")["price"] == 9300000000.5  # a real price somewhere


def test_short_books_are_filled_with_null_and_long_ones_keep_the_rest():
    level = '{"bid_px":1.5,"bid_sz":2,"ask_px":1.75,"ask_sz":3}'
    short = stored("futures.mbp10", levels=f"[{level}]")
    assert (short["bid_px_1"], short["ask_sz_1"], short["bid_px_2"]) == (1.5, 3, None)
    long = stored("futures.mbp10", levels=f"[{','.join([level] * 11)}]")
    assert json.loads(long["extra"]) == {"levels": [{}] * 10 + [json.loads(level)]}


def test_a_book_may_come_flat():
    fields = {key: value for key, value in GOOD["futures.mbp10"].items() if key != "levels"}
    (row,) = rows("futures.mbp10", render(fields | {"bid_px_1": "1.5", "bid_sz_1": "2"}))
    assert (row["bid_px_1"], row["bid_sz_1"], row["ask_px_1"]) == (1.5, 2, None)


def test_dates_and_ids_and_decimal_text():
    assert stored("options.trades")["exp_date"] == date(2024, 12, 20)
    row = stored("crypto.trades")
    assert (row["price"], row["size"], row["trade_id"]) == (61837.64, 0.001, 1234567890123)


def test_unknown_keys_are_kept_in_extra_and_the_stored_name_is_understood():
    assert stored("futures.trades", foo='{"b":[1],"a":null}', bar="1")["extra"] == '{"bar":1,"foo":{"a":null,"b":[1]}}'
    assert stored("futures.trades", symbol="null", contract='"NQZ4"')["contract"] == "NQZ4"
    assert stored("futures.trades", contract='"NQZ4"') | {"extra": None} == stored("futures.trades")


@pytest.mark.parametrize(
    ("changes", "reason", "path"),
    [
        ({"price": "null"}, "missing_field", "$.price"),
        ({"symbol": "null"}, "missing_field", "$.symbol"),
        ({"size": "true"}, "wrong_type", "$.size"),
        ({"size": "1.0"}, "wrong_type", "$.size"),
        ({"size": '"1"'}, "wrong_type", "$.size"),
        ({"size": "0"}, "out_of_range", "$.size"),
        ({"size": "2147483648"}, "out_of_range", "$.size"),
        ({"price": "0"}, "out_of_range", "$.price"),
        ({"price": '"' + "9" * 400 + '"'}, "not_finite", "$.price"),
        ({"price": '"1e5"'}, "wrong_type", "$.price"),
        ({"price": "NaN"}, "not_json", "$"),
        ({"ts_event_ns": "1734359400"}, "ts_out_of_range", "$.ts_event_ns"),
        ({"ts_event_ns": str(INGEST_NS + 86_400 * 10**9 + 1)}, "ts_out_of_range", "$.ts_event_ns"),
        ({"conditions": "[1,40000]"}, "wrong_type", "$.conditions"),
    ],
)
def test_bad_trades_say_what_and_where(changes, reason, path):
    assert rejected("futures.trades", **changes) == (reason, path)


def test_bad_levels_say_which():
    levels = '[{"bid_px":1,"bid_sz":2},{"bid_px":1,"bid_sz":-2}]'
    assert rejected("futures.mbp10", levels=levels) == ("out_of_range", "$.levels[1].bid_sz")
    assert rejected("futures.mbp10", levels="[1]") == ("wrong_type", "$.levels[0]")
    assert rejected("futures.mbp10", levels="[{}]", bid_px_1='"x"') == ("wrong_type", "$.bid_px_1")


def test_crypto_without_any_time_has_no_place():
    assert stored("crypto.quotes", ts_event_ns="null")["ts_event_ns"] is None
    assert rejected("crypto.quotes", ts_event_ns="null", ts_recv_ns="null") == ("missing_field", "$.ts_recv_ns")


def test_a_value_that_lives_in_the_folder_only_must_be_readable_there():
    assert rejected("options.trades", underlying='"' + "x" * 121 + '"') == ("out_of_range", "$.underlying")
    assert stored("options.trades", underlying='"' + "x" * 120 + '"')["underlying"] == "x" * 120
    assert stored("futures.trades", symbol='"' + "x" * 300 + '"')["contract"] == "x" * 300
