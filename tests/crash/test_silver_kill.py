"""kill -9 at random moments of a build: no half version is listed or readable, and the next build completes it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.integration.silver.test_engine_build import sums
from tests.integration.silver.toy import toy_lake, toy_manifest

from ticklake.base.errors import NoDataError
from ticklake.catalog.runs import RunRegistry
from ticklake.files.atomic import TEMP_PREFIX
from ticklake.gold.curator import GoldCurator
from ticklake.gold.promotion import PromotionStatus
from ticklake.silver.builder import SilverFeatureBuilder

REPOSITORY = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("silver_child.py")
DAYS = 4
KILLS = 50


def start(root: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(root), *options],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
    )


def ready(child: subprocess.Popen[bytes]) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"


def finish(child: subprocess.Popen[bytes]) -> bytes:
    """Wait for its end; what it still said."""
    said, _ = child.communicate(timeout=120)
    return said


def how_long(root: Path, *options: str) -> float:
    """Seconds of one build, so that kills fall all over it."""
    child = start(root, *options)
    ready(child)
    began_s = time.monotonic()
    assert finish(child) == b"complete\n"
    return time.monotonic() - began_s


def check_whole_or_absent(root: Path, expected: dict[str, str], *, was_complete: bool) -> bool:
    """Whether the version is readable; and if it is, that it is whole."""
    builder = SilverFeatureBuilder(root)
    if builder.list_versions() == ["v1"]:
        assert builder.load_features("v1").height == 80 * DAYS
        found = sums(root)
        whole = {path: digest for path, digest in found.items() if not Path(path).name.startswith(TEMP_PREFIX)}
        assert whole == expected  # a document that was being written is left under a name that nobody reads
        return True
    assert builder.list_versions() == []
    with pytest.raises(NoDataError, match="v1"):
        builder.load_features("v1")
    if not was_complete:
        assert not (root / "silver/features/v1/manifest.yaml").exists() or builder.get_state("v1").state == "building"
    check_cannot_be_promoted(root)
    return False


def check_cannot_be_promoted(root: Path) -> None:
    """A half version is refused, whatever force; there is no training set of it."""
    try:
        done = GoldCurator(root).promote_to_training("v1", force=True)
    except NoDataError:
        pass  # it was killed so early that nobody knows the version
    else:
        assert done.status is PromotionStatus.REFUSED
        assert [gate.name for gate in done.gates if not gate.passed] == ["complete"], done.reason
    assert not (root / "gold").exists()


@pytest.mark.timeout(900)
def test_a_killed_build_is_no_version_and_the_next_one_completes(tmp_path: Path) -> None:
    dice = random.Random(20_241_216)
    toy_lake(tmp_path / "reference", DAYS)
    whole_s = how_long(tmp_path / "reference")
    expected = sums(tmp_path / "reference")
    cut_short, number = 0, 0
    while number < KILLS or cut_short < KILLS // 3:
        assert number < 4 * KILLS, "the kills come when the build is over"
        root = tmp_path / str(number)
        toy_lake(root, DAYS)
        rebuilt = number % 2 == 1
        if rebuilt:
            assert SilverFeatureBuilder(root).build_feature_set(toy_manifest()).status == "complete"
        child = start(root, *(["force"] if rebuilt else []))
        ready(child)
        time.sleep(dice.random() * whole_s)
        child.send_signal(signal.SIGKILL)
        was_over = finish(child) == b"complete\n"
        cut_short += not check_whole_or_absent(root, expected, was_complete=rebuilt)
        number += 1
        if was_over and cut_short <= number // 3:
            whole_s *= 0.7  # the machine was slower when we took the time of the reference
        result = SilverFeatureBuilder(root).build_feature_set(toy_manifest())
        assert (result.status, result.errors) == ("complete", ())
        assert check_whole_or_absent(root, expected, was_complete=True)
        assert not list((root / "silver/staging/v1").iterdir())
        states = {run.status.value for run in RunRegistry(root).find_runs(kind="silver_build")}
        assert states <= {"finished", "crashed"}
