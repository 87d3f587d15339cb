"""Columns cut out of documents of one layout: the values of a JSON reader to the last bit, or a refusal."""

from __future__ import annotations

import json
import struct
import threading

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticklake.decode import cut
from ticklake.decode.cut import read_columns
from ticklake.decode.layout import NoLayoutError, learn_layout

TIME = 1_734_359_400_000_000_000


def read(template: bytes, values: list[bytes], kind: pa.DataType) -> list[object]:
    """What is read where the template says `?`."""
    documents = pa.array([template.replace(b"?", value) + b"\n" for value in values], pa.binary())
    layout = learn_layout(documents[0].as_py())
    types = {path: pa.string() if text else pa.int64() for path, text in zip(layout.paths, layout.texts, strict=True)}
    return read_columns(layout, documents, types | {("x",): kind})[("x",)].to_pylist()


def same_bits(found: list[object], texts: list[bytes]) -> bool:
    wanted = [None if text == b"null" else float(text) for text in texts]
    return [value and struct.pack("d", value) for value in found] == [
        value and struct.pack("d", value) for value in wanted
    ]


DIGITS = st.integers(0, 10**19 - 1).map(str) | st.integers(0, 99).map(str) | st.integers(0, 10**8 - 1).map(str)
FRACTION = st.text("0123456789", min_size=1, max_size=19) | st.text("05", min_size=1, max_size=3)
DECIMAL = st.builds(
    lambda sign, whole, fraction: f"{sign}{whole}{fraction and '.' + fraction}".encode(),
    st.sampled_from(["", "", "-"]),
    DIGITS,
    st.just("") | FRACTION,
)


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(DECIMAL | st.just(b"null"), min_size=1, max_size=20))
@example(texts=[b"6000.25", b"null", b"-0.0", b"0", b"9007199254740993", b"0.30000000000000004"])
@example(texts=[b"null", b"null"])
def test_decimals_are_the_nearest_floats(texts: list[bytes]) -> None:
    found = read(b'{"a":1,"x":?}', texts, pa.float64())
    assert same_bits(found, texts)


@settings(max_examples=300, deadline=None)
@given(
    numbers=st.lists(
        st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9) | st.integers(TIME, TIME + 9) | st.none(),
        min_size=1,
        max_size=20,
    )
)
@example(numbers=[2**63 - 1, -(2**63), 0])
@example(numbers=[TIME] * 5 + [7] + [TIME] * 5)
def test_integers_are_what_they_say(numbers: list[int | None]) -> None:
    texts = [json.dumps(number).encode() for number in numbers]
    assert read(b'{"x":?,"b":"c"}', texts, pa.int64()) == numbers


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(
        st.text(st.characters(exclude_characters='"\\', min_codepoint=32), max_size=70), min_size=1, max_size=20
    )
)
@example(words=["ESH5"] * 5 + ["ES"] + ["ESH5"] * 5)
@example(words=["a,b", "}{", "", "\x7f"])
def test_strings_are_what_they_say(words: list[str]) -> None:
    try:
        texts = [word.encode() for word in words]
    except UnicodeEncodeError:
        return  # half a surrogate pair has no bytes
    assert read(b'{"x":"?","b":1}', texts, pa.string()) == words


@pytest.mark.parametrize("bad", [b'E"H5', b"E\\H5", b"E\x01H5", b"E\xffH5", b"\\u41"])
def test_an_odd_string_of_the_usual_length_is_refused(bad: bytes) -> None:
    words = [b"ESH5"] * 9
    words[4] = bad
    with pytest.raises(NoLayoutError):
        read(b'{"x":"?","b":1}', words, pa.string())


def test_booleans_and_nulls_are_what_they_say() -> None:
    assert read(b'{"x":?,"b":1}', [b"true", b"false", b"null"], pa.bool_()) == [True, False, None]
    assert read(b'{"x":?,"b":1}', [b"null"] * 3, pa.int64()) == [None] * 3
    for text in (b"True", b"truer", b"tru", b"1", b"nul", b"nulls"):
        with pytest.raises(NoLayoutError):
            read(b'{"x":?,"b":1}', [b"true", text], pa.bool_())


@pytest.mark.parametrize("number", ["9223372036854775808", "-9223372036854775809", "12345678901234567890", "1" * 50])
def test_integers_that_int64_cannot_hold_are_refused(number: str) -> None:
    for company in (b"5", number.encode()):
        with pytest.raises(NoLayoutError):
            read(b'{"x":?,"b":1}', [company, company, number.encode()], pa.int64())


@pytest.mark.parametrize(
    "bad", [b"0734359400000000000", b"17343594000 0000000", b"-734359400000000000", b"1734359400000.00000"]
)
def test_an_odd_integer_of_the_usual_length_is_not_taken_for_one(bad: bytes) -> None:
    texts = [str(TIME + number).encode() for number in range(9)]
    texts[4] = bad
    if bad.startswith(b"-"):
        assert read(b'{"x":?}', texts, pa.int64())[4] == int(bad)
        return
    with pytest.raises(NoLayoutError):
        read(b'{"x":?}', texts, pa.int64())


@pytest.mark.parametrize("at", [0, 1, 17, 38, 39])
def test_documents_that_are_unlike_the_samples_are_read_all_the_same(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "_PART_DOCUMENTS", 7)
    values = [{"t": TIME + number, "s": "ESH5", "p": 6000.25 + number, "n": number} for number in range(40)]
    values[at] |= {"t": 5, "s": "A much longer symbol", "p": 0.5}
    documents = pa.array([b"-\n", *[json.dumps(value).encode() + b"\n" for value in values], b"-\n"], pa.binary())[1:-1]
    layout = learn_layout(documents[0].as_py())
    types = {("t",): pa.int64(), ("s",): pa.string(), ("p",): pa.float64(), ("n",): pa.int32()}
    found = pa.table({path[0]: column for path, column in read_columns(layout, documents, types).items()})
    assert found.to_pylist() == values


@pytest.mark.parametrize("at", [0, 3, 19])
@pytest.mark.parametrize(
    "change", [lambda text: text[:-4] + b"\n", lambda text: text[:9], lambda text: text[:-1] + b" {}\n"]
)
def test_a_document_that_ends_early_or_late_is_refused(at: int, change: object) -> None:
    good = [b'{"t":%d,"s":"ES","p":6000.25}\n' % (TIME + number) for number in range(20)]
    layout = learn_layout(good[0])
    good[at] = change(good[at])  # type: ignore[operator]
    with pytest.raises(NoLayoutError):
        read_columns(
            layout, pa.array(good, pa.binary()), {("t",): pa.int64(), ("s",): pa.string(), ("p",): pa.float64()}
        )


def test_threads_do_not_read_each_others_documents() -> None:
    found: dict[int, list[object]] = {}
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for _ in range(20):
            values = [f"{number}.{place}".encode() for place in range(2_000)]
            found[number] = read(b'{"a":"b","x":?}', values, pa.float64())
            assert found[number] == [float(value) for value in values]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 1, 2, 3]
    assert all(values[1] == float(f"{number}.1") for number, values in found.items())
