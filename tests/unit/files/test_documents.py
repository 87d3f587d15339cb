"""The document codec: every supported value comes back as it was, everything else is refused."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ticklake.base.errors import UsageError
from ticklake.files.documents import JsonDamagedError, decode_document, encode_document
from ticklake.files.errors import UnreadableError


class Colour(Enum):
    RED = 1


class Side(StrEnum):
    BUY = "buy"


class Level(IntEnum):
    LOW = 0


VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    -0.0,
    "text",
    "",
    "\ud800",
    "é😀\0",
    [],
    {},
    [1, [2]],
    {"a": {"b": None}},
    datetime(2024, 10, 25, 14, 30, 0, 123456),
    datetime(2024, 10, 25, tzinfo=UTC),
    datetime(2024, 11, 3, 1, 30, tzinfo=ZoneInfo("America/New_York"), fold=1),
    datetime(2024, 10, 25, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    date(2024, 2, 29),
    time(1, 2, 3, 4),
    timedelta(days=-1, seconds=5, microseconds=7),
    Decimal("1.10"),
    Decimal("-Infinity"),
    UUID(int=7),
    Path("a/b"),
    b"\x00\xff",
    bytearray(b"x"),
    float("inf"),
    float("-inf"),
    (1, (2, "x")),
    {1, 2},
    frozenset({"a"}),
    {1: "a", None: "b", (1, 2): "c"},
    {"$type": "datetime", "value": "no tag of ours"},
    {"$type": 5},
    Colour.RED,
    Side.BUY,
    Level.LOW,
    {Side.BUY: Level.LOW},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_value_comes_back_with_its_type(value: Any, indent: int | None) -> None:
    found = decode_document(encode_document({"value": value}, indent=indent))["value"]
    assert found == value
    assert type(found) is type(value)
    assert repr(found) == repr(value)
    if isinstance(value, datetime):
        assert (found.tzinfo, found.fold) == (value.tzinfo, value.fold)


def test_nan_comes_back_as_nan() -> None:
    found = decode_document(encode_document([float("nan"), Decimal("NaN")]))
    assert found[0] != found[0]
    assert found[1].is_nan()


_TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.datetimes()
    | st.decimals(allow_nan=False)
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("$type"), inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_TREES)
def test_any_tree_comes_back(tree: Any) -> None:
    assert decode_document(encode_document(tree)) == tree


def test_a_document_is_one_line_without_indent_and_the_same_for_equal_sets() -> None:
    assert encode_document({"a": {"x", "y", "z"}}, indent=None).count(b"\n") == 0
    assert encode_document({"b", "a", "c"}) == encode_document({"c", "b", "a"})


@dataclass
class _Point:
    x: int


@pytest.mark.parametrize("value", [object(), _Point(1), 1j, open, Colour])
def test_a_value_that_would_not_come_back_is_refused(value: Any) -> None:
    with pytest.raises(UsageError):
        encode_document({"value": value})


def test_a_cycle_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    for plain in (False, True):
        with pytest.raises(UsageError, match="itself"):
            encode_document(cycle, plain=plain)


def test_a_local_enum_is_refused_because_nobody_could_find_it() -> None:
    class Hidden(Enum):
        A = 1

    with pytest.raises(UsageError, match="module"):
        encode_document(Hidden.A)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff", b'{"a": 1} x'])
def test_broken_json_is_named_with_its_place(content: bytes) -> None:
    with pytest.raises(JsonDamagedError, match=r"x\.json") as caught:
        decode_document(content, path="x.json")
    assert isinstance(caught.value, json.JSONDecodeError)


@pytest.mark.parametrize(
    "tagged",
    [
        '{"$type": "code"}',
        '{"$type": "datetime"}',
        '{"$type": "decimal", "value": "x"}',
        '{"$type": []}',
        '{"$type": "enum", "class": "os:system", "name": "ls"}',
        '{"$type": "enum", "class": "antigravity:X", "name": "A"}',
        '{"$type": "bytes", "value": "?"}',
        '{"$type": "set", "value": [[]]}',
    ],
)
def test_a_tag_that_makes_no_sense_is_an_error_and_runs_nothing(tagged: str) -> None:
    with pytest.raises(UnreadableError, match="restore"):
        decode_document(tagged.encode())


def test_plain_json_is_for_people() -> None:
    value = {
        1: datetime(2024, 1, 2, tzinfo=UTC),
        "p": Path("a"),
        "d": Decimal("1.10"),
        "n": float("nan"),
        "e": Side.BUY,
        "t": (1, {2}),
        "b": b"x",
        "c": _Point(1),
    }
    assert json.loads(encode_document(value, plain=True)) == {
        "1": "2024-01-02T00:00:00+00:00",
        "p": "a",
        "d": "1.10",
        "n": None,
        "e": "buy",
        "t": [1, [2]],
        "b": "eA==",
        "c": {"x": 1},
    }
    with pytest.raises(UsageError, match="same text"):
        encode_document({1: 1, "1": 2}, plain=True)


def test_numpy_values_come_back_bit_for_bit() -> None:
    np = pytest.importorskip("numpy")
    values = [
        np.float32(1.1),
        np.int8(-1),
        np.bool_(True),
        np.float64("nan"),
        np.datetime64("2024-01-01", "ns"),
        np.str_("é"),
    ]
    for value in values:
        found = decode_document(encode_document(value))
        assert type(found) is type(value)
        assert found.tobytes() == value.tobytes()
    for array in (np.arange(6.0).reshape(2, 3).T, np.zeros((0, 3), "i2"), np.array(["a", "bc"]), np.array(5)):
        found = decode_document(encode_document({"a": array}))["a"]
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        assert (found == array).all()
    with pytest.raises(UsageError):
        encode_document(np.array([object()]))
    assert json.loads(encode_document([np.bool_(True), np.arange(2)], plain=True)) == [True, [0, 1]]


def test_pandas_times_come_back_to_the_nanosecond() -> None:
    pd = pytest.importorskip("pandas")
    for value in (pd.Timestamp(1_700_000_000_123_456_789), pd.Timestamp("2024-11-03 03:30", tz="America/New_York")):
        found = decode_document(encode_document(value))
        assert found == value
        assert found.tz == value.tz
    assert decode_document(encode_document(pd.NaT)) is pd.NaT
    assert json.loads(encode_document([pd.NaT], plain=True)) == [None]
