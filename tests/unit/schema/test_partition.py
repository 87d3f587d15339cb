"""Folder names: harmless, reversible, one per value."""

from __future__ import annotations

import pytest

from ticklake.base.errors import UsageError
from ticklake.schema.partition import decode_value, encode_value, is_hashed, parse_folder, partition_folder


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("ES", "ES"),
        ("BRK.B", "BRK.B"),
        ("BTC/USD", "BTC%2FUSD"),
        ("BTCUSD", "BTCUSD"),
        ("..", "%2E."),
        (".", "%2E"),
        ("_x", "%5Fx"),
        ("-x", "%2Dx"),
        ("a=b", "a%3Db"),
        ("*", "%2A"),
        ("100%", "100%25"),
        ("%2E", "%252E"),
        ("\0", "%00"),
        (" ", "%20"),
        ("ES\n", "ES%0A"),
        ("ü", "%C3%BC"),
        ("u\u0308", "u%CC%88"),
        ("h~x", "h%7Ex"),
        ("__empty__", "%5F_empty__"),
        ("__HIVE_DEFAULT_PARTITION__", "%5F_HIVE_DEFAULT_PARTITION__"),
        ("", "__empty__"),
        (None, "__HIVE_DEFAULT_PARTITION__"),
    ],
)
def test_values_become_harmless_names_and_come_back(value, token):
    assert encode_value(value) == token
    assert decode_value(token) == value


def test_long_values_become_hashes_that_stay_apart():
    tokens = {encode_value("x" * 300), encode_value("x" * 301), encode_value("/" * 41), encode_value("x" * 121)}
    assert len(tokens) == 4
    assert all(is_hashed(token) and len(token) == 34 for token in tokens)
    assert not is_hashed(encode_value("x" * 120))
    assert not is_hashed(encode_value("/" * 40))


def test_folders_keep_the_order_of_their_parts():
    values = {"symbol": "BTC/USD", "date": "2024-12-16", "hour": "05"}
    assert partition_folder(values) == "symbol=BTC%2FUSD/date=2024-12-16/hour=05"
    assert list(parse_folder("symbol=BTC%2FUSD/date=2024-12-16/hour=05").items()) == list(values.items())


@pytest.mark.parametrize("folder", ["", "symbol", "symbol=", "=ES", "symbol=ES/x", "a=1/a=2", "a=%FF"])
def test_foreign_folders_are_refused(folder):
    with pytest.raises(UsageError):
        parse_folder(folder)
