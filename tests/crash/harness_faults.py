"""What the process-level fault tests share: a numbered market, faults by system call, and the oracle.

Message n of the market is a function of n, and n is its sequence in the stream. So the oracle needs no journal: it
knows every row that must be in the lake, and which message each bad row is.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import nats
import pytest
from nats.js.api import ConsumerInfo, RetentionPolicy
from tests.crash.parquet_rows import files_below, rows_of, sequences_of
from tests.e2e.harness import Service, absent, need_tool, wait_until

from ticklake.readers.verify import verify_lake
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

STREAM = "MARKET_DATA"
WRITER = "faultbed"
CONSUMER = f"ticklake-{WRITER}-market_data"
DISK_CALLS = ("writev", "fdatasync", "fsync", "linkat", "unlink", "rmdir", "mkdir", "rename", "ftruncate")

_SUBJECT = "market.futures.trades"
_BEGIN_NS = 1_734_350_400_000_000_000
_COLUMNS = ("stream_seq", "contract", "price", "size", "ts_event_ns")
_BURST = 32  # messages that the load sends at once: a group for the log
_BURST_PAUSE_S = 0.02
_UNSTORED_MAX = 4_000  # messages under way to the stream; beyond 10,000 in its queue the server drops them
_BALLAST_BYTES = 64 * 1024 * 1024
SMALL_BATCHES: dict[str, object] = {
    "writer_id": WRITER,
    "bronze__flush_rows": 64,
    "bronze__flush_seconds": 0.05,
    "bronze__flush_interval_min_s": 0,
}
"""Many small commits instead of a few large ones: more places to break."""

Row = tuple[int, str, float, int, int]


# -- the market --------------------------------------------------------------------------------------------------------


def payload(n: int) -> bytes:
    """Message n: a trade of one of two contracts; each fiftieth is broken and belongs into quarantine."""
    if n % 50 == 0:
        return b'{"broken": %d' % n
    ts_event_ns = _BEGIN_NS + n * 1_000_000
    trade = {
        "ts_event_ns": ts_event_ns,
        "ts_recv_ns": ts_event_ns + 1000,
        "source": "fault-test",
        "symbol": _contract(n),
        "price": 5000 + n / 4,
        "size": n,
        "aggressor": 1,
        "exchange": "CME",
        "sequence": n,
    }
    return json.dumps(trade).encode()


def _contract(n: int) -> str:
    return "ESZ5" if n % 2 else "NQZ5"


def _row(n: int) -> Row:
    return n, _contract(n), 5000 + n / 4, n, _BEGIN_NS + n * 1_000_000


class Market:
    """A real server with the stream; publishes message 1, 2, 3 ... into it."""

    def __init__(self, folder: Path, *, retention: RetentionPolicy = RetentionPolicy.LIMITS) -> None:
        self._server = NatsServer(folder / "nats", options=ServerOptions(sync=SyncMode.DEFAULT))
        self._retention = retention
        self.published = 0

    @property
    def url(self) -> str:
        return self._server.url

    def publish(self, messages: int) -> None:
        """Publish so many more; all are in the stream on return."""
        asyncio.run(self._publish(messages))

    def stream(self) -> dict[str, int]:
        """The stream's own counts: messages, first_seq, last_seq."""

        async def look() -> dict[str, int]:
            client = await nats.connect(self.url)
            try:
                state = (await client.jetstream(timeout=30).stream_info(STREAM)).state
                return {"messages": state.messages, "first_seq": state.first_seq, "last_seq": state.last_seq}
            finally:
                await client.close()

        return asyncio.run(look())

    def consumer(self) -> ConsumerInfo | None:
        """The service's consumer as the server sees it; None when there is none."""

        async def look() -> ConsumerInfo | None:
            client = await nats.connect(self.url)
            try:
                return await client.jetstream(timeout=30).consumer_info(STREAM, CONSUMER)
            except nats.js.errors.NotFoundError:
                return None
            finally:
                await client.close()

        return asyncio.run(look())

    def make_consumer(self, *, ack_wait_s: float, max_ack_pending: int = 10_000) -> None:
        """The explicit consumer, made before the service comes; it uses what is there."""

        async def make() -> None:
            client = await nats.connect(self.url)
            config = nats.js.api.ConsumerConfig(
                durable_name=CONSUMER,
                ack_policy=nats.js.api.AckPolicy.EXPLICIT,
                ack_wait=ack_wait_s,
                max_ack_pending=max_ack_pending,
            )
            await client.jetstream(timeout=30).add_consumer(STREAM, config)
            await client.close()

        asyncio.run(make())

    async def _create(self) -> None:
        client = await nats.connect(self.url)
        await client.jetstream(timeout=30).add_stream(name=STREAM, subjects=["market.>"], retention=self._retention)
        await client.close()

    async def _publish(self, messages: int) -> None:
        client = await nats.connect(self.url)
        for n in range(self.published + 1, self.published + messages + 1):
            await client.publish(_SUBJECT, payload(n))
            self.published = n
            if n % _UNSTORED_MAX == 0:
                await self._check_stored(client)
        await self._check_stored(client)
        await client.close()

    async def publish_until(self, done: threading.Event) -> None:
        """Bursts until told to stop: what a market looks like to the log."""
        client = await nats.connect(self.url)
        while not done.is_set():
            for _ in range(_BURST):
                self.published += 1
                await client.publish(_SUBJECT, payload(self.published))
            if self.published % _UNSTORED_MAX < _BURST:
                await self._check_stored(client)
            else:
                await client.flush()
            await asyncio.sleep(_BURST_PAUSE_S)
        await self._check_stored(client)
        await client.close()

    async def _check_stored(self, client: nats.NATS) -> None:
        """Until all that was published is in the stream, which drops what it cannot keep up with."""
        await client.flush()
        async with asyncio.timeout(120):
            while (await client.jetstream(timeout=30).stream_info(STREAM)).state.last_seq < self.published:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def __enter__(self) -> Self:
        self._server.start()
        try:
            asyncio.run(self._create())
        except BaseException:
            self._server.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()


class Load:
    """Publishes in the background for as long as the block runs. Its own error fails the block."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._done = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="load")

    def stop(self) -> None:
        self._done.set()
        self._thread.join(200)
        assert not self._thread.is_alive(), "the load did not stop within 200 s"
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._market.publish_until(self._done))
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self._error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


# -- faults ------------------------------------------------------------------------------------------------------------


def strace(*faults: str, trace: Path, only: Iterable[Path] = (), is_apart: bool = False) -> list[str]:
    """Words before the command, or before `-p` and a process id, that break its system calls.

    A count (`when=`) is kept for each system call of each thread by itself. The tracer is not the parent, so signals,
    process id and exit code are the service's own.

    Args:
        faults: such as `fdatasync:error=EIO:when=3`.
        trace: where every disk call is written down.
        only: break (and write down) calls on these paths only; exact paths, files need not exist yet.
        is_apart: the tracer is a process of its own, beside the one it takes hold of (`-p`).
    """
    calls = dict.fromkeys([*DISK_CALLS, *(fault.partition(":")[0] for fault in faults)])
    words = [need_tool("strace"), "-f", "-y", "-q", "-s", "0", "-e", "signal=none"]
    words += ["-o", str(trace), "-e", f"trace={','.join(calls)}"]
    if not is_apart:
        words.append("-D")
    if not any(":signal=" in fault for fault in faults):
        words.append("--seccomp-bpf")  # stops at disk calls only; a signal cannot be injected from such a stop
    for path in only:
        words += ["-P", str(path)]
    for fault in faults:
        words += ["-e", f"inject={fault}"]
    return words


def check_strace_works(folder: Path) -> None:
    """Skip where a process may not be traced."""
    trace = folder / "trace-probe"
    if os.spawnvp(os.P_WAIT, "strace", [*strace(trace=trace), "true"]) != 0:
        absent("strace may not trace here (ptrace is not permitted)")


def hold_ballast(service: Service) -> None:
    """Give both lanes their reserve, as a file without blocks: 64 MiB fewer to write, and plain counts of calls."""
    service.state_dir.mkdir(parents=True, exist_ok=True)
    for lane in ("market_data", "level_signals"):
        with (service.state_dir / f"ballast-{lane}").open("ab") as file:
            file.truncate(_BALLAST_BYTES)


def next_segments(service: Service, *, count: int = 12) -> list[Path]:
    """The log's files of the next run: those that are there, the next `count` ones, and their folder."""
    folder = service.state_dir / "wal" / "market_data"
    numbers = [int(path.stem) for path in folder.glob("*.wal")] or [0]
    last = max(numbers) + count
    return [folder, *(folder / f"{number:012d}.wal" for number in range(min(numbers), last + 1))]


# -- the oracle --------------------------------------------------------------------------------------------------------


def stored_sequences(data_root: Path) -> Counter[int]:
    """Stream sequences in the lake and how often, by pyarrow. Works at any moment: a file is whole or not there."""
    found: Counter[int] = Counter()
    for path in files_below(data_root, "bronze") + files_below(data_root, "quarantine"):
        found.update(sequences_of(Path(path)))
    return found


def check_so_far(service: Service) -> int:
    """Right after a crash: nothing is doubled, no file is torn or foreign. Gives how many messages are in the lake."""
    check_tidy(service.data_root)
    found = stored_sequences(service.data_root)
    doubled = sorted(n for n, times in found.items() if times > 1)
    assert not doubled, f"{len(doubled)} messages are doubled: {doubled[:10]}\n{service.log_tail()}"
    return len(found)


def check_exactly_once(service: Service, messages: int) -> None:
    """Every message up to `messages` is in the lake once, byte for byte, by two engines that do not know us."""
    good = sorted(_row(n) for n in range(1, messages + 1) if n % 50)
    bad = sorted((n, payload(n)) for n in range(50, messages + 1, 50))
    trades = f"{service.data_root}/bronze/futures/trades/**/*.parquet"
    columns = ", ".join(_COLUMNS)
    with duckdb.connect() as connection:
        _compare("DuckDB", connection.sql(f"select {columns} from read_parquet('{trades}')").fetchall(), good)
    arrow = [row for path in files_below(service.data_root, "bronze") for row in rows_of(path, _COLUMNS)]
    _compare("pyarrow", arrow, good)
    columns_kept = ("stream_seq", "payload")
    rejected = [row for path in files_below(service.data_root, "quarantine") for row in rows_of(path, columns_kept)]
    _compare("quarantine", rejected, bad)
    report = verify_lake(service.data_root, service.state_dir, deep=True)
    assert report.is_ok, "\n".join(map(str, report.problems)) or f"the books do not balance: {report.books}"
    check_tidy(service.data_root)


def check_tidy(data_root: Path) -> None:
    """Below the data root: whole Parquet files, whole ledger entries, nothing else."""
    for path in sorted(data_root.rglob("*")):
        relative = path.relative_to(data_root)
        if relative.parts[0] == "_state" or path.is_dir():
            continue
        if relative.parts[:2] == ("catalog", "ledger"):
            json.loads(path.read_bytes())
            continue
        assert path.suffix == ".parquet", f"foreign file {relative}"
        sequences_of(path)


def check_restart_changes_nothing(service: Service) -> None:
    """A start that has nothing to do leaves every file below the data root as it was."""
    before = _fingerprint(service.data_root)
    with service:
        assert service.terminate() == 0, service.log_tail()
    assert _fingerprint(service.data_root) == before, "a start with nothing to do changed the lake"


def finish(service: Service, market: Market) -> None:
    """After the faults: start without any, drain, stop in order, and ask the oracle."""
    with service:
        service.wait_settled(STREAM, market.published)
        assert service.terminate() == 0, service.log_tail()
    check_exactly_once(service, market.published)
    check_restart_changes_nothing(service)


def healthy(folder: Path, market: Market, **settings: Any) -> Service:
    """The service without a fault, on the lake of `folder`."""
    return Service(folder, market.url, settings=SMALL_BATCHES | settings)


def faulty(folder: Path, market: Market, wrapper: Sequence[str], **settings: Any) -> Service:
    """The service under `wrapper`, on the same lake."""
    return Service(folder, market.url, settings=SMALL_BATCHES | settings, wrapper=wrapper)


def run_until_dead(service: Service, what: str) -> int:
    """The exit code of a service that must end by itself."""
    try:
        service.start(is_ready=False)
        wait_until(lambda: not service.is_running(), f"{what}: the service ends", timeout_s=120, seen=service.log_tail)
        return service.wait_exit()
    finally:
        service.kill()


def on_two_lakes(folder: Path, work: Callable[[Path, int], None]) -> None:
    """Run `work` (its folder, 0 or 1) on two lakes at once: most of a run is the start of a process."""
    with ThreadPoolExecutor(2, thread_name_prefix="lake") as pool:
        runs = [pool.submit(work, _made(folder / str(half)), half) for half in range(2)]
    for run in runs:
        run.result()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _compare(engine: str, found: Sequence[tuple[Any, ...]], expected: Sequence[tuple[Any, ...]]) -> None:
    if sorted(found) == expected:
        return
    seen, wanted = Counter(found), Counter(expected)
    lost, extra = sorted((wanted - seen).elements()), sorted((seen - wanted).elements())
    pytest.fail(f"{engine}: {len(lost)} lost, first {lost[:5]}; {len(extra)} too many, first {extra[:5]}")


def _fingerprint(data_root: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(data_root.rglob("*"))
        if path.is_file() and "_state" not in path.relative_to(data_root).parts
    }
