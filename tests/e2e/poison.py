"""Messages that are meant to hurt: the hostile payloads of the threat model, each with what must become of it.

Built on the good messages of the decode corpus; values are raw JSON text, on purpose.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.unit.decode.corpus import GOOD, T0_NS, good, render

TABLE = "futures.trades"
SUBJECT = b"market.futures.trades"
NDJSON = b"NATS/1.0\r\nContent-Type: application/x-ndjson\r\n\r\n"

_FIELDS = GOOD[TABLE]
_GOOD = good(TABLE)
_INNER = _GOOD[1:-1]
_DEEP = 100_000
_DIGITS = "7" * 5_000_000


class Poison(NamedTuple):
    """One message that cannot be a row.

    Attributes:
        name: for people.
        payload: as published.
        reason: why it must be in quarantine.
        path: of the value that is to blame.
    """

    name: str
    payload: bytes
    reason: str
    path: str = "$"


def _with(**fields: str) -> bytes:
    return render(_FIELDS | fields)


def _extra(text: bytes) -> bytes:
    return b"{" + _INNER + b',"x":' + text + b"}"


POISON = (
    Poison("NaN", _with(price="NaN"), "not_json"),
    Poison("Infinity", _with(price="-Infinity"), "not_json"),
    Poison("number beyond a double", _with(price="1e400"), "out_of_range"),
    Poison("number below a double", _with(price="1e-400"), "out_of_range", "$.price"),
    Poison("2^64", _with(seq=str(2**64)), "out_of_range", "$.seq"),
    Poison("2^63 in 32 bits", _with(size=str(2**63)), "out_of_range", "$.size"),
    Poison("negative size", _with(size="-1"), "out_of_range", "$.size"),
    Poison("bool for a number", _with(price="true"), "wrong_type", "$.price"),
    Poison("words for a number", _with(price='"abc"'), "wrong_type", "$.price"),
    Poison("object for a number", _with(price="{}"), "wrong_type", "$.price"),
    Poison("number for a text", _with(symbol="5"), "wrong_type", "$.symbol"),
    Poison("null price", _with(price="null"), "missing_field", "$.price"),
    Poison(
        "no price", render({key: value for key, value in _FIELDS.items() if key != "price"}), "missing_field", "$.price"
    ),
    Poison("bytes that are no UTF-8", _GOOD.replace(b'"replay"', b'"\xff\xfe"'), "bad_utf8"),
    Poison("key that is no UTF-8", b"{" + _INNER + b',"\xff":1}', "bad_utf8"),
    Poison("lone surrogate", _with(symbol='"\\ud800"'), "not_json"),
    Poison("control character", _GOOD.replace(b'"replay"', b'"re\x01play"'), "not_json"),
    Poison("deep arrays", _extra(b"[" * _DEEP + b"]" * _DEEP), "not_json"),
    Poison("deep objects", b'{"a":' * _DEEP + b"1" + b"}" * _DEEP, "not_json"),
    Poison("5 MB number", _with(seq=_DIGITS), "out_of_range"),
    Poison("5 MB number in an unknown key", _extra(_DIGITS.encode()), "out_of_range"),
    Poison("byte order mark", b"\xef\xbb\xbf" + _GOOD, "not_json"),
    Poison("nothing", b"", "not_json"),
    Poison("null", b"null", "not_an_object"),
    Poison("cut short", _GOOD[:-1], "not_json"),
    Poison("two objects", _GOOD * 2, "not_json"),
    Poison("empty array", b"[]", "empty_batch"),
    Poison("time zero", _with(ts_event_ns="0"), "ts_out_of_range", "$.ts_event_ns"),
    Poison("microseconds", _with(ts_event_ns=str(T0_NS // 1_000)), "ts_out_of_range", "$.ts_event_ns"),
    Poison("the year 2100", _with(ts_event_ns="4102444800000000000"), "ts_out_of_range", "$.ts_event_ns"),
    Poison("half a nanosecond", _with(ts_event_ns=f"{T0_NS}.5"), "wrong_type", "$.ts_event_ns"),
)

SYMBOLS = (
    *("..", ".", "/", "../../etc/passwd", "/etc/passwd", "a/../../b", "a=b", "symbol=ES", "*?[a]{b}", "%2e%2e%2f", "%"),
    *(
        "__HIVE_DEFAULT_PARTITION__",
        "__empty__",
        "_hidden",
        ".hidden",
        "h~0",
        "null",
        "NUL",
        "a b",
        " ",
        "a\nb",
        "a\0b",
    ),
    *("'; DROP TABLE x; --", '"', "\\", "$HOME", "`id`", "ü", "é", "日本", "\U0001f4a5", "x" * 300, "ü" * 2_000),
)
"""Symbols that would like to be paths, globs, commands or nothing at all. Every one of them is a good row."""
