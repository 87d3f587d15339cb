"""The watch looks at everything and waits for nothing: not for a disk that hangs, and no longer than systemd does."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from ticklake.base.metrics import Metrics
from ticklake.base.settings import Settings
from ticklake.service import io_service, watch
from ticklake.service.health import startup
from ticklake.service.io_service import IOService
from ticklake.service.notify import Notifier
from ticklake.service.snapshot import ServicePhase, Snapshot
from ticklake.service.watch import Watch
from ticklake.sink.recovery import Replay
from ticklake.testing.clock import ManualClock


class NoBus:
    """A connection that only has facts."""

    name = "bus"

    def __init__(self) -> None:
        self.facts = {
            "connected": True,
            "url": "nats://h:4222",
            "server_version": "2.15.1",
            "since_ns": 0,
            "reconnects": 0,
            "refusal": "",
            "fast_lane": "switched off",
        }


def tier(*replays: Replay) -> Any:
    return SimpleNamespace(
        writers=[], feeds=[], recoveries=[], store_waits=[], replays=list(replays), identity="00c0ffee"
    )


def new_snapshot(folder: Path, *tiers: Any) -> Snapshot:
    return Snapshot(
        Settings(data_root=folder),
        version="1",
        bus=NoBus(),  # type: ignore[arg-type]
        tiers=tiers,
        clock=ManualClock(),
        phase=ServicePhase("starting" if tiers else "running", 0, 0, 0.0),
    )


@asynccontextmanager
async def watching(worker: Watch) -> AsyncIterator[None]:
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        yield
        worker.close_intake()


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_true():  # noqa: ASYNC110 - facts of other threads ring no bell
            await asyncio.sleep(0.005)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        heard: list[str] = []

        def hear() -> list[str]:
            while True:
                try:
                    heard.append(listener.recv(1000).decode())
                except BlockingIOError:
                    return heard

        yield str(tmp_path / "notify"), hear


async def test_a_disk_that_hangs_holds_up_no_page_and_no_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LOOK_S", 0.01)
    snapshot, metrics = new_snapshot(tmp_path), Metrics(version="test")
    free_bytes = snapshot.take().disk.free_bytes
    hangs, goes_on = threading.Event(), threading.Event()
    measure = psutil.disk_usage

    def hang(path: str) -> Any:
        hangs.set()
        assert goes_on.wait(60)
        return measure(path)

    monkeypatch.setattr(psutil, "disk_usage", hang)
    try:
        async with watching(Watch(snapshot, tiers=(), metrics=metrics, notifier=Notifier(None))):
            await until(hangs.is_set)
            assert snapshot.take().disk.free_bytes == free_bytes
            snapshot._bus.facts["connected"] = False  # type: ignore[index]
            reasons = {"reason": "nats_disconnected"}
            await until(lambda: metrics.registry.get_sample_value("ticklake_service_not_ready_info", reasons) == 1)
    finally:
        goes_on.set()


async def test_signs_of_life_go_out_at_half_the_managers_time(
    tmp_path: Path, manager: tuple[str, Callable[[], list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_LOOK_S", 3600.0)
    address, hear = manager
    notifier = Notifier(address, watchdog_s=0.04)
    worker = Watch(new_snapshot(tmp_path), tiers=(), metrics=Metrics(version="test"), notifier=notifier)
    async with watching(worker):
        await until(lambda: hear().count("WATCHDOG=1") >= 3)


async def test_a_manager_that_does_not_watch_gets_no_signs_of_life(
    tmp_path: Path, manager: tuple[str, Callable[[], list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_LOOK_S", 0.001)
    address, hear = manager
    snapshot = new_snapshot(tmp_path)
    looks = 0

    def take() -> Any:
        nonlocal looks
        looks += 1
        return Snapshot.take(snapshot)

    monkeypatch.setattr(snapshot, "take", take)
    worker = Watch(snapshot, tiers=(), metrics=Metrics(version="test"), notifier=Notifier(address))
    async with watching(worker):
        await until(lambda: looks > 3)
    assert "WATCHDOG=1" not in hear()


async def test_a_long_replay_tells_how_far_it_is_and_asks_for_time(
    tmp_path: Path, manager: tuple[str, Callable[[], list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(io_service, "_START_LOOK_S", 0.01)
    address, hear = manager
    house = tier(Replay(9, 4), Replay(3, 0))
    house.stop_waiting = lambda: None
    service = IOService(
        Settings(data_root=tmp_path),
        version="1",
        state=None,  # type: ignore[arg-type] - not opened here
        bus=NoBus(),  # type: ignore[arg-type]
        tiers=(house,),
        metrics=Metrics(version="test"),
        notifier=Notifier(address),
        clock=ManualClock(),
    )
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(service._watch_start())
        await until(lambda: len(hear()) >= 4)
        service.stop()
    assert set(hear()) == {
        "STATUS=replaying the log: 4 of 12 segments are in the lake",
        "EXTEND_TIMEOUT_USEC=30000",
    }
    assert "4 of 12" in startup(service.status).reasons[0].what


def test_the_status_says_why_the_slower_parser_is_in_use(tmp_path: Path) -> None:
    assert new_snapshot(tmp_path).take().nats.stock_parser == "switched off"
