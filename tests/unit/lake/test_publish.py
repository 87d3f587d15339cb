"""The commit, step by step: whole files or none, never twice, never over somebody else's."""

from __future__ import annotations

import dataclasses
import random
import shutil
from pathlib import Path

import google_crc32c
import pytest
from msgspec.structs import replace

from ticklake.base.errors import CorruptError, DiskError, OutOfRoomError
from ticklake.files.local import LocalFiles
from ticklake.lake.batch import EncodedFile, EncodedSegment
from ticklake.lake.landing import LocalLanding
from ticklake.lake.ledger import LedgerEntry, read_ledger
from ticklake.lake.publish import Publisher
from ticklake.testing.disk import CrashDisk, Faults

DATA, STAGING = "/disk/data", "/disk/staging"
FOLDERS = ("bronze/a/hour=01", "bronze/a/hour=02", "quarantine/table=a/date=2024-12-16")
ENTRY = LedgerEntry(
    writer="w",
    lane="l",
    stream="L",
    segment=7,
    incarnation=1,
    first_seq=1,
    last_seq=3,
    received=3,
    stored=2,
    quarantined=1,
    duplicates=0,
    missing=(),
    rows={},
    quarantined_rows={},
    reasons={},
    files=(),
    committed_ns=5,
)


def _encoded(content: bytes = b"PAR1 content PAR1") -> EncodedSegment:
    files = tuple(EncodedFile("a", folder, "part-000000-w-00000007.parquet", content, 1, 0, 0) for folder in FOLDERS)
    return EncodedSegment(files, 3, 2, 1, {"a": 2}, {"a": 1}, {"not_json": 1})


@pytest.fixture
def disk() -> CrashDisk:
    disk = CrashDisk()
    disk.make_folder(DATA)
    disk.make_folder(STAGING)
    return disk


def _publisher(disk: CrashDisk) -> Publisher:
    return Publisher(disk, landing=LocalLanding(disk, DATA, writer="w"), staging_root=STAGING, writer="w")


def test_a_commit_brings_every_file_and_its_entry(disk: CrashDisk) -> None:
    publisher = _publisher(disk)
    intent = publisher.decide(_encoded(), ENTRY, reached={"position": [1, 3, 0, 0]})
    assert not disk.exists(f"{DATA}/bronze"), "a decision publishes nothing yet"
    entry = publisher.finish(intent)
    assert publisher.finish(intent) == entry, "done twice is done"
    assert replace(entry, files=()) == ENTRY
    assert [file.path.rpartition("/")[0] for file in entry.files] == list(FOLDERS)
    for file in entry.files:
        assert disk.read(f"{DATA}/{file.path}") == b"PAR1 content PAR1"
        assert (file.bytes, file.crc32c) == (17, f"{google_crc32c.value(b'PAR1 content PAR1'):08x}")
    assert read_ledger(disk, DATA) == [entry]
    assert publisher.staged_segments() == [7]
    publisher.clean(7)
    publisher.clean(7)
    assert publisher.staged_segments() == []
    durable = next(iter(disk.images(random.Random(1), 1)))
    assert len([path for path in durable.tree() if path.startswith(DATA)]) == 4


def test_a_decision_is_found_by_the_next_process_and_carries_the_position(disk: CrashDisk) -> None:
    _publisher(disk).decide(_encoded(), ENTRY, reached={"position": [1, 3, 9, 4]})
    later = _publisher(disk.restart())
    intent = later.find_intent(7)
    assert intent is not None
    assert intent.reached == {"position": [1, 3, 9, 4]}
    assert later.find_intent(8) is None
    later.finish(intent)


def test_another_file_under_our_name_stops_the_commit(disk: CrashDisk) -> None:
    publisher = _publisher(disk)
    intent = publisher.decide(_encoded(), ENTRY, reached={})
    disk.make_folder(f"{DATA}/{FOLDERS[1]}")
    file = disk.create(f"{DATA}/{FOLDERS[1]}/part-000000-w-00000007.parquet")
    file.write([b"PAR1 c0ntent PAR1"])
    with pytest.raises(CorruptError, match="two writers share an identity"):
        publisher.finish(intent)
    assert read_ledger(disk, DATA) == []
    assert disk.read(f"{DATA}/{FOLDERS[1]}/part-000000-w-00000007.parquet") == b"PAR1 c0ntent PAR1"


def test_a_staged_file_that_is_gone_stops_the_commit(disk: CrashDisk) -> None:
    publisher = _publisher(disk)
    intent = publisher.decide(_encoded(), ENTRY, reached={})
    disk.unlink(f"{STAGING}/000000000007/0001.parquet")
    with pytest.raises(CorruptError, match=r"0001\.parquet: named by INTENT, yet gone"):
        publisher.finish(intent)


def test_what_was_staged_is_dropped_when_the_disk_is_full(disk: CrashDisk) -> None:
    publisher = _publisher(disk)
    for write in range(1, 6):
        disk.faults = Faults(no_room_from=disk.writes + write)
        with pytest.raises(OutOfRoomError):
            publisher.decide(_encoded(), ENTRY, reached={})
        assert publisher.staged_segments() == []
    disk.faults = Faults()
    publisher.finish(publisher.decide(_encoded(), ENTRY, reached={}))
    assert len(read_ledger(disk, DATA)) == 1


@pytest.mark.parametrize("write", range(1, 6))
def test_a_write_that_was_only_half_done_is_noticed(disk: CrashDisk, write: int) -> None:
    disk.faults = Faults(lies_at=disk.writes + write)
    with pytest.raises(DiskError, match="does not give back"):
        _publisher(disk).decide(_encoded(), ENTRY, reached={})


def test_rubbish_of_an_earlier_try_is_replaced(disk: CrashDisk) -> None:
    disk.make_folder(f"{STAGING}/000000000007")
    for name in ("0000.parquet", "INTENT", "LEDGER"):
        file = disk.create(f"{STAGING}/000000000007/{name}")
        file.write([b"torn"])
    publisher = _publisher(disk)
    assert publisher.find_intent(7) is None
    entry = publisher.finish(publisher.decide(_encoded(), ENTRY, reached={}))
    assert len(entry.files) == 3


def _real_publisher(root: Path, files: LocalFiles) -> Publisher:
    for folder in ("data", "staging"):
        files.make_folder(f"{root}/{folder}")
    landing = LocalLanding(files, f"{root}/data", writer="w")
    return Publisher(files, landing=landing, staging_root=f"{root}/staging", writer="w")


def _commit(publisher: Publisher, segment: int) -> None:
    entry = replace(ENTRY, segment=segment)
    files = tuple(dataclasses.replace(file, name=f"part-{segment}.parquet") for file in _encoded().files)
    publisher.finish(publisher.decide(dataclasses.replace(_encoded(), files=files), entry, reached={}))


def test_a_partition_removed_by_hand_is_made_anew_by_the_next_commit(tmp_path: Path) -> None:
    publisher = _real_publisher(tmp_path, LocalFiles())
    _commit(publisher, 7)
    shutil.rmtree(tmp_path / "data" / "bronze")
    _commit(publisher, 8)
    assert [path.name for path in (tmp_path / "data").rglob("bronze/**/*.parquet")] == ["part-8.parquet"] * 2


def test_a_partition_removed_in_the_middle_of_a_commit_is_no_damage(tmp_path: Path) -> None:
    class Tidied(LocalFiles):
        """Somebody removes empty folders at the worst moment, once."""

        left = 1

        def link(self, source: str, target: str) -> None:
            if self.left:
                self.left -= 1
                Path(target).parent.rmdir()
            super().link(source, target)

    _commit(_real_publisher(tmp_path, Tidied()), 7)
    assert len(list((tmp_path / "data").rglob("*.parquet"))) == 3


def test_a_staged_file_that_is_gone_is_still_named_as_such(tmp_path: Path) -> None:
    publisher = _real_publisher(tmp_path, LocalFiles())
    intent = publisher.decide(_encoded(), ENTRY, reached={})
    for path in (tmp_path / "staging").rglob("*.parquet"):
        path.unlink()
    with pytest.raises(CorruptError, match="yet gone"):
        publisher.finish(intent)
