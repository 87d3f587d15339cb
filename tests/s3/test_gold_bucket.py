"""Training sets in a bucket: promoted whole or not at all, one winner per number, half versions never seen."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from tests.e2e.harness import wait_until
from tests.integration.gold.curators import NAME, check_whole, lay_marked, seal
from tests.integration.gold.workers import let_go, results, start
from tests.s3.laid import let_reach, upload

from ticklake.base.errors import NoDataError
from ticklake.catalog import training_removed
from ticklake.catalog.retention import Retention
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.catalog.training_sets import set_versions
from ticklake.files.atomic import replace, write_new
from ticklake.files.object_path import ObjectPath
from ticklake.gold import publish
from ticklake.gold.curator import GoldCurator
from ticklake.gold.promotion import PromotionStatus
from ticklake.gold.publish import make_current
from ticklake.lake.parquet import read_footer
from ticklake.readers.training import scan_training_set
from ticklake.testing.s3_server import S3Server

HISTORY = f"gold/history/{NAME}"


@pytest.fixture(autouse=True)
def _reached(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    let_reach(s3_server, monkeypatch, tmp_path)


@pytest.fixture
def lake(bucket: ObjectPath, tmp_path: Path) -> ObjectPath:
    """Four feature versions whose rows say to which they belong."""
    for number in range(4):
        lay_marked(tmp_path / "laid", f"v{number}")
    upload(tmp_path / "laid", bucket)
    return bucket


def check_readable(root: ObjectPath) -> None:
    """Whatever is listed is whole, and so is what the plain name holds."""
    curator = GoldCurator(root)
    for number in set_versions(root, NAME):
        metadata = curator.get_dataset_metadata(NAME, number)
        assert check_whole(curator.load_training_data(NAME, number)) == metadata["silver_version"]
        failed = {gate.name for gate in curator.validate_dataset(NAME, number).findings if not gate.passed}
        assert failed <= {"plain_file"}
    for line in curator.list_datasets():
        metadata = curator.get_dataset_metadata(line["name"])
        assert check_whole(curator.load_training_data(line["name"])) == metadata["silver_version"]


def test_promote_skip_roll_back_and_validate(lake: ObjectPath) -> None:
    curator = GoldCurator(lake)
    assert curator.promote_to_training("v1", notes="first").version == 1
    assert curator.promote_to_training("v1", notes="first").status is PromotionStatus.SKIPPED
    assert curator.promote_to_training("v2").version == 2
    assert sorted(path.name for path in (lake / HISTORY / "v000002").iterdir()) == [
        "data.parquet", "metadata.json", "sources.json",
    ]  # fmt: skip
    plain = lake / f"gold/training/{NAME}.parquet"
    assert plain.read_bytes() == (lake / HISTORY / "v000002/data.parquet").read_bytes()
    assert curator.rollback().version == 1
    assert read_footer(plain)["dataset_version"] == "1"
    assert check_whole(curator.load_training_data(roles=["key", "info"])) == "v1"
    assert [line["is_current"] for line in curator.list_versions()] == [True, False]
    assert curator.validate_dataset().passed
    replace(lake / HISTORY / "v000001/data.parquet", b"PAR1 others PAR1")
    assert not curator.validate_dataset().passed
    with pytest.raises(NoDataError, match="v000001, v000002"):
        curator.get_dataset_metadata(version=3)


def test_the_bytes_are_those_of_a_local_lake(lake: ObjectPath, tmp_path: Path) -> None:
    GoldCurator(tmp_path / "laid").promote_to_training("v3")
    GoldCurator(lake).promote_to_training("v3")
    for name in ("data.parquet", "sources.json"):
        assert (lake / HISTORY / "v000001" / name).read_bytes() == (
            tmp_path / "laid" / HISTORY / "v000001" / name
        ).read_bytes()


def test_of_racing_curators_exactly_one_wins_a_number(bucket: ObjectPath) -> None:
    """Without the lock, as if each had lost it."""
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda mark: seal(str(bucket), str(mark)), range(4)))
    assert sorted(said) == ["lost", "lost", "lost", "won"]
    assert said[int((bucket / HISTORY / "v000007/metadata.json").read_text())] == "won"


def test_racing_curators_each_get_a_whole_version_of_their_own(lake: ObjectPath) -> None:
    workers = [start("promote", lake, f"v{number}") for number in range(2)]
    let_go(*workers)
    assert sorted(results(workers)) == ["success 1", "success 2"]
    check_readable(lake)
    assert GoldCurator(lake).validate_dataset().passed


def test_twenty_readers_see_one_whole_version_while_it_is_swapped(lake: ObjectPath) -> None:
    curator = GoldCurator(lake)
    for version in ("v1", "v2"):
        curator.promote_to_training(version)
    failures: list[BaseException] = []
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        try:
            while True:
                is_last = done.is_set()
                metadata, frame = scan_training_set(lake, NAME)
                rows = frame.collect()
                assert rows.height == metadata.signal_count
                seen.add(check_whole(rows, metadata.silver_version))
                check_whole(pl.read_parquet((lake / f"gold/training/{NAME}.parquet").read_bytes()))
                if is_last:
                    return
        except BaseException as error:
            failures.append(error)
            raise

    readers = [threading.Thread(target=read) for _ in range(20)]
    for reader in readers:
        reader.start()
    try:
        wait_until(lambda: "v2" in seen or bool(failures), "somebody reads the version that is current")
        for number in (1, 2, 1):
            make_current(lake, NAME, number)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert seen == {"v1", "v2"}


@pytest.mark.parametrize("stored", [["data.parquet"], ["data.parquet", "sources.json"]])
def test_a_half_version_is_no_version_and_its_number_is_never_given_again(
    lake: ObjectPath, stored: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    curator = GoldCurator(lake)
    curator.promote_to_training("v0")
    for name in stored:
        replace(lake / HISTORY / "v000002" / name, (lake / HISTORY / "v000001" / name).read_bytes())
    assert set_versions(lake, NAME) == [1]
    assert curator.promote_to_training("v1").version == 3
    assert (lake / HISTORY / "v000002/data.parquet").exists()  # its curator may only be slow
    monkeypatch.setattr(training_removed, "_UNFINISHED_KEPT_NS", -10_000_000_000)  # a day later
    assert curator.promote_to_training("v2").version == 4
    assert not (lake / HISTORY / "v000002").is_dir()
    replace(lake / HISTORY / "v000002/metadata.json", (lake / HISTORY / "v000001/metadata.json").read_bytes())
    assert set_versions(lake, NAME) == [1, 3, 4]  # the slow one comes too late
    with pytest.raises(NoDataError, match="never came to its end"):
        curator.get_dataset_metadata(version=2)
    check_readable(lake)


@pytest.mark.parametrize("stored", [0, 1, 2])
def test_a_promotion_cut_off_between_two_objects_left_nothing(
    lake: ObjectPath, stored: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    curator, seen = GoldCurator(lake), 0

    def cut_off(path: ObjectPath, content: bytes) -> None:
        nonlocal seen
        if seen == stored:
            raise KeyboardInterrupt
        seen += 1
        write_new(path, content)

    curator.promote_to_training("v0")
    with monkeypatch.context() as patch:
        patch.setattr(publish, "write_new", cut_off)
        with pytest.raises(KeyboardInterrupt):
            curator.promote_to_training("v1")
    assert len(list((lake / HISTORY).rglob("*.*"))) == 3 + stored
    assert set_versions(lake, NAME) == [1]
    check_readable(lake)
    assert curator.promote_to_training("v1").version == (2 if stored == 0 else 3)


@pytest.mark.parametrize("kills", [2, pytest.param(25, marks=pytest.mark.nightly)])
def test_a_killed_promotion_leaves_no_half_version(lake: ObjectPath, kills: int) -> None:
    dice = random.Random(7)
    begin = time.monotonic()
    GoldCurator(lake).promote_to_training("v0")
    whole_s = time.monotonic() - begin
    for kill in range(kills):
        version = f"v{1 + kill % 3}"
        worker = start("promote", lake, version)
        let_go(worker)
        time.sleep(dice.uniform(0, 2.0 * whole_s))
        worker.kill()
        worker.communicate()
        check_readable(lake)
        assert GoldCurator(lake).promote_to_training(version).passed
        assert GoldCurator(lake).validate_dataset().passed
        GoldCurator(lake).promote_to_training(version, notes=f"turn {kill}")
    assert len(set_versions(lake, NAME)) > kills


def test_a_removed_version_goes_whole_and_what_a_crash_left_goes_later(lake: ObjectPath) -> None:
    curator = GoldCurator(lake)
    for number in (0, 1, 2):
        curator.promote_to_training(f"v{number}")
    policy = RetentionPolicy("training_sets", max_count=2)
    report = Retention(lake).purge([policy], dry_run=False)
    assert report.deleted == [f"{HISTORY}/v000001"]
    assert set_versions(lake, NAME) == [2, 3]
    assert not (lake / HISTORY / "v000001").is_dir()
    replace(lake / HISTORY / "v000001/data.parquet", b"left by a crash")
    Retention(lake).purge([policy], dry_run=False)
    assert not (lake / HISTORY / "v000001").is_dir()
    assert curator.promote_to_training("v3").version == 4
