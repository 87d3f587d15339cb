"""What a writer counts when a commit goes wrong, and that it does not look at messages for traces nobody wants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.crash.mill import DATA
from tests.unit.sink.test_writer import Brought, append, messages, new_writer, running, stored

from ticklake.base.errors import CorruptError, DiskError
from ticklake.base.metrics import Metrics
from ticklake.base.traces import NoTraces
from ticklake.base.traces_otel import OtelTraces
from ticklake.sink.lane import Lane
from ticklake.sink.writer import LaneWriter
from ticklake.testing.disk import CrashDisk


class Counted(dict[int, bytes]):
    """Header blocks that count how often somebody goes through them."""

    def __init__(self, blocks: Mapping[int, bytes]) -> None:
        super().__init__(blocks)
        self.looks = 0

    def values(self) -> Iterator[bytes]:  # type: ignore[override]
        self.looks += 1
        return iter(super().values())


def commits(writer: LaneWriter, result: str) -> float | None:
    return writer._metrics.registry.get_sample_value("ticklake_lake_commit_total", {"result": result})


async def published_path() -> str:
    """Where the first file of a writer lands; the same for every writer on an empty disk."""
    disk = CrashDisk()
    writer, _ = new_writer(disk)
    async with running(writer):
        await append(writer, messages(1, 2))
    return next(path for path in disk.tree() if path.startswith(f"{DATA}/bronze/"))


async def test_a_file_of_somebody_else_under_our_name_is_counted_as_a_conflict() -> None:
    path = await published_path()
    disk = CrashDisk()
    writer, _ = new_writer(disk)
    disk.make_folder(path.rpartition("/")[0])
    disk.create(path).write([b"of somebody else"])
    with pytest.raises(ExceptionGroup) as failed:
        async with running(writer):
            await append(writer, messages(1, 2))
    assert failed.group_contains(CorruptError)
    assert {result: commits(writer, result) for result in ("ok", "conflict", "failed")} == {
        "ok": 0,
        "conflict": 1,
        "failed": 0,
    }


async def test_a_commit_that_fails_for_good_is_counted() -> None:
    disk = CrashDisk()
    writer, _ = new_writer(disk)

    def refuse(_source: str, _target: str) -> None:
        raise DiskError("the disk is gone; replace it")

    async def fail() -> None:
        async with running(writer):
            await append(writer, messages(1, 2))
            disk.link = refuse  # type: ignore[method-assign]

    with pytest.raises(ExceptionGroup) as failed:
        await fail()
    assert failed.group_contains(DiskError)
    assert (commits(writer, "ok"), commits(writer, "failed")) == (0, 1)
    assert stored(disk) == []


@pytest.mark.parametrize("is_traced", [False, True])
async def test_only_traces_look_at_headers_after_the_log_has_stored_them(is_traced: bool) -> None:
    disk, exporter = CrashDisk(), InMemorySpanExporter()
    traces = OtelTraces(exporter, version="1") if is_traced else NoTraces()
    plain, clock = new_writer(disk)
    writer = LaneWriter(
        plain.lane, plain._policy, clock=clock, metrics=Metrics(version="1"), traces=traces.lane("market_data")
    )
    headers = Counted({0: b"NATS/1.0\r\n\r\n"})

    def make(lane: Lane) -> Brought:
        brought = messages(1, 2)(lane)
        assert brought.group is not None
        return replace(brought, group=replace(brought.group, headers=headers))

    async with running(writer):
        await append(writer, make)
    traces.close()
    assert stored(disk) == [1, 2]
    assert headers.looks == (2 if is_traced else 1)  # once by the log
    assert len(exporter.get_finished_spans()) == (3 if is_traced else 0)
