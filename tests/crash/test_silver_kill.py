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
from tests.crash.silver_after_kill import check_next_build_completes, check_whole_or_absent
from tests.integration.silver.test_engine_build import sums
from tests.integration.silver.toy import toy_lake, toy_manifest

from ticklake.silver.builder import SilverFeatureBuilder

CHILD = Path(__file__).with_name("silver_child.py")
DAYS = 4
KILLS = 30  # and twenty of es_levels


def start(root: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(root), *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
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
        cut_short += not check_whole_or_absent(root, "v1", expected, was_complete=rebuilt)
        number += 1
        if was_over and cut_short <= number // 3:
            whole_s *= 0.7  # the machine was slower when we took the time of the reference
        check_next_build_completes(root, toy_manifest(), expected)
        assert SilverFeatureBuilder(root).load_features("v1").height == 80 * DAYS
