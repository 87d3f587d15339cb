"""Partition values survive the way into a folder name and back, and no two share one."""

from __future__ import annotations

import re

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from ticklake.schema.instrument import futures_root, futures_roots
from ticklake.schema.partition import decode_value, encode_value, is_hashed, parse_folder, partition_folder
from ticklake.schema.subject import subject_bytes, subject_text

VALUES = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"])), st.text("A.=/%_-~* \0", max_size=150))
HARMLESS = re.compile(r"(__HIVE_DEFAULT_PARTITION__|__empty__|h~[0-9a-f]{32}|[A-Za-z0-9%][A-Za-z0-9._%-]*)\Z")
CONTRACTS = st.from_regex(r"[A-Z0-9.]{0,9}[FGHJKMNQUVXZ]?[0-9]{0,3}|[A-Z]{1,9}\.[a-z]\.[0-9]", fullmatch=True)


@given(VALUES)
@example("__empty__")
@example("__HIVE_DEFAULT_PARTITION__")
@example("h~00000000000000000000000000000000")
def test_a_value_comes_back_from_its_folder_name(value):
    token = encode_value(value)
    assert HARMLESS.match(token), token
    assert len(token) <= 120
    if not is_hashed(token):
        assert decode_value(token) == value


@given(VALUES, VALUES)
def test_two_values_never_share_a_name(one, other):
    assert (encode_value(one) == encode_value(other)) == (one == other)


@given(VALUES, VALUES)
def test_a_folder_comes_back(symbol, date):
    values = {"symbol": symbol, "date": date}
    folder = partition_folder(values)
    assert folder.count("/") == 1
    if not any(is_hashed(encode_value(value)) for value in values.values()):
        assert parse_folder(folder) == values


@given(st.binary())
@example(b"market.\xff%FF")
def test_a_subject_comes_back_from_its_text(subject):
    text = subject_text(subject)
    assert text.encode("utf-8").decode("utf-8") == text
    assert subject_bytes(text) == subject


@given(st.lists(st.one_of(st.none(), st.text(), CONTRACTS), min_size=1))
@example(["ESZ5\n", "ESZ5", "ES.c.0", "ES.c.0\n"])
def test_roots_of_a_column_are_the_roots_of_its_values(contracts):
    clean = [contract if contract is None else contract.encode("utf-8", "ignore").decode() for contract in contracts]
    roots = pl.DataFrame({"contract": pl.Series(clean, dtype=pl.String)}).select(futures_roots(pl.col("contract")))
    assert roots["contract"].to_list() == [c if c is None else futures_root(c) for c in clean]
