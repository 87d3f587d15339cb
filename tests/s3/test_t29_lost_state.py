"""T29: the whole state folder is deleted under load; `ticklake recover`, start, and the lake equals the stream."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.crash.harness_faults import STREAM, Load, Market, healthy, hold_ballast, stored_sequences
from tests.e2e.harness import Service, run_ticklake
from tests.s3.harness import bucket_service, check_bucket, check_puts, data_objects, finish, read_books

from ticklake.files.object_path import ObjectPath
from ticklake.readers.verify import verify_lake
from ticklake.testing.fault_proxy import Fault, FaultProxy
from ticklake.testing.s3_server import S3Server

NOT_LOST, STOPPED_FOR_A_PERSON = 2, 65


def recover(service: Service, *options: str) -> list[dict[str, Any]]:
    settings = {name: value for name, value in service.settings.items() if name != "writer_id"}
    run = run_ticklake("recover", "--output", "json", *options, settings=settings)
    assert run.returncode == 0, run.stderr
    rows: list[dict[str, Any]] = json.loads(run.stdout)
    return rows


def without_entry(root: ObjectPath) -> set[str]:
    """Data files that no ledger entry names."""
    found = set(map(str, data_objects(root)))  # first: an entry that comes meanwhile names files that were there before
    return found - {f"{root}/{file.path}" for entry in read_books(root) for file in entry.files}


def test_a_local_lake_goes_on_as_well(tmp_path: Path) -> None:
    with Market(tmp_path) as market:
        service = healthy(tmp_path, market)
        del service.settings["writer_id"]
        hold_ballast(service)
        with service:
            market.publish(500)
            service.wait_settled(STREAM, market.published)
            market.publish(200)
        shutil.rmtree(service.state_dir)
        recover(service)
        with service:
            market.publish(300)
            finish(service, market)
        assert stored_sequences(service.data_root) == Counter(range(1, market.published + 1))
        report = verify_lake(service.data_root, service.state_dir, deep=True)
        assert report.is_ok, "\n".join(map(str, report.problems))
        book = next(book for book in report.books if book.stream == STREAM)
        assert (book.received, book.stored + book.quarantined) == (market.published, market.published)


@pytest.mark.parametrize("ack_after", [pytest.param("wal", marks=pytest.mark.nightly), "commit"])
def test_the_state_folder_is_deleted_under_load(
    tmp_path: Path, s3_server: S3Server, bucket: ObjectPath, ack_after: str
) -> None:
    with Market(tmp_path) as market, FaultProxy(s3_server.port) as proxy:
        options = {"endpoint": proxy.url, "settings": {"ack_after": ack_after, "writer_id": None}}
        service = bucket_service(tmp_path, market.url, s3_server, bucket, **options)  # type: ignore[arg-type]
        hold_ballast(service)
        with Load(market):
            service.start()
            service.wait_taken(STREAM, 1000)
            proxy.script(Fault.BUSY_503, times=10**6, part="catalog/ledger/")  # a commit stops before its ledger entry
            service.wait_for(lambda: bool(without_entry(bucket)), "leaves data files without an entry")
            service.kill()
            shutil.rmtree(service.state_dir)
            proxy.forgive()
            service.start(is_ready=False)  # as an orchestrator would
            assert service.wait_exit() == STOPPED_FOR_A_PERSON, service.log_tail()
            assert "ticklake recover" in service.log_text()
            shutil.rmtree(service.state_dir)
            [plan] = recover(service, "--dry-run")
            assert not service.state_dir.exists(), "a dry run makes nothing"
            [row] = recover(service)
            assert row == plan
            assert row["position"] == max(entry.last_seq or 0 for entry in read_books(bucket))
            records = [json.loads(path.read_bytes()) for path in (bucket / "catalog/recovered").glob("*.json")]
            assert [len(record["moved"]) > 0 for record in records] == [True]
            service.start()
            service.wait_taken(STREAM, 1000)
        finish(service, market)
        check_bucket(bucket, market.published, service.state_dir)
        check_puts(proxy)
        identities = {entry.writer.partition("-")[0] for entry in read_books(bucket)}
        assert len(identities) == 2, "the new writer has a new identity"
        again = run_ticklake("recover", settings=service.settings)
        assert again.returncode == NOT_LOST, again.stderr
        assert "is not lost" in again.stderr
