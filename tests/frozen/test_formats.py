"""Bytes that an earlier version wrote. They must open for ever; a change of format adds files here and removes none."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from ticklake.lake.intent import decode_intent
from ticklake.lake.ledger import decode_entry, encode_entry
from ticklake.schema.messages import Skipped
from ticklake.testing.messages import payloads_of
from ticklake.wal.segment import Tail, scan
from ticklake.wal.state import Incarnation, Position, Previous

HERE = Path(__file__).parent


def test_a_segment_of_wal_version_1_opens() -> None:
    found = scan((HERE / "wal_v1.wal").read_bytes())
    assert (found.tail, found.is_closed, found.duplicates) == (Tail.CLEAN, True, 6)
    header = found.header
    assert header is not None
    assert (header.segment, header.epoch, header.salt, header.sector_bytes) == (42, 7, 0x0123_4567_89AB_CDEF, 512)
    state = header.state
    assert (state.lane, state.stream) == ("market_data", "MARKET_DATA")
    assert state.incarnation == Incarnation(2, 1_734_300_000_000_000_000, "sequence_reused")
    assert state.position == Position(2, 1000, 1_734_359_399_000_000_000, 0xDEADBEEF)
    assert state.previous == Previous(41, 65_536)
    assert state.seen == ((1, 900, 1_734_359_398_000_000_000), (905, 1000, 1_734_359_399_000_000_000))
    groups = []
    for frame in found.frames:
        group = frame.group
        if group is None:
            continue
        groups.append(
            {
                "missing": [list(pair) for pair in frame.missing],
                "duplicates": frame.duplicates,
                "incarnation": group.incarnation,
                "ingest_ns": group.ingest_ns,
                "subjects": [_text(subject) for subject in group.subjects],
                "codes": list(group.subject_codes),
                "sequences": list(group.sequences),
                "server_ns": list(group.server_ns),
                "headers": {str(index): _text(block) for index, block in group.headers.items()},
                "payloads": [_text(payload) for payload in payloads_of(group)],
            }
        )
    assert groups == json.loads((HERE / "wal_v1.json").read_text())


def test_an_intent_of_version_1_opens() -> None:
    intent = decode_intent((HERE / "intent_v1").read_bytes())
    assert intent is not None
    assert (intent.segment, len(intent.files), intent.ledger.name) == (42, 2, "000000000042.json")
    assert intent.files[1].folder == "quarantine/table=futures.trades/date=2024-12-16"
    assert intent.files[0].crc32c == "0a1b2c3d"
    assert intent.reached["position"] == [2, 1009, 1_734_359_401_000_000_000, 7]


def test_a_ledger_entry_of_version_1_opens_and_is_still_written_like_that() -> None:
    content = (HERE / "ledger_v1.json").read_bytes()
    entry = decode_entry(content)
    assert entry.received == entry.stored + entry.quarantined + entry.duplicates == 1000
    assert entry.files[0].path.startswith("bronze/futures/trades/symbol=ES/")
    assert encode_entry(entry) == content


def test_what_a_filter_passed_over_opens_and_is_still_written_like_that() -> None:
    content = (HERE / "ledger_v1_skipped.json").read_bytes()
    assert decode_entry(content).skipped == Skipped(after=990, sequences=20)
    assert encode_entry(decode_entry(content)) == content
    found = scan((HERE / "wal_v1_skipped.wal").read_bytes())
    assert [frame.skipped for frame in found.frames] == [Skipped(after=1000, sequences=7), None, None]
    assert (found.tail, found.is_closed) == (Tail.CLEAN, True)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
