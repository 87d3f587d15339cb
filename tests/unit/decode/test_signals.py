"""Level signals: one row per level, every field of the wire in a column, nothing lost."""

from __future__ import annotations

import json

import msgspec
from tests.unit.decode.corpus import INGEST_NS, T0_NS
from tests.unit.decode.outcomes import CATALOG, decode, group_of

TABLE = "levels.signals"
TS_MS = T0_NS // 10**6


def full_level(**changes):
    """A level in which every field has a value of its own."""
    level = {}
    for number, column in enumerate(CATALOG.get(TABLE).columns, 1):
        if column.wire.startswith("levels[]."):
            node = level
            *path, last = column.wire.removeprefix("levels[].").split(".")
            for key in path:
                node = node.setdefault(key, {})
            sample = {"string": f"word {number}", "bool": True, "int8": 1, "int32": number}
            node[last] = sample.get(str(column.kind), number / 128)
    return level | changes


def message(*levels, **top):
    quote = {"spot": 6000.1, "bid": 6000.0, "ask": 6000.25}
    return msgspec.json.encode({"ts": TS_MS, "es": quote, "levels": levels} | top)


def decode_one(payload):
    decoded = decode(group_of(TABLE, [payload]))
    return [row for table in decoded.tables for row in table.rows.to_pylist()], decoded.rejected


def test_every_field_of_a_level_has_its_column():
    viewport = {"ts": TS_MS, "targets": [{"level_id": "A", "utility_score": 0.5}]}
    rows, rejected = decode_one(message(full_level(), underlying="NQ", viewport=viewport))
    assert not rejected
    (row,) = rows
    assert all(row[column.name] is not None for column in CATALOG.get(TABLE).columns)
    assert row["extra"] is None
    assert (row["ts_event_ns"], row["underlying"], row["spot"]) == (TS_MS * 10**6, "NQ", 6000.1)
    assert json.loads(row["viewport"]) == viewport
    assert row["tape_sweep_detected"] is True
    assert row["runway_next_level_id"] == full_level()["runway"]["next_obstacle"]["id"]


def test_one_row_per_level_in_order():
    rows, _ = decode_one(message(full_level(id="A"), full_level(id="B"), full_level(id="C")))
    assert [(row["message_row"], row["level_id"], row["spot"]) for row in rows] == [
        (0, "A", 6000.1),
        (1, "B", 6000.1),
        (2, "C", 6000.1),
    ]
    assert {row["underlying"] for row in rows} == {"ES"}


def test_no_data_yet_is_one_row_without_a_level():
    for payload in (message(), message(levels=None), msgspec.json.encode({"ts": TS_MS, "spy": {"spot": None}})):
        (row,), rejected = decode_one(payload)
        assert not rejected
        assert row["level_id"] is None


def test_the_old_key_of_the_quote_is_understood_and_both_are_kept():
    (row,), _ = decode_one(message(full_level(), es=None, spy={"spot": 1.5}))
    assert row["spot"] == 1.5
    (row,), _ = decode_one(message(full_level(), spy={"spot": 1.5}))
    assert (row["spot"], json.loads(row["extra"])) == (6000.1, {"spy": {"spot": 1.5}})


def test_unknown_keys_stay_in_their_places():
    level = full_level()
    level["barrier"]["new"] = 1
    level["color"] = "red"
    (row,), _ = decode_one(message(level, es={"spot": 1, "mid": 2}, version="3.1"))
    assert json.loads(row["extra"]) == {
        "es": {"mid": 2},
        "version": "3.1",
        "levels": [{"barrier": {"new": 1}, "color": "red"}],
    }


def test_a_flat_signal_is_understood():
    flat = {"ts_event_ns": T0_NS, "level_id": "A", "level_price": 6000.5, "barrier_state": "WALL", "spot": 1.5, "x": 1}
    (row,), _ = decode_one(msgspec.json.encode(flat))
    assert {key: row[key] for key in flat if key != "x"} == {key: flat[key] for key in flat if key != "x"}
    assert (row["underlying"], row["extra"]) == ("ES", '{"x":1}')


def test_a_bad_level_is_rejected_alone_and_can_be_published_again():
    bad = full_level(id="B", price="high")
    rows, (rejected,) = decode_one(message(full_level(id="A"), bad, full_level(id="C")))
    assert [(row["message_row"], row["level_id"]) for row in rows] == [(0, "A"), (2, "C")]
    assert (rejected.reason, rejected.path, rejected.message_row) == ("wrong_type", "$.levels[1].price", 1)
    assert json.loads(rejected.payload) == json.loads(message(bad))


def test_parts_that_must_be_objects_or_lists():
    for changes, path in (({"levels": {}}, "$.levels"), ({"levels": [1]}, "$.levels[0]"), ({"es": 5}, "$.es.spot")):
        rows, (rejected,) = decode_one(message(**changes))
        assert not rows
        assert (rejected.reason, rejected.path) == ("wrong_type", path)
    rows, (rejected,) = decode_one(message(full_level(id="A"), level_id="B"))
    assert (rejected.reason, rejected.path) == ("wrong_type", "$.level_id")


def test_signals_in_a_batch_are_numbered_through():
    payload = b"[" + message(full_level(id="A"), full_level(id="B")) + b",1," + message(full_level(id="C")) + b"]"
    rows, (rejected,) = decode_one(payload)
    assert [(row["message_row"], row["level_id"]) for row in rows] == [(0, "A"), (1, "B"), (3, "C")]
    assert (rejected.reason, rejected.message_row, rejected.payload) == ("not_an_object", 2, b"1")
    assert rejected.ingest_ns == INGEST_NS
