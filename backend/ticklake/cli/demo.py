"""`ticklake demo`: an embedded NATS server, a simulated market and the real service, then a tour of what came out.

Before the market plays, an earlier morning is published in batches: what features are built from at the end.
"""

from __future__ import annotations

import asyncio
import tempfile
from datetime import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ticklake.assemble import build_bus, build_service
from ticklake.base.clock import SystemClock
from ticklake.base.errors import CheckFailedError, UsageError
from ticklake.base.settings import Settings
from ticklake.base.settings_groups import BronzeSettings, GoldSettings, HttpSettings, NatsSettings
from ticklake.cli.demo_morning import last_sessions, publish_morning
from ticklake.cli.loop import new_event_loop
from ticklake.cli.place import check_folder
from ticklake.cli.publisher import Publisher
from ticklake.cli.spare import spare_pandas
from ticklake.cli.tour import count_received, show_further, show_tour
from ticklake.cli.tour_features import show_features
from ticklake.ingest.api import JetStreamApi
from ticklake.ingest.client import LakeClient
from ticklake.ingest.streams import init_stream, stream_config
from ticklake.service.io_service import IOService
from ticklake.testing.market import MarketSimulator, encode
from ticklake.testing.nats_server import NatsServer

_SEED = 20_241_216
_EVENTS_PER_S = 6_000  # what two small cores publish, log and write beside a progress bar
_SCALE = 0.25
_BEGIN = time(9, 27)  # three minutes of premarket, then the open
_BROKEN = (
    ("market.futures.trades", b'{"ts_event_ns": 1, "price": "much", "size": 0}'),
    ("market.options.trades", b"not even JSON \xff"),
    ("market.flow", b'{"any": "other subject is kept as it is"}'),
)
_DRAIN_S = 30.0


def demo(
    seconds: Annotated[float, typer.Option("--seconds", min=1, max=3600, help="How long the market plays.")] = 10,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the lake; by default a new temporary one.")
    ] = None,
    keep_running: Annotated[
        bool, typer.Option("--keep-running", help="After the tour, keep server and service up until Ctrl-C.")
    ] = False,
) -> None:
    """See it work: a server, a market and the real service for ten seconds, then a tour, down to training sets.

    Exit code 0 only if the books balance, every file is whole, and the features built from them pass their checks;
    3 otherwise.
    """
    if data is not None and data.parts[:1] == ("s3:",):
        raise UsageError(
            "the demo plays in a local folder; for a lake in a bucket run `ticklake serve --data s3://...`"
        )
    root = data.expanduser().absolute() if data is not None else Path(tempfile.mkdtemp(prefix="ticklake-demo-"))
    check_folder(root, is_option=True)
    spare_pandas()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_demo(root, seconds, keep_running=keep_running))


async def _demo(root: Path, seconds: float, *, keep_running: bool) -> None:
    console = make_console()
    before = await asyncio.to_thread(count_received, root)
    async with NatsServer(root / "_nats") as server:
        console.print(f"[bold]ticklake demo[/]  NATS at {server.url}, lake at {root}")
        await _create_streams(server.url)
        settings = Settings(
            data_root=root,
            nats=NatsSettings(url=server.url),
            bronze=BronzeSettings(flush_seconds=1),
            gold=GoldSettings(flush_seconds=1),
            http=HttpSettings(port=0),
        )
        service = build_service(settings)
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(service.run(handle_signals=False, on_ready=ready.set), name="service")
            try:
                await ready.wait()
                published = await _play(server.url, seconds, console)
                await _drain(service, published)
                if keep_running:
                    await _keep_running(root, service, before + published, console)
            finally:
                service.stop()
    if not keep_running:
        await asyncio.to_thread(_show, root, before + published, console)


def _show(root: Path, published: int, console: Console) -> None:
    """The whole tour of a lake that nobody writes to any more."""
    if not show_tour(root, published, console):
        raise CheckFailedError(f"the books of {root} do not balance; see the problems above")
    show_features(root, last_sessions()[0], console)
    show_further(root, console)


async def _create_streams(url: str) -> None:
    bus = build_bus(Settings(nats=NatsSettings(url=url)))
    await bus.connect()
    for name in ("MARKET_DATA", "LEVEL_SIGNALS"):
        await init_stream(JetStreamApi(bus), stream_config(name, ()), apply=True)
    await bus.close()


async def _keep_running(root: Path, service: IOService, published: int, console: Console) -> None:
    service.flush()
    await asyncio.sleep(1)
    await asyncio.to_thread(show_tour, root, published, console)
    await asyncio.to_thread(show_features, root, last_sessions()[0], console)
    await asyncio.to_thread(show_further, root, console)
    console.print("Running until Ctrl-C.")
    await asyncio.Event().wait()


async def _play(url: str, seconds: float, console: Console) -> int:
    """Publish the simulated market for so long. Gives how many messages the streams hold."""
    client = LakeClient()
    await client.connect(url)
    morning, live = last_sessions()
    market = MarketSimulator(_SEED, live.date, scale=_SCALE, begin=_BEGIN)
    clock = SystemClock()
    sent = 0
    async with (
        Publisher(client, "market.futures.trades", stream="MARKET_DATA") as trades,
        Publisher(client, "market.futures.mbp10", stream="MARKET_DATA") as book,
        Publisher(client, "market.options.trades", stream="MARKET_DATA") as options,
        Publisher(client, "market.options.nbbo", stream="MARKET_DATA") as nbbo,
        Publisher(client, "levels.signals", stream="LEVEL_SIGNALS") as signals,
        Publisher(client, "market.flow", stream="MARKET_DATA") as flow,
    ):
        publishers = {
            "market.futures.trades": trades,
            "market.futures.mbp10": book,
            "market.options.trades": options,
            "market.options.nbbo": nbbo,
            "levels.signals": signals,
            "market.flow": flow,
        }
        run = clock.wall_ns()  # a demo into the same lake is new data, not a repetition
        with console.status("an earlier morning is published"):
            await publish_morning(publishers, morning, run)
        begin_s = clock.monotonic_s()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[sent]:,} events"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("the market plays", total=seconds, sent=0)
            for event in market.events():
                if sent % 64 == 0:
                    elapsed_s = clock.monotonic_s() - begin_s
                    if elapsed_s >= seconds:
                        break
                    progress.update(bar, completed=elapsed_s, sent=sent)
                    await asyncio.sleep(max(0.0, sent / _EVENTS_PER_S - elapsed_s))
                await publishers[event.subject].send(encode(event), message_id=f"{run}-{sent}")
                sent += 1
        for subject, payload in _BROKEN:
            await publishers[subject].send(payload, message_id=f"{run}-{sent}")
            sent += 1
    stored = sum(publisher.stored for publisher in publishers.values())
    await client.close()
    return stored


async def _drain(service: IOService, published: int) -> None:
    """Wait until the service has logged everything that was published."""
    async with asyncio.timeout(_DRAIN_S):
        while sum(lane.received for lane in service.status.lanes) < published:  # noqa: ASYNC110 - counted elsewhere
            await asyncio.sleep(0.05)


def make_console() -> Console:
    """Wide enough for the tables when there is no terminal to ask."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=120)
