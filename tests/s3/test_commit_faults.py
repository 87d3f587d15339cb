"""T17: whatever the store or the line to it does, the lake equals the stream, and no object is ever overwritten."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.mill import model_encoder, model_ids
from tests.s3.harness import check_puts
from tests.unit.sink.test_writer import append, messages, running, until

from ticklake.base.clock import SystemClock
from ticklake.base.errors import ConfigError, CorruptError
from ticklake.base.metrics import Metrics
from ticklake.files.local import LocalFiles
from ticklake.files.object_path import ObjectPath
from ticklake.files.object_store import ObjectStore
from ticklake.lake.landing import BucketLake
from ticklake.lake.ledger import decode_entry
from ticklake.sink.lane import Lane
from ticklake.sink.policy import FlushPolicy, FlushRule
from ticklake.sink.store_check import check_store
from ticklake.sink.store_wait import DENIED, UNAVAILABLE, StoreDown, StoreWait
from ticklake.sink.writer import LaneWriter
from ticklake.testing.fault_proxy import Fault, FaultProxy
from ticklake.testing.s3_server import S3Server

PASSING = [
    Fault.STORED_500,
    Fault.RESET,
    Fault.LOST,
    Fault.CONFLICT_409,
    Fault.BUSY_503,
    Fault.SLOW,
    Fault.BAD_DIGEST_400,
]
DATA_FILE, LEDGER_ENTRY = ".parquet", ".json"


@pytest.fixture
def proxy(s3_server: S3Server, bucket: ObjectPath) -> Iterator[FaultProxy]:
    def intrude(key: str) -> None:
        bucket.store.put(key, b"of a stranger")

    with FaultProxy(s3_server.port, intrude=intrude) as proxy:
        yield proxy


@pytest.fixture
def root(s3_server: S3Server, bucket: ObjectPath, proxy: FaultProxy) -> ObjectPath:
    """The lake, reached through the proxy."""
    return ObjectPath(ObjectStore(s3_server.bucket, s3_server.access_at(proxy.url)), bucket.key)


def open_lane(state: Path, root: ObjectPath, wait: StoreWait) -> Lane:
    return Lane.open(
        files=LocalFiles(),
        state_folder=str(state),
        data_root=BucketLake(root, persist=wait.commit, ask=wait.run),
        identity="00c0ffee",
        epoch=1,
        stream="MODEL",
        encode=model_encoder(),
        clock=SystemClock(),
        ballast_bytes=0,
    )


def new_writer(state: Path, root: ObjectPath, *, patience_s: float = 20.0) -> tuple[LaneWriter, Metrics]:
    clock, metrics = SystemClock(), Metrics(version="test")
    root.store.observe = lambda op, result, s: metrics.storage_request_seconds.labels(op, result).observe(s)
    wait = StoreWait("model", clock=clock, metrics=metrics)
    policy = FlushPolicy(lambda _: FlushRule(10**9, 3600.0), interval_min_s=0.0, bytes_max=10**9)
    lane = open_lane(state, root, wait)
    return LaneWriter(lane, policy, clock=clock, metrics=metrics, store_wait=wait, patience_s=patience_s), metrics


def down_of(writer: LaneWriter) -> StoreDown | None:
    """What the writer's commits wait for."""
    assert writer._store_wait is not None
    return writer._store_wait.down


def stored(root: ObjectPath) -> list[int]:
    return sorted(
        number for path in (root / "bronze").rglob("*.parquet") for number in model_ids("", path.read_bytes())
    )


def booked(root: ObjectPath) -> set[str]:
    entries = [decode_entry(path.read_bytes()) for path in (root / "catalog/ledger").rglob("*.json")]
    return {f"{root}/{file.path}" for entry in entries for file in entry.files}


async def commit(writer: LaneWriter, *sequences: int) -> None:
    """Log them, flush, and wait until they are in the lake."""
    await append(writer, messages(*sequences))
    writer.flush()
    await until(lambda: writer.counts.stored >= sequences[-1], f"{sequences} are in the lake")


@pytest.mark.parametrize("part", [DATA_FILE, LEDGER_ENTRY])
@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name)
async def test_a_fault_that_passes_costs_time_and_nothing_else(
    tmp_path: Path, root: ObjectPath, bucket: ObjectPath, proxy: FaultProxy, fault: Fault, part: str
) -> None:
    writer, _ = new_writer(tmp_path, root)
    async with running(writer):
        await commit(writer, 1, 2)
        proxy.script(fault, times=1 if fault is Fault.SLOW else 2, part=part)
        await commit(writer, 3, 4)
        assert proxy.is_spent
        await commit(writer, 5)
        assert down_of(writer) is None
    assert stored(bucket) == [1, 2, 3, 4, 5]
    assert booked(bucket) == {str(path) for path in (bucket / "bronze").rglob("*.parquet")}
    check_puts(proxy)


async def test_a_storm_is_sat_out(tmp_path: Path, root: ObjectPath, bucket: ObjectPath, proxy: FaultProxy) -> None:
    writer, metrics = new_writer(tmp_path, root)
    async with running(writer):
        proxy.script(Fault.BUSY_503, times=30, part=DATA_FILE)
        await append(writer, messages(1, 2))
        writer.flush()
        await until(lambda: down_of(writer) is not None, "the writer noticed")
        assert down_of(writer) is not None
        assert down_of(writer).reason == UNAVAILABLE
        await append(writer, messages(3))  # the log goes on
        assert not list((bucket / "catalog").rglob("*")), "an entry without its files"
        await until(lambda: writer.counts.stored == 2, "the storm is over")
        assert down_of(writer) is None
    assert stored(bucket) == [1, 2, 3]
    check_puts(proxy)
    page = metrics.render("")[0].decode()
    assert 'ticklake_storage_request_seconds_count{op="put",result="ok"}' in page
    assert 'ticklake_storage_request_seconds_count{op="put",result="unknown"}' in page
    assert 'ticklake_lake_commit_total{result="unknown"}' in page


async def test_a_refusal_waits_for_a_person(
    tmp_path: Path, root: ObjectPath, bucket: ObjectPath, proxy: FaultProxy
) -> None:
    writer, _ = new_writer(tmp_path, root)
    async with running(writer):
        proxy.script(Fault.DENIED_403, times=10**6)
        await append(writer, messages(1, 2))
        writer.flush()
        await until(lambda: down_of(writer) is not None, "the writer noticed")
        assert down_of(writer) is not None
        assert (down_of(writer).reason, "check the access key" in down_of(writer).text) == (DENIED, True)
        tried, began_s = len(proxy.requests), time.monotonic()
        await asyncio.sleep(1.0)
        most = 2 * (2 + (time.monotonic() - began_s) / 0.5)  # two files, a pause of half a second or more
        assert len(proxy.requests) - tried <= most, "a hot loop"
        proxy.forgive()
        await until(lambda: writer.counts.stored == 2, "the key was mended")
        assert down_of(writer) is None
    assert stored(bucket) == [1, 2]
    check_puts(proxy)


@pytest.mark.parametrize("part", [DATA_FILE, LEDGER_ENTRY])
async def test_another_file_under_our_name_stops_the_commit(
    tmp_path: Path, root: ObjectPath, bucket: ObjectPath, proxy: FaultProxy, part: str
) -> None:
    writer, _ = new_writer(tmp_path, root)
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the group comes from the end of the block
        async with running(writer):
            proxy.script(Fault.STRANGER, part=part)
            await append(writer, messages(1))
            writer.flush()
            await until(lambda: proxy.is_spent, "the stranger came")
            await asyncio.sleep(5)
    assert caught.group_contains(CorruptError, match="two writers share an identity")
    taken = [path for path in bucket.rglob(f"*{part}") if path.read_bytes() == b"of a stranger"]
    assert len(taken) == 1, "somebody else's object was overwritten"
    assert booked_or_none(bucket, part) == set()


def booked_or_none(root: ObjectPath, part: str) -> set[str]:
    return booked(root) if part == DATA_FILE else set()


async def test_a_staged_file_that_rotted_never_reaches_the_lake(
    tmp_path: Path, root: ObjectPath, bucket: ObjectPath, proxy: FaultProxy
) -> None:
    writer, _ = new_writer(tmp_path, root)
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the group comes from the end of the block
        async with running(writer):
            proxy.script(Fault.DENIED_403, times=10**6)
            await append(writer, messages(1))
            writer.flush()
            await until(lambda: down_of(writer) is not None, "the commit waits")
            [staged] = (tmp_path / "staging").rglob("0000.parquet")
            content = bytearray(staged.read_bytes())
            content[6] ^= 1
            staged.write_bytes(content)
            proxy.forgive()
            await asyncio.sleep(20)
    assert caught.group_contains(CorruptError, match="but INTENT names")
    assert not list(bucket.rglob("*"))


async def test_told_to_stop_while_the_store_is_away_it_leaves_the_rest_to_the_next_start(
    tmp_path: Path, root: ObjectPath, bucket: ObjectPath, proxy: FaultProxy
) -> None:
    writer, _ = new_writer(tmp_path, root)
    async with running(writer):
        await commit(writer, 1)
        proxy.script(Fault.LOST, times=10**6)
        await append(writer, messages(2, 3))
        writer.flush()
        await until(lambda: down_of(writer) is not None, "the writer noticed")
        await append(writer, messages(4))
    assert stored(bucket) == [1]
    proxy.forgive()
    again, _ = new_writer(tmp_path, root)
    assert again.lane.position.sequence == 4
    assert stored(bucket) == [1, 2, 3, 4]
    check_puts(proxy)


def test_a_store_that_keeps_its_word_is_asked_once_and_needs_no_right_to_delete(
    root: ObjectPath, bucket: ObjectPath, proxy: FaultProxy
) -> None:
    proxy.script(Fault.DENIED_403, times=10**6, method="DELETE")
    for _ in range(2):
        check_store(root)
    assert len([request for request in proxy.requests if request.method == "PUT"]) == 2
    root.store.is_proven = False  # as in the next process
    check_store(root)
    assert [path.key for path in bucket.rglob("*")] == [f"{bucket.key}/catalog/.probe"]


@pytest.mark.parametrize(
    ("fault", "said"), [(Fault.STRANGER, "overwrote it although"), (Fault.NOT_OFFERED_501, "has no conditional writes")]
)
def test_a_store_that_would_overwrite_is_refused(
    s3_server: S3Server, bucket: ObjectPath, fault: Fault, said: str
) -> None:
    with FaultProxy(s3_server.port, intrude=bucket.store.delete) as proxy:  # gone before each write: as if overwritten
        proxy.script(fault, times=10**6)
        root = ObjectPath(ObjectStore(s3_server.bucket, s3_server.access_at(proxy.url)), bucket.key)
        with pytest.raises(ConfigError, match=said) as caught:
            check_store(root)
    assert caught.value.exit_code == 78
    assert "conditional_writes = false" in str(caught.value)


async def test_what_still_comes_after_the_stop_signal_is_logged(
    tmp_path: Path, root: ObjectPath, bucket: ObjectPath, proxy: FaultProxy
) -> None:
    writer, _ = new_writer(tmp_path, root)
    async with running(writer):
        proxy.script(Fault.LOST, times=10**6)
        await append(writer, messages(1))
        writer.flush()
        await until(lambda: down_of(writer) is not None, "the writer noticed")
        assert writer._store_wait is not None
        writer._store_wait.last_try()  # the signal; the feed drains after it
        for sequence in range(2, 12):
            await append(writer, messages(sequence))
            await asyncio.sleep(0.02)
    proxy.forgive()
    again, _ = new_writer(tmp_path, root)
    assert again.lane.position.sequence == 11
    assert stored(bucket) == [*range(1, 12)]


async def test_a_store_that_never_answers_does_not_keep_us(
    tmp_path: Path, s3_server: S3Server, root: ObjectPath, bucket: ObjectPath, proxy: FaultProxy
) -> None:
    writer, _ = new_writer(tmp_path, root, patience_s=0.2)
    try:
        async with running(writer):
            await commit(writer, 1)
            s3_server.pause()
            await append(writer, messages(2))
    finally:
        s3_server.resume()
    again, _ = new_writer(tmp_path, root)
    assert again.lane.position.sequence == 2
    assert stored(bucket) == [1, 2]
    check_puts(proxy)


async def test_every_fault_at_once(tmp_path: Path, root: ObjectPath, bucket: ObjectPath, proxy: FaultProxy) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    sequence = 0
    for _ in range(3):  # lives: what one leaves, the next one finishes
        writer, _ = new_writer(tmp_path, root)
        first = writer.lane.incarnation.number == 0
        async with asyncio.timeout(200), asyncio.TaskGroup() as group:
            group.create_task(writer.run())
            if first:
                await writer.new_incarnation(created_ns=7, reason="first", start_sequence=1, start_after_ns=0)
            for _ in range(12):
                proxy.script(
                    dice.choice(PASSING), times=dice.randrange(1, 4), method=dice.choice(("PUT", "PUT", "HEAD"))
                )
                fresh = range(sequence + 1, sequence + 1 + dice.randrange(1, 6))
                sequence = fresh[-1]
                await append(writer, messages(*fresh))
                writer.flush()
                await asyncio.sleep(dice.uniform(0, 0.1))
            writer.close_intake()
    proxy.forgive()
    writer, _ = new_writer(tmp_path, root)
    assert stored(bucket) == [*range(1, sequence + 1)]
    check_puts(proxy)
