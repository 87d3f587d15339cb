"""Good messages of every table, and what hostile or careless publishers make of them. As raw JSON text, on purpose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

T0_NS = 1_734_359_400_000_000_000  # 2024-12-16T14:30:00Z
INGEST_NS = T0_NS + 10**10

Fields = dict[str, str]
"""Key -> raw JSON text of its value."""

_TIMES = {"ts_event_ns": str(T0_NS), "ts_recv_ns": str(T0_NS + 5_000), "source": '"replay"'}
_OPTION = {
    "underlying": '"ES"',
    "option_symbol": '"ESZ4 P6000"',
    "exp_date": '"2024-12-20"',
    "strike": "6000",
    "right": '"P"',
}
_LEVEL = '{"bid_px":6000.25,"bid_sz":3,"ask_px":6000.5,"ask_sz":4}'
_ABSENT = '{"bid_px":0,"bid_sz":0,"ask_px":null,"ask_sz":0}'
_TEXT_LEVEL = '{"bid_px":"61837.63000000","bid_sz":"3.78","ask_px":"61837.64","ask_sz":"1.5"}'

GOOD: dict[str, Fields] = {
    "futures.trades": _TIMES
    | {
        "symbol": '"ESZ4"',
        "price": "6050.25",
        "size": "3",
        "aggressor": "-1",
        "exchange": '"XCME"',
        "conditions": "[1,2]",
        "seq": "42",
    },
    "futures.mbp10": _TIMES
    | {"symbol": '"ESZ4"', "levels": f"[{','.join([_LEVEL] * 8 + [_ABSENT] * 2)}]", "is_snapshot": "false", "seq": "1"}
    | {"action": '"A"', "side": '"B"', "action_price": "6000.25", "action_size": "3"},
    "options.trades": _TIMES
    | _OPTION
    | {"price": "12.5", "size": "1", "opt_bid": "12.25", "opt_ask": "12.75", "aggressor": '"SELL"', "seq": "7"},
    "options.nbbo": _TIMES | _OPTION | {"bid_px": "0", "bid_sz": "0", "ask_px": "0.05", "ask_sz": "11", "seq": "7"},
    "crypto.trades": _TIMES
    | {"symbol": '"BTC/USD"', "price": '"61837.64"', "size": '"0.00100000"', "aggressor": '"BUY"'}
    | {"trade_id": '"1234567890123"', "venue": '"spot"'},
    "crypto.quotes": _TIMES
    | {"ts_event_ns": "null", "symbol": '"BTCUSDT"', "bid_px": "1.5", "bid_sz": "2", "ask_px": "1.75", "ask_sz": "1e-8"}
    | {"update_id": "50093239212"},
    "crypto.mbp10": _TIMES | {"symbol": '"BTCUSDT"', "levels": f"[{','.join([_TEXT_LEVEL] * 10)}]", "update_id": "5"},
    "levels.signals": {
        "ts": str(T0_NS // 10**6),
        "spy": '{"spot":6000.1,"bid":6000,"ask":6000.25}',
        "levels": '[{"id":"STRIKE_6000","price":6000,"kind":"STRIKE","break_score_raw":40,'
        '"barrier":{"state":"WALL","defending_quote":{"price":6000,"size":500}},'
        '"tape":{"imbalance":0.25,"sweep":{"detected":true,"num_prints":3}},"runway":{"next_obstacle":null}}]',
        "viewport": '{"ts":1,"targets":[]}',
    },
}

VALUES = (
    *("null", "true", "false", "0", "-0", "-0.0", "0.0", "1", "1.0", "1e3", "-1", "-0.5", "2", "7", "127", "128", "01"),
    *("32768", "2147483647", "2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775808"),
    *("18446744073709551616", "1" * 400, "1" * 309, "0." + "1" * 400, "1e308", "1e400", "-1e400", "1e-400", "5e-324"),
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        "9223372036.854775807",
        "-9300000000",
        "9200000000",
        "9199999999.5",
        "1.",
        ".5",
        "+1",
    ),
    *("0.1", "0.30000000000000004", "123456789.123456789", "9007199254740993", "2.2250738585072011e-308"),
    *('""', '"1.5"', '"1"', '"-1"', '"1e5"', '".5"', '"5."', '"-"', '"."', '"--1"', '"1-2"', '" 1"', '"1 "', '"+1"'),
    *('"0x10"', '"NaN"', '"inf"', '"١"', '"0007"', '"00000000000000000000000000007"', '"-0"', '"9223372036854775808"'),
    *(
        f'"{"9" * 400}"',
        '"9223372036.854775807"',
        '"abc"',
        '"BUY"',
        '"B"',
        '"A"',
        '"S"',
        '"buy"',
        '"MID"',
        '"N"',
        '"C"',
    ),
    *('"2024-12-20"', '"2024-02-30"', '"1999-12-31"', '"20241220"', '"2024-12-20 "', '"2024-1-02"', '"９024-12-20"'),
    *('"ES.c.0"', '"../../etc/passwd"', '"a=b"', '"*"', '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud800"', '"e\\u0301"'),
    *('"' + "x" * 300 + '"', '"ü"', "[]", "{}", "[1]", "[1,null]", "[1.5]", "[32768]", "[true]", '["1"]', '{"a":1}'),
    *(str(T0_NS + 1), str(INGEST_NS + 86_400 * 10**9), str(INGEST_NS + 86_400 * 10**9 + 1), "946684799999999999"),
    *("946684800000000000", "1734359400", "1734359400000", str(T0_NS) + ".0", f'"{T0_NS}"', "4102444800000000000"),
    *(f"[{_LEVEL}]", f"[{','.join([_LEVEL] * 11)}]", f"[{_LEVEL},null]", f"[{_LEVEL},5]", '[{"bid_px":1,"foo":2}]'),
    *('[{"bid_px":1,"bid_px":2}]', '[{"bid_px":"1"}]', "[{}]", '[{"bid_sz":-1}]', '[{"bid_px":NaN}]'),
)
"""Raw JSON (and what is none) for any key."""


def render(fields: Fields) -> bytes:
    """One JSON object."""
    return b"{" + ",".join(f'"{key}":{value}' for key, value in fields.items()).encode() + b"}"


def good(table: str, number: int = 0) -> bytes:
    """A good message; different numbers give different times."""
    fields = dict(GOOD[table])
    if "ts_recv_ns" in fields:
        fields["ts_recv_ns"] = str(T0_NS + number)
    return render(fields)


def value_mutations(table: str, values: Iterable[str] = VALUES) -> Iterator[bytes]:
    """Every key of the good message with every odd value, and without it."""
    for key in GOOD[table]:
        yield render({name: value for name, value in GOOD[table].items() if name != key})
        for value in values:
            yield render(GOOD[table] | {key: value})


def whole_mutations(table: str) -> Iterator[bytes]:
    """The good message, wrapped, doubled, cut, polluted."""
    message = good(table)
    inner = message[1:-1]
    key = next(iter(GOOD[table])).encode()
    yield from (b"", b" ", b"\n", b"null", b"1", b'"x"', b"[]", b"[", b"{", b"}", b"{}", b"{}{}", b"\x00", b"\xff\xfe")
    yield from (message + message, message + b" " + message, message + b"," + message, message + b"\r" + message)
    yield from (message + b"\n" + message, message[:-1], message[1:], message + b"x", b"x" + message, message + b"}")
    yield from (b" " + message, message + b" ", message + b"\t", message + b"\r", b"\xef\xbb\xbf" + message)
    yield from (b"{\n" + inner + b"}", b"{" + inner.replace(b",", b",\n", 1) + b"}", b"{\r" + inner + b"}")
    yield from (b"{" + inner + b",}", b"{," + inner + b"}", b"{" + inner + b"}//c", b"/*c*/" + message)
    yield from (message.replace(b'"', b"'"), b"{" + inner + b',"' + key + b'":1}', b"{" + inner + b"," + inner + b"}")
    yield from (b"{" + inner + b',"foo":1}', b"{" + inner + b',"foo":null}', b"{" + inner + b',"foo":{"b":1,"a":[2]}}')
    yield from (b"{" + inner + b',"foo":"\xff"}', b"{" + inner + b',"\xff":1}', b"{" + inner + b',"foo":"a\nb"}')
    yield from (b"{" + inner + b',"foo":"a\x01b"}', b"{" + inner + b',"foo":"\\ud800"}', b"{" + inner + b',"extra":1}')
    yield from (b"{" + inner + b',"foo":1e400}', b"{" + inner + b',"foo":' + b"9" * 300 + b"}", b"[" + message + b"]")
    yield b"{" + inner + b',"contract":"other"}'
    yield b"{" + inner + b',"stream_seq":5,"contract":"other","symbol":"other"}'
    escaped = b"".join(b"\\u%04x" % letter for letter in key)
    yield message.replace(key, escaped, 1)
    yield message.replace(b'"replay"', b'"\xff\xfe"').replace(b'"STRIKE"', b'"\xff"')
    yield message.replace(b'"replay"', b'"re\nplay"').replace(b'"STRIKE"', b'"\n"')
    yield message.replace(b'"replay"', b'"re\x01play"').replace(b'"STRIKE"', b'"\x01"')
    yield message.replace(b'"replay"', b'"x}"').replace(b'"STRIKE"', b'"x}"')


def heavy_mutations(table: str) -> Iterator[bytes]:
    """What costs time or stack rather than thought."""
    inner = good(table)[1:-1]
    for deep in (b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"1" * 5_000_000):
        yield b"{" + inner + b',"foo":' + deep + b"}"
        yield b"{" + inner + b',"seq":' + deep + b"}"
