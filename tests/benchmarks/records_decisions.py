"""Decisions by id and newest of a pair, against the glob-and-mtime method of older stores, on the same files.

Every lookup of ours is checked to give what the reference gives. The files are written without fsync, by neither side.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.figures import Figure, limit_figure
from tests.benchmarks.scale import Scale

from ticklake.stores.decisions import DecisionStore

PAIRS = tuple(f"PAIR{number:02d}USD" for number in range(50))
START_S = 1_577_836_800  # 2020-01-01
LOOKUPS = 2_000
REFERENCE_LOOKUPS = 5


class GlobStore:
    """What older stores did: the id in the file name, found by glob; newest by file time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, decision_id: str) -> dict[str, Any] | None:
        for path in self.folder.glob(f"*_{decision_id}.json"):
            with path.open() as file:
                return dict(json.load(file))
        return None

    def newest(self, pair: str, limit: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for path in sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
            with path.open() as file:
                record = json.load(file)
            if record["asset_pair"] == pair:
                found.append(record)
                if len(found) == limit:
                    break
        return found


def fill(folder: Path, decisions: int) -> None:
    """Files as a year-long run of a trading engine leaves them, in the order of their decisions."""
    dice = random.Random(7)
    for number in range(decisions):
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START_S + number * 300))
        record = {
            "id": f"decision-{number:08d}",
            "timestamp": moment,
            "asset_pair": dice.choice(PAIRS),
            "action": dice.choice(("BUY", "SELL", "HOLD")),
            "confidence": round(dice.random(), 3),
            "reasoning": "momentum above its band, volume confirms, risk within its limit; " * 4,
            "market": {"close": round(dice.uniform(1, 100), 2), "rsi": round(dice.uniform(0, 100), 1)},
        }
        path = folder / f"{moment[:10]}_{record['id']}.json"
        path.write_text(json.dumps(record, indent=2))
        os.utime(path, (START_S + number * 300, START_S + number * 300))


def took_ms(call: Callable[[], Any]) -> float:
    begin_s = time.perf_counter()
    call()
    return (time.perf_counter() - begin_s) * 1000


def measure(scale: Scale) -> Iterator[Figure]:
    """Fill a folder, then ask it in both ways."""
    folder = scale.folder / "decisions"
    folder.mkdir()
    fill(folder, scale.decisions)
    yield from compare(folder, scale.decisions, scale.rounds)


def compare(folder: Path, decisions: int, rounds: int) -> list[Figure]:
    """Both sides answer the same questions; ours is checked against the reference."""
    dice = random.Random(11)
    store, reference = DecisionStore({"storage_path": folder}), GlobStore(folder)
    rebuild_ms = took_ms(store.get_decision_count)
    assert store.get_decision_count() == decisions
    reopen_ms = took_ms(lambda: DecisionStore({"storage_path": folder}).get_decision_count())
    gets, ratios, newest, newest_ratios = list[float](), list[float](), list[float](), list[float]()
    for _ in range(rounds):
        ids = [f"decision-{dice.randrange(decisions):08d}" for _ in range(LOOKUPS)]
        ours = median(took_ms(partial(store.get_decision_by_id, each)) for each in ids)
        theirs = median(took_ms(partial(reference.get, each)) for each in ids[:REFERENCE_LOOKUPS])
        assert all(store.get_decision_by_id(each).items() >= reference.get(each).items() for each in ids[:2])
        gets.append(ours)
        ratios.append(theirs / ours)
        pairs = [dice.choice(PAIRS) for _ in range(100)]
        mine = median(took_ms(partial(store.get_decisions, pair, limit=10)) for pair in pairs)
        old = took_ms(partial(reference.newest, pairs[0], 10))
        assert [r["id"] for r in store.get_decisions(pairs[0])] == [r["id"] for r in reference.newest(pairs[0], 10)]
        newest.append(mine)
        newest_ratios.append(old / mine)
    fresh = [{"id": f"new-{number}", "asset_pair": PAIRS[0]} for number in range(200)]
    saves = [took_ms(partial(store.save_decision, record)) for record in fresh]
    faster = median(ratios)
    return [
        limit_figure(f"get by id among {decisions:,}, p50", gets, unit="ms", below=1, ours=f"{median(gets):.3f} ms"),
        Figure(
            "the same, against glob", f"{median(gets):.3f} ms", f"{faster * median(gets):.1f} ms", f"{faster:,.0f} x",
            ">= 100 x", faster >= 100, rounds=tuple(ratios),
        ),
        limit_figure("newest 10 of a pair, p50", newest, unit="ms", below=5, ours=f"{median(newest):.3f} ms"),
        Figure(
            "the same, against glob and mtime", f"{median(newest):.3f} ms",
            f"{median(newest_ratios) * median(newest):.0f} ms",
            f"{median(newest_ratios):,.0f} x", "-", None, rounds=tuple(newest_ratios),
        ),
        Figure("first look without an index", f"{rebuild_ms / 1000:.1f} s", "", "", "-", None),
        Figure("first look with an index", f"{reopen_ms:.1f} ms", "", "", "-", None),
        Figure("save, durable, p50", f"{median(saves):.2f} ms", "", "", "-", None),
    ]  # fmt: skip
