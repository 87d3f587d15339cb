"""Feature versions of a lake in a bucket: the files of a local build, one builder, a whole version or none."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.silver.test_engine_cluster import cluster
from tests.integration.silver.toy import TARGET, day_text
from tests.s3.silver_lake import copy_lake, small_manifest, sums
from typer.testing import CliRunner

from ticklake.base.errors import CorruptError, NoDataError, RetryableError
from ticklake.cli.silver import app
from ticklake.files.atomic import replace, write_new
from ticklake.files.errors import ConflictError
from ticklake.files.object_answer import Answer, StoreUnavailableError
from ticklake.files.object_lock import held_object, locked_object
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import place_of
from ticklake.readers.silver import SilverReader
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.folder import VersionFolder
from ticklake.silver.report import write_report
from ticklake.silver.result import DateResult
from ticklake.testing.s3_server import S3Server

MANIFEST, OTHER = small_manifest(5), small_manifest(7)
DAYS = 2


@dataclass(frozen=True)
class Twins:
    """The same bronze twice."""

    local: Path
    bucket: ObjectPath

    @property
    def builders(self) -> tuple[SilverFeatureBuilder, SilverFeatureBuilder]:
        return SilverFeatureBuilder(self.local), SilverFeatureBuilder(self.bucket)


@pytest.fixture
def twins(tmp_path: Path, bucket: ObjectPath) -> Twins:
    copy_lake(tmp_path / "lake", bucket, DAYS)
    return Twins(tmp_path / "lake", bucket)


@pytest.fixture
def built(twins: Twins) -> ObjectPath:
    SilverFeatureBuilder(twins.bucket).build_feature_set(MANIFEST)
    return twins.bucket


def test_a_version_is_the_same_as_on_a_local_disk(twins: Twins) -> None:
    here, there = twins.builders
    for manifest in (MANIFEST, OTHER):  # the second replaces the files of the first
        for builder in twins.builders:
            made = builder.build_feature_set(manifest)
            assert (made.status, made.errors, made.dates_processed) == ("complete", (), DAYS)
        assert sums(twins.bucket) == sums(twins.local)
    assert there.build_feature_set(OTHER).dates_processed == 0
    assert there.build_feature_set(OTHER, force=True).dates_processed == DAYS
    assert sums(twins.bucket) == sums(twins.local)
    for dates in (None, day_text(1)):
        assert there.load_features("v1", dates).equals(here.load_features("v1", dates))
        assert SilverReader(twins.bucket).read("v1", dates).equals(here.load_features("v1", dates))
    with pytest.raises(NoDataError, match="2024-12-24"):
        there.load_features("v1", "2024-12-24")
    assert write_report(twins.bucket, "v1").read_bytes() == write_report(twins.local, "v1").read_bytes()
    assert not list(VersionFolder(twins.bucket, "v1").staging.iterdir())


def test_processes_of_a_pool_are_told_how_to_reach_the_bucket(
    tmp_path: Path, bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_lake(tmp_path / "lake", bucket, 1)
    monkeypatch.setenv("TICKLAKE_S3__ENDPOINT", "http://127.0.0.1:9")  # what their environment says leads nowhere
    made = SilverFeatureBuilder(bucket).build_feature_set(MANIFEST, workers=1)
    assert (made.status, made.errors) == ("complete", ())


def test_a_damaged_or_foreign_file_is_built_again(built: ObjectPath) -> None:
    before = sums(built)
    folder = VersionFolder(built, "v1")
    changed = folder.data_path(day_text(0), "signals.parquet")
    replace(changed, changed.read_bytes()[::-1])
    write_new(folder.data_path(day_text(1), "more.parquet"), b"foreign")
    with pytest.raises(CorruptError, match="is not the file that its record speaks of"):
        SilverReader(built).scan("v1")
    causes = {item.date: item.cause for item in SilverFeatureBuilder(built).build_feature_set(MANIFEST).dates}
    assert set(causes.values()) == {"files changed"}
    assert sums(built) == before


def test_dates_that_a_listing_does_not_show_are_missed(built: ObjectPath) -> None:
    (built / f"silver/features/v1/records/{day_text(0)}.json").unlink()
    with pytest.raises(RetryableError, match="1 of 2 dates of version v1 are seen"):
        SilverReader(built).read("v1")


def test_one_builder_at_a_time(built: ObjectPath) -> None:
    with locked_object(built / "silver/features/v1", renew_s=1000):  # its process is seen to live
        with pytest.raises(RetryableError, match=r"version v1 is being built by process \d+ on .+; wait for it"):
            SilverFeatureBuilder(built).build_feature_set(MANIFEST, force=True)
        SilverFeatureBuilder(built).load_features("v1")


def test_a_builder_of_another_machine_is_believed_while_it_lives(bucket: ObjectPath) -> None:
    place = bucket / "v1"
    replace(bucket / ".lock-v1/000000000007.json", json.dumps({"pid": 7, "host": "elsewhere", "token": "t"}).encode())
    with held_object(place, lease_s=0.1) as check:  # no sign of life
        check()
        with pytest.raises(RetryableError, match="in use by"), held_object(place):
            pass


def test_a_version_is_free_again_when_the_store_could_not_be_told(bucket: ObjectPath) -> None:
    def refuse(_operation: str, _result: str, _seconds: float) -> None:
        raise StoreUnavailableError("the store is gone", reason=Answer.UNKNOWN)

    with pytest.raises(StoreUnavailableError), held_object(bucket / "v1", renew_s=1000):
        bucket.store.observe = refuse
    bucket.store.observe = lambda *_: None
    with held_object(bucket / "v1") as check:
        check()


def test_a_builder_that_lost_the_version_changes_nothing_more(twins: Twins) -> None:
    """Another process takes over after the first date, as it does when this one stands still for a lease."""
    folder = twins.bucket / "silver/features/v1"

    def take_over(_item: DateResult, _done: int, _total: int) -> None:
        write_new(folder.parent / ".lock-v1/000000000099.json", b'{"pid": 1, "host": "elsewhere"}')
        took.append(sums(twins.bucket))

    took: list[dict[str, str]] = []
    with pytest.raises(ConflictError, match="took the lock over"):
        SilverFeatureBuilder(twins.bucket).build_feature_set(MANIFEST, progress=take_over)
    assert sums(twins.bucket) == took[0]
    assert len(took) == 1
    assert SilverFeatureBuilder(twins.bucket).get_state("v1").state == "building"


def test_a_store_that_fails_for_a_moment_ends_the_build_and_no_date(twins: Twins, s3_server: S3Server) -> None:
    root = place_of(str(twins.bucket), access=s3_server.access)
    assert isinstance(root, ObjectPath)
    failed: list[str] = []

    def fail_once(operation: str, _result: str, _seconds: float) -> None:
        if operation == "list" and not failed and any(VersionFolder(root, "v1").staging.glob("*")):  # a date is built
            failed.append(operation)
            raise StoreUnavailableError("the store is gone", reason=Answer.UNKNOWN)

    root.store.observe = fail_once
    with pytest.raises(StoreUnavailableError) as caught:
        SilverFeatureBuilder(root).build_feature_set(MANIFEST)
    assert failed
    assert pickle.loads(pickle.dumps(caught.value)).reason is Answer.UNKNOWN  # it may come from another process
    assert SilverFeatureBuilder(root).get_records("v1") == []
    assert SilverFeatureBuilder(root).build_feature_set(MANIFEST).status == "complete"


@pytest.mark.nightly
def test_a_cluster_writes_the_same_version(
    twins: Twins, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    here, there = twins.builders
    here.build_feature_set(MANIFEST)
    with cluster(tmp_path) as (address, _):
        assert there.build_feature_set(MANIFEST, scheduler=address).errors == ()
    assert sums(twins.bucket) == sums(twins.local)


def test_commands_and_experiments(
    twins: Twins, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--data", str(twins.bucket)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert not re.search("lake-key|lake-secret", result.output)
        return result.output

    (tmp_path / "m.yaml").write_text(f"version: v1\npipeline: {TARGET}\ncertificate: {{cuts: 1}}\n")
    assert f"{DAYS} of {DAYS} dates built" in run("build", str(tmp_path / "m.yaml"))
    assert f"0 of {DAYS} dates built" in run("build", "v1")
    assert [(row["version"], row["state"]) for row in json.loads(run("ls", "--output", "json"))] == [("v1", "complete")]
    assert json.loads(run("compare", "v1", "v1", "--output", "json"))["counts"]["added"] == 0
    frames = ("--checkpoint", str(twins.bucket / "frames"))
    run("inspect", "v1", day_text(0), "--stop-at", "events", *frames)
    assert "later_price" in run("inspect", "v1", day_text(0), "--resume-after", "events", *frames, "--output", "json")
    builder = SilverFeatureBuilder(twins.bucket)
    builder.register_experiment("v1", "e1", metrics={"auc": 0.6})
    builder.register_experiment("v1", "e1", metrics={"auc": 0.7})
    assert [(found.id, found.metrics) for found in builder.experiments.all()] == [("e1", {"auc": 0.7})]
