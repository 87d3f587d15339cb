"""Curators against each other and against a hundred readers: one winner per number, one whole version for everybody."""

from __future__ import annotations

import threading
from pathlib import Path

import polars as pl
from tests.e2e.harness import wait_until
from tests.integration.gold.curators import NAME, check_whole, lay_marked
from tests.integration.gold.workers import let_go, results, start

from ticklake.gold.curator import GoldCurator
from ticklake.readers.training import scan_training_set

READERS = 100
SWAPS = 2


def test_of_racing_processes_exactly_one_wins_a_number(tmp_path: Path) -> None:
    workers = [start("seal", tmp_path, mark) for mark in range(4)]
    let_go(*workers)
    said = results(workers)
    assert sorted(said) == ["lost", "lost", "lost", "won"]
    mark = (tmp_path / f"gold/history/{NAME}/v000007/metadata.json").read_text()
    assert said[int(mark)] == "won"


def test_racing_curators_each_get_a_whole_version_of_their_own(tmp_path: Path) -> None:
    for number in range(4):
        lay_marked(tmp_path, f"v{number}")
    workers = [start("promote", tmp_path, f"v{number}") for number in range(4)]
    let_go(*workers)
    assert sorted(results(workers)) == [f"success {number}" for number in (1, 2, 3, 4)]
    curator = GoldCurator(tmp_path)
    promoted = [curator.get_dataset_metadata(version=number)["silver_version"] for number in (1, 2, 3, 4)]
    assert sorted(promoted) == ["v0", "v1", "v2", "v3"]
    for number in (1, 2, 3, 4):
        assert curator.validate_dataset(version=number).passed
    assert curator.validate_dataset().passed
    assert curator.get_dataset_metadata()["version"] == 4


def test_racing_curators_of_one_version_make_it_once(tmp_path: Path) -> None:
    lay_marked(tmp_path, "v0")
    workers = [start("promote", tmp_path, "v0") for _ in range(3)]
    let_go(*workers)
    assert sorted(results(workers)) == ["skipped 1", "skipped 1", "success 1"]


def test_a_hundred_readers_see_one_whole_version_while_it_is_swapped(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        lay_marked(tmp_path, version)
    curator = GoldCurator(tmp_path)
    curator.promote_to_training("v1")
    plain = tmp_path / f"gold/training/{NAME}.parquet"
    failures: list[BaseException] = []
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        try:
            while True:
                is_last = done.is_set()
                metadata, frame = scan_training_set(tmp_path, NAME)
                rows = frame.collect()
                assert rows.height == metadata.signal_count
                seen.add(check_whole(rows, metadata.silver_version))
                check_whole(pl.read_parquet(plain))
                assert [line["name"] for line in curator.list_datasets()] == [NAME]
                if is_last:
                    return
        except BaseException as error:
            failures.append(error)
            raise

    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        for turn in range(SWAPS):
            curator.promote_to_training("v2", notes=str(turn))
            wait_until(lambda: "v2" in seen or bool(failures), "somebody reads the other version")
            curator.rollback(to=1)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert seen == {"v1", "v2"}
