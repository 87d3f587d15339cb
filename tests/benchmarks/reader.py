"""`BronzeReader.read_futures_trades` with a time range, against a bare Polars scan of exactly the files needed."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import polars as pl
from tests.benchmarks.child import call, reply
from tests.benchmarks.figures import Figure, in_turns
from tests.benchmarks.lane import open_lane
from tests.benchmarks.load import SESSION, TRADES_SUBJECT, json_trades
from tests.benchmarks.scale import Scale

from ticklake.readers.bronze import BronzeReader
from ticklake.testing.market_session import NS_PER_S, trading_session
from ticklake.testing.messages import group_messages

_ROWS_PER_FILE = 10_000
_CALLS = 9
_RANGE_S = (5_400, 9_000)  # of the session: from 11:00 to 12:00 New York
_LIMIT = 1.2


def measure(scale: Scale) -> Iterator[Figure]:
    """Both sides give the same rows of the same contract; each process asks several times and gives its median."""
    lake = scale.folder / "reader"
    files = call("reader", "build", lake, "--files", scale.lake_files)["files"]
    facts: dict[str, float] = {}

    def ours() -> float:
        answer = call("reader", "ours", lake)
        facts.update(answer)
        return float(answer["ms"])

    def reference() -> float:
        answer = call("reader", "bare", lake)
        assert "rows" not in facts or answer["rows"] == facts["rows"], f"different answers: {answer}, {facts}"
        facts["needed"] = answer["needed"]
        return float(answer["ms"])

    pairs = in_turns(scale.rounds, ours, reference)
    ratio = median(pairs.ratios)
    yield Figure(
        what=f"read_futures_trades with a time range, {files} files in the lake",
        ours=f"{median(pairs.ours):.1f} ms",
        reference=f"{median(pairs.reference):.1f} ms: bare Polars scan of the {facts['needed']:.0f} files needed",
        ratio=f"{ratio:.2f} x",
        target=f"<= {_LIMIT:g} x",
        met=ratio <= _LIMIT,
        note=f"{facts['rows']:,.0f} rows; the first call also chooses the front month: {facts['first_ms']:.0f} ms",
        rounds=pairs.ratios,
    )


def _build(folder: Path, files: int) -> None:
    """A lake as the service leaves it: every commit its own files."""
    lane = open_lane(folder)
    lane.new_incarnation(created_ns=1, reason="first")
    payloads = json_trades(files * _ROWS_PER_FILE)
    made = 0
    for start in range(0, len(payloads), _ROWS_PER_FILE):
        part = payloads[start : start + _ROWS_PER_FILE]
        sequences = list(range(start + 1, start + 1 + len(part)))
        messages = [(TRADES_SUBJECT.encode(), None, payload) for payload in part]
        lane.append(
            group_messages(messages, incarnation=1, ingest_ns=time.time_ns(), sequences=sequences, server_ns=sequences)
        )
        segment = lane.rotate()
        assert segment is not None
        made += len(lane.commit(segment).files)
    lane.close()
    reply({"files": made})


def _range_ns() -> tuple[int, int]:
    bell_ns = trading_session(SESSION).bell_ns
    return bell_ns + _RANGE_S[0] * NS_PER_S, bell_ns + _RANGE_S[1] * NS_PER_S


def _ours(folder: Path) -> None:
    reader = BronzeReader(folder)
    start_ns, end_ns = _range_ns()

    def ask() -> pl.DataFrame:
        return reader.read_futures_trades("ES", start_ns=start_ns, end_ns=end_ns)

    begin_s = time.perf_counter()
    rows = ask()
    first_ms = (time.perf_counter() - begin_s) * 1000
    reply({"rows": rows.height, "first_ms": first_ms, "ms": _typical_ms(ask)})


def _bare(folder: Path) -> None:
    start_ns, end_ns = _range_ns()
    contract = BronzeReader(folder).select_front_month(SESSION, "ES").contract
    time_ns = pl.col("ts_event_ns")
    wanted = time_ns.is_between(start_ns, end_ns)
    paths = sorted((folder / "bronze/futures/trades").rglob("*.parquet"))
    needed = [path for path in paths if pl.scan_parquet(path).select(wanted.any()).collect().item()]

    def ask() -> pl.DataFrame:
        return pl.scan_parquet(needed).filter(wanted, pl.col("contract") == contract).collect()

    reply({"rows": ask().height, "needed": len(needed), "ms": _typical_ms(ask)})


def _typical_ms(ask: Callable[[], object]) -> float:
    took = []
    for _ in range(_CALLS):
        begin_s = time.perf_counter()
        ask()
        took.append((time.perf_counter() - begin_s) * 1000)
    return median(took)


def main() -> None:
    """One side, in a fresh process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("how", choices=["build", "ours", "bare"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=200)
    wish = parser.parse_args()
    if wish.how == "build":
        _build(wish.folder, wish.files)
    elif wish.how == "ours":
        _ours(wish.folder)
    else:
        _bare(wish.folder)


if __name__ == "__main__":
    main()
