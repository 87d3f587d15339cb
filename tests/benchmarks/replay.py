"""Recovery: a log that a killed process left behind goes into the lake, against a bare Polars parse of its payloads."""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
from tests.benchmarks.child import call, reply
from tests.benchmarks.figures import Figure, in_turns, rate_figure
from tests.benchmarks.lane import open_lane
from tests.benchmarks.load import TRADES_SUBJECT, json_trades, trades
from tests.benchmarks.scale import Scale

from ticklake.cli.spare import spare_pandas
from ticklake.schema.messages import MessageGroup
from ticklake.testing.messages import group_messages

_GROUP = 10_000  # messages a group, as under load
_SEGMENT_BYTES = 32 * 2**20  # as by default


def measure(scale: Scale) -> Iterator[Figure]:
    """Each round recovers a fresh copy of the same log."""
    messages = scale.replay_messages
    left = scale.folder / "replay-left"
    payloads = scale.folder / "replay.ndjson"
    payloads.write_bytes(b"\n".join(json_trades(messages)) + b"\n")
    call("replay", "leave", left, payloads)
    numbers = itertools.count()

    def ours() -> float:
        folder = scale.folder / f"replay-{next(numbers)}"
        shutil.copytree(left, folder)
        os.sync()  # as it was synced before the kill
        answer = call("replay", "recover", folder, payloads)
        shutil.rmtree(folder)
        assert answer["rows"] == messages, f"not all messages were recovered: {answer}"
        return messages / float(answer["seconds"])

    def reference() -> float:
        answer = call("replay", "parse", left, payloads)
        assert answer["rows"] == messages, f"the reference parsed something else: {answer}"
        return messages / float(answer["seconds"])

    pairs = in_turns(scale.rounds, ours, reference)
    yield rate_figure(
        "WAL replay: log of a killed process -> durable Parquet",
        pairs,
        unit="msg/s",
        least=0.6,
        against="bare Polars NDJSON parse",
        note="ours reads, checks, decodes, encodes, syncs and publishes; the reference only parses, from memory",
    )


def _groups(payloads: Sequence[bytes]) -> Iterator[MessageGroup]:
    now_ns = time.time_ns()
    for start in range(0, len(payloads), _GROUP):
        part = payloads[start : start + _GROUP]
        sequences = list(range(start + 1, start + 1 + len(part)))
        yield group_messages(
            [(TRADES_SUBJECT.encode(), None, payload) for payload in part],
            incarnation=1,
            ingest_ns=now_ns,
            sequences=sequences,
            server_ns=[now_ns + sequence for sequence in sequences],
        )


def _leave(folder: Path, payloads: Path) -> None:
    """Log everything, commit nothing, die."""
    folder.mkdir(parents=True)
    lane = open_lane(folder)
    lane.new_incarnation(created_ns=1, reason="first")
    size_bytes = 0
    for group in _groups(payloads.read_bytes().splitlines()):
        lane.append(group)
        size_bytes += group.payload_bytes
        if size_bytes >= _SEGMENT_BYTES:
            lane.rotate()
            size_bytes = 0
    reply({"left": lane.waiting_messages})
    os._exit(0)


def _recover(folder: Path) -> None:
    spare_pandas()  # as `ticklake serve` when it starts
    begin_s = time.perf_counter()
    lane = open_lane(folder)
    took_s = time.perf_counter() - begin_s
    rows = sum(sum(entry.rows.values()) for entry in lane.recovery.entries)
    reply({"seconds": took_s, "rows": rows, "segments": lane.recovery.segments})


def _parse(payloads: Path) -> None:
    schema = {name: pl.Int64 if kind.is_integer() else kind for name, kind in trades(1).schema.items()}  # knows no Int8
    content = payloads.read_bytes()
    begin_s = time.perf_counter()
    rows = pl.read_ndjson(content, schema=schema).height
    reply({"seconds": time.perf_counter() - begin_s, "rows": rows})


def main() -> None:
    """One side, in a fresh process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("how", choices=["leave", "recover", "parse"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("payloads", type=Path)
    wish = parser.parse_args()
    if wish.how == "leave":
        _leave(wish.folder, wish.payloads)
    elif wish.how == "recover":
        _recover(wish.folder)
    else:
        _parse(wish.payloads)


if __name__ == "__main__":
    main()
