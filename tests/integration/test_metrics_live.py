"""Every metric of the reference page, as the running service shows it after good, bad and foreign messages."""

from __future__ import annotations

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.harness import Service
from tests.e2e.raw_client import Publication, RawClient
from tests.unit.decode.corpus import good

from ticklake.base.metrics import Metrics
from ticklake.service.health import CODES
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

GOOD, BAD = 3, 2
MARKET = {"lane": "market_data"}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

# What a healthy run with these messages must have made larger than zero, and how large where it can be told.
MOVED: dict[str, tuple[dict[str, str], float | None]] = {
    "ticklake_service_ready": ({}, 1),
    "ticklake_job_last_success_timestamp_seconds": ({"job": "commit"}, None),
    "ticklake_ingest_messages_received_total": (MARKET, GOOD + BAD),
    "ticklake_ingest_received_bytes_total": (MARKET, None),
    "ticklake_ingest_messages_rejected_total": (MARKET | {"reason": "not_json"}, BAD),
    "ticklake_ingest_incarnations_total": (MARKET | {"reason": "first"}, 1),
    "ticklake_nats_connected": ({}, 1),
    "ticklake_wal_bytes": (MARKET, None),
    "ticklake_wal_fsync_seconds_count": (MARKET, None),
    "ticklake_lake_flush_seconds_count": (MARKET, None),
    "ticklake_lake_flush_rows_total": (MARKET, GOOD),
    "ticklake_lake_rows_stored_total": ({"table": "futures.trades"}, GOOD),
    "ticklake_lake_files_total": ({"table": "futures.trades"}, None),
    "ticklake_lake_file_bytes_total": ({"table": "futures.trades"}, None),
    "ticklake_lake_commit_total": ({"result": "ok"}, None),
    "ticklake_disk_free_bytes": ({}, None),
    "ticklake_disk_total_bytes": ({}, None),
    "ticklake_disk_free_min_bytes": ({}, 512 * 1024 * 1024),
}
# What nothing happened to: there, and zero, so that the first event is an increase.
STILL: dict[str, dict[str, str]] = {
    "ticklake_ingest_duplicates_total": MARKET,
    "ticklake_ingest_missing_total": MARKET,
    "ticklake_ingest_redelivered_total": MARKET,
    "ticklake_ingest_core_dropped_total": MARKET,
    "ticklake_ingest_core_gap_seconds_total": MARKET,
    "ticklake_ingest_out_of_room_total": {},
    "ticklake_ingest_consumer_pending": MARKET,
    "ticklake_ingest_consumer_ack_pending": MARKET,
    "ticklake_nats_reconnects_total": {},
    "ticklake_wal_waiting_messages": MARKET,
    "ticklake_wal_oldest_unflushed_seconds": MARKET,
    "ticklake_wal_unsynced_seconds": MARKET,
}
GAUGES = (
    "ticklake_ingest_consumer_pending",
    "ticklake_ingest_consumer_ack_pending",
    "ticklake_wal_waiting_messages",
    "ticklake_wal_oldest_unflushed_seconds",
    "ticklake_wal_unsynced_seconds",
)
ANY_NUMBER = {"ticklake_nats_clock_skew_seconds", "ticklake_ingest_end_to_end_lag_seconds", "ticklake_build_info"}
WITH_AN_OBJECT_STORE = {"ticklake_storage_request_seconds"}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    folder = tmp_path_factory.mktemp("metrics")
    settings = {"bronze__flush_seconds": 0.2, "bronze__flush_interval_min_s": 0}
    with (
        NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server,
        Service(folder, server.url, settings=settings, environment={"TICKLAKE_REVISION": "0a1b2c3"}) as service,
        RawClient(server.url) as client,
    ):
        for _ in range(GOOD):
            client.publish(Publication(b"market.futures.trades", good("futures.trades")))
        for _ in range(BAD):
            client.publish(Publication(b"market.futures.trades", b"{torn"))
        client.flush()
        service.wait_taken("MARKET_DATA", GOOD + BAD)
        found: list[Samples] = [{}]

        def is_complete() -> bool:
            """Whether all gauges were set after the last message: some of them are looked up seconds later."""
            found[0] = scrape(service)
            gauges = [found[0].get((name, frozenset(STILL[name].items()))) == 0 for name in GAUGES]
            skew_s = found[0].get(("ticklake_nats_clock_skew_seconds", frozenset()), math.nan)
            moved = [(found[0].get((name, frozenset(labels.items()))) or 0) > 0 for name, (labels, _) in MOVED.items()]
            return all(gauges) and all(moved) and math.isfinite(skew_s)

        service.wait_for(is_complete, "has looked at its consumers", seen=lambda: found[0])
        assert service.terminate() == 0
        return found[0]


def scrape(service: Service) -> Samples:
    code, page = service.get("/metrics")
    assert code == 200
    families = text_string_to_metric_families(page.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_metric_is_accounted_for_here() -> None:
    kinds = {fact.name: fact.kind for fact in Metrics(version="").facts}
    named = {name.removesuffix("_count") for name in MOVED} | {*STILL, *ANY_NUMBER, *WITH_AN_OBJECT_STORE}
    assert set(kinds) == named | {"ticklake_service_not_ready_info"}


@pytest.mark.parametrize("name", MOVED)
def test_what_happened_is_counted(samples: Samples, name: str) -> None:
    labels, expected = MOVED[name]
    value = samples[name, frozenset(labels.items())]
    assert value > 0
    assert expected is None or value == expected


@pytest.mark.parametrize("name", STILL)
def test_what_did_not_happen_is_there_at_zero(samples: Samples, name: str) -> None:
    assert samples[name, frozenset(STILL[name].items())] == 0


def test_every_reason_not_to_be_ready_is_there_at_zero(samples: Samples) -> None:
    shown = {dict(labels)["reason"]: value for (name, labels), value in samples.items() if name.endswith("ready_info")}
    assert shown == dict.fromkeys(CODES, 0.0)


def test_the_clock_of_a_server_on_this_machine_is_ours(samples: Samples) -> None:
    skew_s = samples["ticklake_nats_clock_skew_seconds", frozenset()]
    assert math.isfinite(skew_s)
    assert abs(skew_s) < 1.0


def test_version_and_revision_are_told(samples: Samples) -> None:
    (labels,) = [dict(labels) for name, labels in samples if name == "ticklake_build_info"]
    assert labels["version"]
    assert labels["revision"] == "0a1b2c3"


def test_no_label_is_a_symbol_or_a_subject(samples: Samples) -> None:
    for name, labels in samples:
        for label, value in labels:
            assert label in {"lane", "reason", "table", "result", "op", "version", "revision", "job", "le"} or (
                not name.startswith("ticklake_")
            )
            assert "ES" not in value
            assert "market." not in value
