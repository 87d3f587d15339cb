"""The file under the plain name: a copy of its own, healed by promotion and rollback, never in the way of either."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import polars as pl
import pytest
from tests.unit.gold.small_version import MONDAY, lay_version, rows_of

from ticklake.base.errors import CorruptError, NoDataError
from ticklake.catalog.runs import RunRegistry
from ticklake.gold.curator import GoldCurator
from ticklake.gold.gates import GateLimits
from ticklake.gold.promotion import PromotionStatus

NAME = "signals_production"
PLAIN = f"gold/training/{NAME}.parquet"


def history(number: int) -> str:
    return f"gold/history/{NAME}/v{number:06d}/data.parquet"


@pytest.fixture
def curator(tmp_path: Path) -> GoldCurator:
    curator = GoldCurator(tmp_path, limits=GateLimits(rows_min=60))
    for number in (1, 2):
        lay_version(tmp_path, f"v{number}", {MONDAY: rows_of(MONDAY, 120, shift=number)})
        curator.promote_to_training(f"v{number}", dates=MONDAY)
    return curator


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("damage", [flip_a_byte, cut, Path.unlink])
@pytest.mark.parametrize("heal", ["rollback", "promote", "back and forth"])
def test_a_damaged_plain_file_is_healed(tmp_path: Path, curator: GoldCurator, damage: object, heal: str) -> None:
    assert callable(damage)
    damage(tmp_path / PLAIN)
    assert not curator.validate_dataset().passed
    if heal == "rollback":
        assert curator.rollback(to=2).version == 2
    elif heal == "promote":
        assert curator.promote_to_training("v2", dates=MONDAY).status is PromotionStatus.SKIPPED
    else:
        assert [curator.rollback().version, curator.rollback(to=2).version] == [1, 2]
    found = curator.validate_dataset()
    assert found.passed, found.findings
    assert (tmp_path / PLAIN).read_bytes() == (tmp_path / history(2)).read_bytes()
    assert [path.name for path in (tmp_path / "gold/training").iterdir() if path.name.startswith(".")] == []


def test_whoever_writes_to_the_plain_file_does_not_write_to_the_history(tmp_path: Path, curator: GoldCurator) -> None:
    before = (tmp_path / history(2)).read_bytes()
    pl.DataFrame({"mine": [1]}).write_parquet(tmp_path / PLAIN)
    assert (tmp_path / history(2)).read_bytes() == before
    assert curator.validate_dataset(version=1).passed
    curator.rollback(to=2)
    assert curator.validate_dataset().passed


def test_a_plain_file_that_shares_its_bytes_with_the_history_gets_its_own(tmp_path: Path, curator: GoldCurator) -> None:
    plain = tmp_path / PLAIN
    plain.unlink()
    plain.hardlink_to(tmp_path / history(2))  # as lakes were laid before
    assert curator.promote_to_training("v2", dates=MONDAY).status is PromotionStatus.SKIPPED
    assert not plain.samefile(tmp_path / history(2))
    assert curator.validate_dataset().passed


def test_files_of_the_history_are_for_reading(tmp_path: Path, curator: GoldCurator) -> None:
    for path in (tmp_path / history(1)).parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o440, path
    curator.rollback()
    assert stat.S_IMODE((tmp_path / PLAIN).stat().st_mode) == 0o640


@pytest.mark.parametrize("damage", [flip_a_byte, cut, Path.unlink])
def test_a_version_that_lost_its_rows_is_refused_before_anything_changes(
    tmp_path: Path, curator: GoldCurator, damage: object
) -> None:
    assert callable(damage)
    (tmp_path / history(1)).chmod(0o640)
    damage(tmp_path / history(1))
    before = {path.name: path.read_bytes() for path in (tmp_path / "gold/training").iterdir()}
    with pytest.raises(CorruptError, match=r"v000001/data\.parquet .*; restore it from a copy, roll back to another"):
        curator.rollback()
    assert {path.name: path.read_bytes() for path in (tmp_path / "gold/training").iterdir()} == before
    assert curator.validate_dataset().passed


def test_the_copy_works_where_the_kernel_cannot_copy_by_itself(
    tmp_path: Path, curator: GoldCurator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    curator.rollback()
    assert curator.validate_dataset().passed


def test_a_typo_leaves_no_run_and_no_lock(tmp_path: Path, curator: GoldCurator) -> None:
    nowhere, runs = tmp_path / "nowhere", len(RunRegistry(tmp_path).find_runs())
    for to in (None, 1):
        with pytest.raises(NoDataError, match="training set 'x'"):
            GoldCurator(nowhere).rollback("x", to=to)
        with pytest.raises(NoDataError, match="training set 'x'"):
            curator.rollback("x", to=to)
    with pytest.raises(NoDataError, match="no version v000009"):
        curator.rollback(to=9)
    assert not nowhere.exists()
    assert not list((tmp_path / "gold/history").glob("*x*"))
    assert len(RunRegistry(tmp_path).find_runs()) == runs
