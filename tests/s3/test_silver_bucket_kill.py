"""kill -9 in the middle of a build into a bucket: no half version is listed or readable, and the next one completes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.silver.toy import toy_lake
from tests.s3.silver_child import is_change, still
from tests.s3.silver_lake import copy_lake, small_manifest, sums

from ticklake.base.errors import NoDataError
from ticklake.files.object_path import ObjectPath
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.folder import VersionFolder
from ticklake.testing.s3_server import S3Server

REPOSITORY = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("silver_child.py")
DAYS = 2
FIRST, SECOND = 5, 7
SHORT, LONG = "three moments", "every moment of a second build"


def changes_until_whole(root: ObjectPath, reader: SilverFeatureBuilder) -> int:
    """How many changes a first build asks the store for, until its version may be read."""
    states: list[bool] = []

    def hear(operation: str, result: str, _seconds: float) -> None:
        if is_change(operation, result):
            states.append(bool(reader.list_versions()))

    root.store.observe = hear
    assert SilverFeatureBuilder(root).build_feature_set(small_manifest(FIRST)).status == "complete"
    return states.index(True)


@pytest.mark.parametrize("kills", [SHORT, pytest.param(LONG, marks=pytest.mark.nightly)])
def test_a_killed_build_is_no_version_and_the_next_one_completes(
    tmp_path: Path, bucket: ObjectPath, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, kills: str
) -> None:
    still(monkeypatch.setattr)
    expected = {}
    toy_lake(tmp_path / "lake", DAYS)
    copy_lake(tmp_path / "bronze", bucket / "whole", DAYS)
    for rows in (FIRST, SECOND):
        SilverFeatureBuilder(tmp_path / "lake").build_feature_set(small_manifest(rows))
        expected[rows] = sums(tmp_path / "lake")
    assert expected[FIRST] != expected[SECOND]
    last = changes_until_whole(
        ObjectPath(s3_server.place().store, (bucket / "whole").key), SilverFeatureBuilder(bucket / "whole")
    )
    cases = [(FIRST, last // 2), (FIRST, last), (SECOND, last // 2)]
    if kills == LONG:
        cases = [(SECOND, moment) for moment in range(1, last + 1)]
    roots = [bucket / str(number) for number in range(len(cases))]
    for root, (rows, _) in zip(roots, cases, strict=True):
        copy_lake(tmp_path / "bronze", root, DAYS)
        if rows == SECOND:
            SilverFeatureBuilder(root).build_feature_set(small_manifest(FIRST))
    build_and_die([f"{root},{rows},{moment}" for root, (rows, moment) in zip(roots, cases, strict=True)], s3_server)
    cut_short = 0
    for root, (rows, _) in zip(roots, cases, strict=True):
        builder = SilverFeatureBuilder(root)
        if builder.list_versions():
            assert rows == SECOND, "a first build was killed before its end"
            assert sums(root) == expected[FIRST]
            assert builder.load_features("v1").height == 80 * DAYS
        else:
            cut_short += 1
            with pytest.raises(NoDataError, match="v1"):
                builder.load_features("v1")
        result = builder.build_feature_set(small_manifest(rows))
        assert (result.status, result.errors) == ("complete", ())
        assert sums(root) == expected[rows]
        assert builder.load_features("v1").height == 80 * DAYS
        assert not list(VersionFolder(root, "v1").staging.glob("*"))
    assert cut_short >= len(cases) * 3 // 4


def build_and_die(cases: list[str], server: S3Server) -> None:
    path = f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'backend'}"
    environment = {**os.environ, **server.environment(), "PYTHONPATH": path}
    subprocess.run([sys.executable, str(CHILD), *cases], env=environment, check=True)
