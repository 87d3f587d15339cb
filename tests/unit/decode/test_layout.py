"""Cutting documents open by the text between their scalars: the same values as a JSON reader, or a refusal."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticklake.decode.cut import read_columns
from ticklake.decode.layout import NoLayoutError, learn_layout

TYPES = {
    ("ts",): pa.int64(),
    ("price",): pa.float64(),
    ("side",): pa.int8(),
    ("symbol",): pa.string(),
    ("levels", 0, "px"): pa.float64(),
    ("is_last",): pa.bool_(),
}


def document(ts=17, price=6000.25, side=-1, symbol="ES", px=1.5, is_last=True) -> bytes:
    value = {"ts": ts, "price": price, "side": side, "symbol": symbol, "levels": [{"px": px}], "is_last": is_last}
    return json.dumps(value).encode() + b"\n"


def read(documents: list[bytes]) -> list[dict[tuple[str | int, ...], object]]:
    found = read_columns(learn_layout(documents[0]), pa.array(documents, pa.binary()), TYPES)
    return [{path: column[row].as_py() for path, column in found.items()} for row in range(len(documents))]


def parsed(text: bytes) -> dict[tuple[str | int, ...], object]:
    value = json.loads(text)
    flat = {(key,): item for key, item in value.items() if key != "levels"}
    return flat | {("levels", 0, "px"): value["levels"][0]["px"]}


def test_a_layout_is_the_text_between_the_scalars() -> None:
    layout = learn_layout(b'{"a": 1, "b":[{"c":"x"},{"c":"y"}]}\n')
    assert layout.literals == (b'{"a": ', b', "b":[{"c":"', b'"},{"c":"', b'"}]}\n')
    assert layout.paths == (("a",), ("b", 0, "c"), ("b", 1, "c"))
    assert layout.texts == (False, True, True)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.floats(-1e9, 1e9).map(lambda value: round(value, 4)),
            st.integers(-128, 127),
            st.text(st.characters(exclude_characters='\\"', min_codepoint=32, max_codepoint=126), max_size=8),
            st.booleans(),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_values_are_those_of_a_json_reader(rows: list[tuple[int, float, int, str, bool]]) -> None:
    documents = [document(ts, price, side, symbol, price, last) for ts, price, side, symbol, last in rows]
    try:
        found = read(documents)
    except NoLayoutError:
        assert any(b"e" in text.partition(b"symbol")[0].partition(b"price")[2] for text in documents) or any(
            b"-0" in text for text in documents
        ), "only exponents and negative zeros are left to the reader"
        return
    assert found == [parsed(text) for text in documents]


@settings(max_examples=600, deadline=None)
@given(data=st.data(), place=st.integers(0, 200), byte=st.binary(min_size=0, max_size=2), cut=st.integers(0, 3))
def test_a_changed_document_is_refused_or_read_as_any_reader_would(
    data: st.DataObject, place: int, byte: bytes, cut: int
) -> None:
    good = [document(number, 5.5 + number) for number in range(8)]
    at = data.draw(st.integers(1, 7))
    text = good[at]
    place %= len(text)
    changed = text[:place] + byte + text[place + cut :]
    try:
        found = read([*good[:at], changed, *good[at + 1 :]])
    except NoLayoutError:
        return
    assert found[at] == parsed(changed)
    assert changed.count(b"\n") == 1, "it is one document still"


@pytest.mark.parametrize(
    "number",
    [b"007", b"+5", b"1.", b".5", b"-", b"--1", b"0x1F", b"1e5", b"-.5", b"", b"1_0", b" 1", b"NaN", b"Infinity"],
)
@pytest.mark.parametrize("key", [b"ts", b"price"])
def test_what_json_does_not_call_a_number_is_refused(key: bytes, number: bytes) -> None:
    old = {b"ts": b'"ts": 17', b"price": b'"price": 6000.25'}[key]
    bad = document().replace(old, b'"%s": %s' % (key, number))
    with pytest.raises(NoLayoutError):
        read([document(), bad])


@pytest.mark.parametrize("symbol", [b'E"S', b"E\\u0053", b"E\x01S", b"E\xffS"])
def test_strings_that_need_a_reader_are_refused(symbol: bytes) -> None:
    with pytest.raises(NoLayoutError):
        read([document(), document().replace(b'"ES"', b'"%s"' % symbol)])


def test_nulls_are_nulls_and_other_types_are_refused() -> None:
    assert [row[("ts",)] for row in read([document(), document(ts=None), document(3)])] == [17, None, 3]
    for text in (document(ts=1.5), document(side=128), document(is_last=1), document(ts=2**63)):
        with pytest.raises(NoLayoutError):
            read([document(), text])


@pytest.mark.parametrize("text", [b'{"a":1,"a":2}', b'{"":1}', b'{"a\\n":1}', b"{}", b"[]", b'{"a":[]}'])
def test_documents_without_a_usable_layout_are_refused(text: bytes) -> None:
    with pytest.raises(NoLayoutError):
        learn_layout(text)
