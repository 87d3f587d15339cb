"""Hostile messages among real ones, and a kill -9 on the way: every single one is found again, once."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import polars as pl
import pytest
from tests.crash.hostile import Fuzzer, Real, real_messages
from tests.e2e.harness import Service, run_ticklake
from tests.e2e.raw_client import Publication, RawClient

from ticklake.schema.bronze import BRONZE_TABLES
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

STREAM = "MARKET_DATA"
SETTLE_TIMEOUT_S = 200.0


@pytest.mark.parametrize(
    ("hostile", "real"),
    [
        pytest.param(2_000, 10_000, id="tenth"),
        pytest.param(20_000, 100_000, id="full", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
def test_every_message_is_a_row_or_in_quarantine(tmp_path: Path, hostile: int, real: int) -> None:
    seed = int(os.environ.get("TICKLAKE_TEST_SEED") or 7)
    print(f"TICKLAKE_TEST_SEED={seed}")  # pytest shows it when the test fails
    rng = random.Random(seed)
    company = real_messages(real)
    fuzzer = Fuzzer(rng, company[:5_000])
    mixed: list[Real | Publication] = [*company, *(fuzzer.draw() for _ in range(hostile))]
    rng.shuffle(mixed)
    messages = [each.message if isinstance(each, Real) else each for each in mixed]
    half = len(messages) // 2
    with (
        NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server,
        Service(tmp_path, server.url) as service,
        RawClient(server.url) as client,
    ):
        sequences = client.publish_acked(messages[:half])
        service.kill()
        assert service.log_text().count("Traceback") == 0, service.log_tail()
        service.start(is_ready=False)
        sequences += client.publish_acked(messages[half:])
        assert sequences == list(range(1, len(messages) + 1)), "the stream did not take each message once, in order"
        service.wait_logged(STREAM, sequences[-1], timeout_s=SETTLE_TIMEOUT_S)
        service.flush()
        service.wait_settled(STREAM, sequences[-1], timeout_s=SETTLE_TIMEOUT_S)
        assert service.terminate() == 0, service.log_tail()
    check_books(service, len(messages))
    found = places(service.data_root)
    check_places(found, len(messages))
    check_real_rows(service.data_root, mixed)
    check_quarantine(service.data_root, messages)
    assert {path.name for path in tmp_path.iterdir()} == {"lake", "service.log"}


def check_books(service: Service, published: int) -> None:
    run = run_ticklake("verify", "--deep", "--output", "json", settings=service.settings)
    report = json.loads(run.stdout)
    assert (run.returncode, report["problems"]) == (0, []), report["problems"][:3]
    book = next(book for book in report["books"] if book["stream"] == STREAM)
    assert book["received"] - book["duplicates"] == published
    assert book["received"] == book["stored"] + book["quarantined"] + book["duplicates"] + book["waiting"]
    assert (book["waiting"], book["missing"]) == (0, 0)
    print({key: book[key] for key in ("received", "stored", "quarantined", "duplicates", "quarantined_rows")})


def places(root: Path) -> pl.DataFrame:
    """Where every row of every table and of quarantine came from."""
    folders = [*(root / table.folder for table in BRONZE_TABLES), root / "quarantine"]
    parts = [
        pl.scan_parquet(f"{folder}/**/*.parquet", hive_partitioning=False).select("stream_seq", "message_row")
        for folder in folders
        if folder.is_dir()
    ]
    return pl.concat(parts).collect()


def check_places(found: pl.DataFrame, published: int) -> None:
    doubled = found.filter(found.is_duplicated())
    assert doubled.is_empty(), f"rows that are there twice: {doubled.head(3).rows()}"
    lost = sorted(set(range(1, published + 1)) - set(found["stream_seq"]))
    assert not lost, f"{len(lost)} messages are lost, the first has sequence {lost[0]}"
    assert found["stream_seq"].max() == published


def check_real_rows(root: Path, mixed: list[Real | Publication]) -> None:
    """Every real message is the row it should be, whatever came before and after it."""
    for kind in ("trades", "quotes", "mbp10"):
        key = "trade_id" if kind == "trades" else "update_id"
        glob = f"{root}/bronze/crypto/{kind}/**/*.parquet"
        rows = pl.scan_parquet(glob, hive_partitioning=False).filter(message_row=0).select("stream_seq", key).collect()
        numbers = dict(rows.iter_rows())
        wrong = [
            (sequence, each.number, numbers.get(sequence))
            for sequence, each in enumerate(mixed, start=1)
            if isinstance(each, Real) and each.table == f"crypto.{kind}" and numbers.get(sequence) != each.number
        ]
        assert not wrong, f"{len(wrong)} real {kind} are not in the lake as published: {wrong[:3]}"


def check_quarantine(root: Path, messages: list[Publication]) -> None:
    """What was rejected stands there with the bytes that were published."""
    rows = pl.read_parquet(f"{root}/quarantine/**/*.parquet", columns=["stream_seq", "payload", "reason"])
    assert len(set(rows["reason"])) > 5, "the fuzzer has lost its edge"
    for sequence, payload, reason in rows.iter_rows():
        published = messages[sequence - 1]
        if published.header is not None or published.payload.lstrip().startswith(b"["):
            continue  # a batch is taken apart; its rows stand there one by one
        assert payload == published.payload, (sequence, reason, payload[:80], published.payload[:80])
