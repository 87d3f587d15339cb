"""kill -9 at random moments of promote and of the swap: never half a version, and the next run completes."""

from __future__ import annotations

import random
import time
from pathlib import Path

import polars as pl
import pytest
from tests.integration.gold.curators import NAME, check_whole, lay_marked
from tests.integration.gold.workers import let_go, start

from ticklake.catalog.training_sets import set_versions
from ticklake.gold.curator import GoldCurator
from ticklake.lake.parquet import read_footer

ROWS_PER_DATE = 20_000  # so that writing takes a good part of the promotion


def check_readable(root: Path) -> None:
    """Whatever is listed is whole."""
    curator = GoldCurator(root)
    for number in set_versions(root, NAME):
        metadata = curator.get_dataset_metadata(NAME, number)
        assert check_whole(curator.load_training_data(NAME, number)) == metadata["silver_version"]
        found = {gate.name: gate for gate in curator.validate_dataset(NAME, number).findings if not gate.passed}
        assert set(found) <= {"plain_file"}, found
    for line in curator.list_datasets():
        metadata = curator.get_dataset_metadata(line["name"])
        assert check_whole(curator.load_training_data(line["name"])) == metadata["silver_version"]
    plain = root / f"gold/training/{NAME}.parquet"
    if plain.exists():
        assert check_whole(pl.read_parquet(plain)) == read_footer(str(plain))["silver_version"]


def check_next_run_completes(root: Path, version: str) -> None:
    """The same promotion once more comes to its end, and nothing of the dead one is in the way."""
    curator = GoldCurator(root)
    assert curator.promote_to_training(version).passed
    assert curator.get_dataset_metadata()["silver_version"] == version
    assert curator.validate_dataset().passed
    assert [path for path in (root / f"gold/history/{NAME}").iterdir() if not path.name.startswith("v")] == []


def kill_promotions(root: Path, kills: int, seed: int) -> int:
    """Kill so many promotions at random moments; how many left a version that was not there before."""
    dice = random.Random(seed)
    for version in ("v0", "v1"):
        lay_marked(root, version, ROWS_PER_DATE)
    begin = time.monotonic()
    GoldCurator(root).promote_to_training("v0")
    whole_s = time.monotonic() - begin
    left = 0
    for kill in range(kills):
        version = f"v{(kill + 1) % 2}"
        before = set_versions(root, NAME)
        worker = start("promote", root, version)
        let_go(worker)
        time.sleep(dice.uniform(0, 1.2 * whole_s))
        worker.kill()
        worker.communicate()
        check_readable(root)
        left += set_versions(root, NAME) != before
        check_next_run_completes(root, version)
        if kill % 2:  # later promotions take these up again unless they are gone
            GoldCurator(root).promote_to_training(version, notes=f"turn {kill}")
    return left


def test_a_killed_promotion_leaves_no_half_version(tmp_path: Path) -> None:
    kill_promotions(tmp_path, kills=6, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 7))
def test_fifty_killed_promotions_leave_no_half_version(tmp_path: Path, seed: int) -> None:
    assert kill_promotions(tmp_path, kills=10, seed=seed) < 10


def test_a_killed_swap_leaves_one_of_the_two(tmp_path: Path) -> None:
    dice = random.Random(3)
    for version in ("v0", "v1"):
        lay_marked(tmp_path, version)
        GoldCurator(tmp_path).promote_to_training(version)
    for _ in range(4):
        worker = start("switch", tmp_path, 1, 2)
        let_go(worker)
        time.sleep(dice.uniform(0.05, 0.2))
        worker.kill()
        worker.communicate()
        check_readable(tmp_path)
    GoldCurator(tmp_path).rollback(to=1)
    assert GoldCurator(tmp_path).validate_dataset().passed
