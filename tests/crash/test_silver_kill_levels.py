"""kill -9 in a build of es_levels: in a date, its publication, the certificate, the checks, the documents.

After every kill: the version is listed, read and promoted as a whole or not at all, and a date with a record has its
files (see `silver_after_kill`). Then the next build completes, with the bytes of a build that nobody disturbed.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.crash.levels_child import MANIFEST
from tests.crash.silver_after_kill import check_next_build_completes, check_whole_or_absent
from tests.integration.silver.test_engine_build import sums
from tests.integration.silver.thin_market import MONDAY, TUESDAY, lay_thin_market

CHILD = Path(__file__).with_name("levels_child.py")
DAYS = (MONDAY, TUESDAY)
VERSION = MANIFEST.version
DOCUMENTS = ("validation.json", "manifest.yaml", "state.json")


@dataclass(frozen=True)
class Undisturbed:
    """A build that came to its end: what it changed, one file after the other, and when, in seconds; its bytes."""

    root: Path
    changes: tuple[tuple[float, str], ...]
    files: dict[str, str]

    def before(self, name: str) -> str:
        """The moment just before a file of that name is made for the last time."""
        return f"{max(number for number, (_, path) in enumerate(self.changes, 1) if path.endswith(name))},0"

    def after(self, number: int, share: float) -> str:
        """A moment between a change and the next one, by its share of that time."""
        (before, _), (after, _) = self.changes[number - 1 : number + 1]
        return f"{number},{max(1e-4, (after - before) * share)}"

    def within_certificate(self, share: float) -> str:
        """A moment in the longest time without a change: from the last date's record until all checks are done."""
        number = max(range(1, len(self.changes)), key=lambda n: self.changes[n][0] - self.changes[n - 1][0])
        assert self.changes[number - 1][1].startswith(f"features/{VERSION}/records/")
        assert self.changes[number][1].startswith("staging/")
        return self.after(number, share)


def run(*cases: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(CHILD), *cases], env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


@pytest.fixture(scope="module")
def bronze(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_thin_market(tmp_path_factory.mktemp("bronze"), DAYS).root


@pytest.fixture(scope="module")
def undisturbed(bronze: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    root = tmp_path_factory.mktemp("undisturbed") / "lake"
    shutil.copytree(bronze, root)
    lines = [line.split(maxsplit=1) for line in run(f"{root},0,0").splitlines()]
    return Undisturbed(root, tuple((float(when), path) for when, path in lines), sums(root, VERSION))


def die_and_build_again(bronze: Path, undisturbed: Undisturbed, moments: list[str], folder: Path) -> int:
    """How many builds left a version that cannot be read. Every other one rebuilds a whole version."""
    roots = []
    for number in range(len(moments)):
        roots.append(folder / str(number))
        shutil.copytree(undisturbed.root if number % 2 else bronze, roots[-1])
    run(*(f"{root},{moment}" for root, moment in zip(roots, moments, strict=True)))
    absent = 0
    for number, root in enumerate(roots):
        absent += not check_whole_or_absent(root, VERSION, undisturbed.files, was_complete=bool(number % 2))
        check_next_build_completes(root, MANIFEST, undisturbed.files)
    return absent


def test_a_build_killed_in_a_publication_or_the_certificate_is_no_version(
    bronze: Path, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    moments = [undisturbed.before(f"date={TUESDAY}/state.parquet"), undisturbed.within_certificate(0.5)]
    assert die_and_build_again(bronze, undisturbed, moments, tmp_path) == len(moments)


def test_twenty_moments_all_over_a_build(bronze: Path, undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Before changes of files, drawn at random; before each document; in the certificate and in pauses elsewhere."""
    dice = random.Random(20_250_602)
    moments = [f"{number},0" for number in dice.sample(range(1, len(undisturbed.changes)), 8)]
    moments += [undisturbed.before(f"features/{VERSION}/{name}") for name in DOCUMENTS]
    moments += [undisturbed.within_certificate(0.02 + 0.8 * dice.random()) for _ in range(6)]
    moments += [
        undisturbed.after(number, dice.random()) for number in dice.sample(range(1, len(undisturbed.changes)), 3)
    ]
    assert die_and_build_again(bronze, undisturbed, moments, tmp_path) > len(moments) * 2 / 3
