"""What retires a file from the lake: durable before the file goes, finished after any crash."""

from __future__ import annotations

import random

import pytest

from ticklake.base.errors import CorruptError
from ticklake.lake.retired import (
    RETIRED_FOLDER,
    RetiredFile,
    Retirement,
    decide_retirement,
    decode_retirement,
    encode_retirement,
    finish_retirement,
    read_retirements,
)
from ticklake.testing.disk import CrashDisk, Faults, PowerCut

ROOT = "/disk/data"
FOLDERS = ("bronze/t/symbol=A/date=2024-12-16/hour=14", "bronze/t/symbol=B/date=2024-12-16/hour=14")
GOING = [RetiredFile(f"{folder}/part-{name}.parquet", "t", 1, 4, "aa", "older_than_max_age") for folder in FOLDERS
         for name in "xy"]  # fmt: skip
STAYING = f"{FOLDERS[0]}/part-z.parquet"


def lake(faults: Faults | None = None) -> CrashDisk:
    """A disk with five durable files."""
    disk = CrashDisk()
    for path in (*(file.path for file in GOING), STAYING):
        folder = f"{ROOT}/{path.rpartition('/')[0]}"
        disk.make_folder(folder)
        file = disk.create(f"{ROOT}/{path}")
        file.write([b"rows"])
        file.sync()
        disk.sync_folder(folder)
    disk.operations = 0
    disk.faults = faults or Faults()
    return disk


def retire(disk: CrashDisk) -> None:
    finish_retirement(disk, ROOT, decide_retirement(disk, ROOT, GOING, decided_ns=7))


def go_on(disk: CrashDisk) -> None:
    """What every next run begins with."""
    for retirement in read_retirements(disk, ROOT):
        if not retirement.is_finished:
            finish_retirement(disk, ROOT, retirement)


def check(disk: CrashDisk) -> None:
    """Whatever is gone is in a decision; what was not decided is there."""
    decisions = read_retirements(disk, ROOT)
    named = {file.path for decision in decisions for file in decision.files}
    gone = {file.path for file in GOING if not disk.exists(f"{ROOT}/{file.path}")}
    assert gone <= named
    assert disk.read(f"{ROOT}/{STAYING}") == b"rows"
    if any(decision.is_finished for decision in decisions):
        assert gone == {file.path for file in GOING}


def test_a_document_comes_back() -> None:
    retirement = Retirement(3, 5, tuple(GOING))
    assert decode_retirement(encode_retirement(retirement), path="x") == retirement


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"format":"ticklake.retired/2","number":1}', b"\xff"])
def test_what_is_no_document_is_named(content: bytes) -> None:
    with pytest.raises(CorruptError, match=r"there\.json"):
        decode_retirement(content, path="there.json")


def test_decided_files_go_and_others_stay() -> None:
    disk = lake()
    retire(disk)
    check(disk)
    (found,) = read_retirements(disk, ROOT)
    assert (found.number, found.is_finished, found.files) == (1, True, tuple(GOING))
    before = disk.tree()
    finish_retirement(disk, ROOT, found)
    assert disk.tree() == before


def test_another_file_under_the_name_stays_and_the_decision_is_not_finished() -> None:
    disk = lake()
    decision = decide_retirement(disk, ROOT, GOING, decided_ns=7)
    disk.unlink(f"{ROOT}/{GOING[0].path}")
    file = disk.create(f"{ROOT}/{GOING[0].path}")
    file.write([b"something else"])
    assert list(finish_retirement(disk, ROOT, decision)) == [GOING[0].path]
    assert not read_retirements(disk, ROOT)[0].is_finished


def test_a_renamed_decision_is_named() -> None:
    disk = lake()
    retire(disk)
    folder = f"{ROOT}/{RETIRED_FOLDER}"
    disk.link(f"{folder}/000000000001.json", f"{folder}/000000000009.json")
    with pytest.raises(CorruptError, match="000000000009"):
        read_retirements(disk, ROOT)


def test_no_file_goes_without_its_decision_in_any_crash_image() -> None:
    rng = random.Random(1)
    whole = lake()
    retire(whole)
    images = 0
    for crash_at in range(1, whole.operations + 1):
        disk = lake(Faults(crash_at=crash_at))
        with pytest.raises(PowerCut):
            retire(disk)
        for image in (disk.restart(), *disk.images(rng, 40)):
            images += 1
            check(image)
            again = image.copy()
            again.operations = 0
            go_on(image)
            check(image)
            for second in range(1, 30, 3):
                images += check_second_crash(again.copy(), second, rng)
    assert images > 500


def check_second_crash(disk: CrashDisk, crash_at: int, rng: random.Random) -> int:
    """A crash while the next run goes on; how many images were looked at."""
    disk.faults = Faults(crash_at=disk.operations + crash_at)
    try:
        go_on(disk)
    except PowerCut:
        images = [disk.restart(), *disk.images(rng, 4)]
        for image in images:
            check(image)
        return len(images)
    return 0
