"""Hostile messages through the service: each whole in quarantine, its neighbours in the lake, the process up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from tests.e2e.harness import Service, run_ticklake
from tests.e2e.poison import NDJSON, POISON, SUBJECT, SYMBOLS, TABLE
from tests.e2e.raw_client import Publication, RawClient
from tests.unit.decode.corpus import GOOD, T0_NS, good, render

from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

STREAM = "MARKET_DATA"
AT_ONCE = {"bronze__flush_rows": 1, "bronze__flush_interval_min_s": 0}
ALL_AT_ONCE = {"bronze__flush_rows": 10**6, "bronze__flush_seconds": 600}  # only when we ask for it


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as running:
        yield running


def trades(service: Service) -> pl.DataFrame:
    glob = f"{service.data_root}/bronze/futures/trades/**/*.parquet"
    return pl.read_parquet(glob, hive_partitioning=False).sort("stream_seq", "message_row")


def quarantined(service: Service) -> pl.DataFrame:
    glob = f"{service.data_root}/quarantine/**/*.parquet"
    return pl.read_parquet(glob, hive_partitioning=True).sort("stream_seq", "message_row")


def check_quarantine(service: Service, sequences: list[int]) -> None:
    """Each poison stands there with its bytes, its reason, and the path of the value that is to blame."""
    rows = quarantined(service)
    assert rows["stream_seq"].to_list() == sequences
    for row, poison in zip(rows.iter_rows(named=True), POISON, strict=True):
        assert row["payload"] == poison.payload, poison.name
        assert (row["reason"], row["path"]) == (poison.reason, poison.path), poison.name
        assert (row["subject"], row["table"], row["headers"]) == (SUBJECT.decode(), TABLE, None), poison.name
        assert len(row["detail"]) <= 200, poison.name


def finish(service: Service) -> None:
    """It lives, it ends in good order, and the lake can be proved."""
    assert service.get("/livez")[0] == 200
    assert service.terminate() == 0, service.log_tail()
    check = run_ticklake("verify", "--deep", settings=service.settings)
    assert check.returncode == 0, check.stdout


def test_each_poison_alone_is_quarantined_and_the_next_message_is_a_row(server: NatsServer, tmp_path: Path) -> None:
    with Service(tmp_path, server.url, settings=AT_ONCE) as service, RawClient(server.url) as client:
        for number, poison in enumerate(POISON):
            sequence = client.publish_acked([Publication(SUBJECT, poison.payload)])[0]
            service.wait_settled(STREAM, sequence)  # by itself in its micro-batch
            sequence = client.publish_acked([Publication(SUBJECT, good(TABLE, number))])[0]
        lane = service.wait_taken(STREAM, 2 * len(POISON))
        assert (lane["stored"], lane["quarantined"]) == (len(POISON), len(POISON))
        finish(service)
    check_quarantine(service, list(range(1, 2 * len(POISON), 2)))
    assert trades(service)["stream_seq"].to_list() == list(range(2, 2 * len(POISON) + 1, 2))
    assert trades(service)["ts_recv_ns"].to_list() == [T0_NS + number for number in range(len(POISON))]


def test_all_poison_in_one_micro_batch_leaves_the_neighbours_alone(server: NatsServer, tmp_path: Path) -> None:
    between = 40
    messages: list[bytes] = []
    for number, poison in enumerate(POISON):
        messages += [good(TABLE, number * between + extra) for extra in range(between)]
        messages.append(poison.payload)
    with (
        RawClient(server.url) as client,
        Service(tmp_path, server.url, settings=ALL_AT_ONCE) as service,
    ):
        sequences = client.publish_acked([Publication(SUBJECT, payload) for payload in messages])
        service.wait_logged(STREAM, sequences[-1])
        service.flush()
        lane = service.wait_taken(STREAM, len(messages))
        assert (lane["stored"], lane["quarantined"]) == (len(POISON) * between, len(POISON))
        assert [event["messages"] for event in service.events("sink.segment_committed")] == [len(messages)]
        finish(service)
    at = [number for number in range(1, len(messages) + 1) if number % (between + 1) == 0]
    check_quarantine(service, at)
    rows = trades(service)
    assert rows["stream_seq"].to_list() == sorted(set(range(1, len(messages) + 1)) - set(at))
    assert rows["ts_recv_ns"].to_list() == [T0_NS + number for number in range(len(POISON) * between)]
    assert set(rows["price"]) == {float(GOOD[TABLE]["price"])}


def test_a_bad_line_of_an_ndjson_message_costs_only_itself(server: NatsServer, tmp_path: Path) -> None:
    lines: list[bytes] = []
    bad: dict[int, bytes] = {}
    for number, poison in enumerate(POISON):
        if not poison.payload or b"\n" in poison.payload or len(poison.payload) > 10**6:
            continue  # an empty line is no row, and the sum must stay below what the server takes
        bad[len(lines) + 1] = poison.payload
        lines += [good(TABLE, number), poison.payload]
    with Service(tmp_path, server.url, settings=AT_ONCE) as service, RawClient(server.url) as client:
        client.publish_acked([Publication(SUBJECT, b"\n".join(lines), NDJSON)])
        lane = service.wait_taken(STREAM, 1)
        assert (lane["received"], lane["stored"], lane["quarantined"]) == (1, 1, 0)
        finish(service)
    rows, rejected = trades(service), quarantined(service)
    assert rows["message_row"].to_list() == [number for number in range(len(lines)) if number not in bad]
    assert dict(zip(rejected["message_row"], rejected["payload"], strict=True)) == bad
    assert set(rejected["headers"]) == {NDJSON}


def test_a_symbol_that_would_be_a_path_is_a_row_in_a_harmless_folder(server: NatsServer, tmp_path: Path) -> None:
    messages = [render(GOOD[TABLE] | {"symbol": json.dumps(symbol)}) for symbol in SYMBOLS]
    with Service(tmp_path, server.url, settings=AT_ONCE) as service, RawClient(server.url) as client:
        sequences = client.publish_acked([Publication(SUBJECT, payload) for payload in messages])
        service.wait_settled(STREAM, sequences[-1])
        finish(service)
    assert trades(service)["contract"].to_list() == list(SYMBOLS)
    table = service.data_root / "bronze" / "futures" / "trades"
    assert {path.name for path in tmp_path.iterdir()} == {"lake", "service.log"}
    assert {path.relative_to(table).parts.__len__() for path in table.rglob("*.parquet")} == {4}
    assert len(list(table.iterdir())) == len(SYMBOLS), "two symbols share a folder"
