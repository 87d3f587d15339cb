"""`python -m ticklake.testing.feed`: the simulated market as a live feed, for as long as it runs.

Each event is stamped with the time it is sent, so dashboards and signals look as they do in trading hours. Every
message is acknowledged by its stream or sent again under the same id. SIGTERM ends it in order, with code 0.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Any, Final

import nats.errors
import nats.js.errors
import typer

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import TickLakeError
from ticklake.base.lifecycle import stop_on_signals
from ticklake.base.redact import redact_url
from ticklake.base.settings import load_settings
from ticklake.base.settings_groups import NatsSettings
from ticklake.ingest.client import LakeClient
from ticklake.ingest.dial import dial
from ticklake.schema.session import US_INDEX_FUTURES, previous_sessions
from ticklake.testing.market import MarketSimulator, SimulatedEvent
from ticklake.testing.market_event import encode

_SCALE: Final = 0.25
_BEGIN: Final = time(9, 27)  # three minutes of premarket, then the open
_TICK_S: Final = 0.05
_BATCH_MAX: Final = 250  # under way at once: more would wait longer for the server's disk than for their acks
_BURST_S: Final = 1.0  # how much lost time is made up for after a pause; the rest of it was a quiet market
_ACK_TIMEOUT_S: Final = 3.0
_RETRY_S: Final = 0.5
_LAST_TRIES: Final = 2  # after the stop signal, for what is under way: some seconds, however dead the server is
_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class FeedMessage:
    """One message on its way: where to, its bytes, and the id under which a stream takes it once."""

    subject: str
    payload: bytes
    message_id: str


def market_for_ever(seed: int, clock: Clock) -> Iterator[SimulatedEvent]:
    """Event after event of the newest trading day; when it is played, another market of the then newest day."""
    for number in count():
        tomorrow = datetime.fromtimestamp(clock.wall_ns() / 1e9, UTC).date() + timedelta(days=1)
        (session,) = previous_sessions(US_INDEX_FUTURES, tomorrow, 1)
        yield from MarketSimulator(seed + number, session.date, scale=_SCALE, begin=_BEGIN).events()


def stamp(event: SimulatedEvent, now_ns: int) -> bytes:
    """The event's bytes as if it happened at `now_ns`; distances between its own times stay."""
    shift_ns = now_ns - event.event_ns
    return encode(event._replace(event_ns=now_ns, payload=_shifted(event.payload, shift_ns)))


def _shifted(payload: dict[str, Any], shift_ns: int) -> dict[str, Any]:
    moved = dict(payload)
    for name in ("ts_event_ns", "ts_recv_ns"):
        if isinstance(moved.get(name), int):
            moved[name] += shift_ns
    if "ts" in moved:
        moved["ts"] += shift_ns // _NS_PER_MS
    if "viewport" in moved:
        moved["viewport"] = _shifted(moved["viewport"], shift_ns)
    return moved


class Feed:
    """Publishes events at a steady rate.

    Attributes:
        acknowledged: messages their stream has stored.
    """

    def __init__(self, client: LakeClient, *, clock: Clock, stop: asyncio.Event, alive: Path | None = None) -> None:
        """Prepare.

        Args:
            client: connected; stays open.
            clock: stamps the events and paces them.
            stop: set when no more is to be sent.
            alive: touched whenever a handful was acknowledged, so its age tells whether the feed works.
        """
        self.acknowledged = 0
        self._stream = client.jetstream(timeout=_ACK_TIMEOUT_S)
        self._clock = clock
        self._stop = stop
        self._alive = alive
        self._complaint = ""

    async def play(self, events: Iterator[SimulatedEvent], *, rate: float, run: str) -> None:
        """Send `rate` events a second until `stop` or the end of `events`; `run` makes the ids those of this run."""
        sent, due = 0, 0.0
        last_s = self._clock.monotonic_s()
        while not self._stop.is_set():
            await self._pause(_TICK_S)
            now_s = self._clock.monotonic_s()
            due, last_s = min(due + (now_s - last_s) * rate, _BURST_S * max(rate, 1.0)), now_s
            wanted = min(int(due), _BATCH_MAX)
            now_ns = self._clock.wall_ns()
            batch = [
                FeedMessage(event.subject, stamp(event, now_ns), f"{run}-{sent + number}")
                for number, event in enumerate(islice(events, wanted))
            ]
            await self._send(batch)
            sent, due = sent + len(batch), due - wanted
            if len(batch) < wanted:
                return

    async def _send(self, batch: Sequence[FeedMessage]) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._send_one(message)) for message in batch]
        done = sum(task.result() for task in tasks)
        self.acknowledged += done
        if done and self._alive is not None:
            self._alive.touch()

    async def _send_one(self, message: FeedMessage) -> bool:
        """Send until the stream has it. False: asked to stop, and even then nobody took it."""
        last_tries = _LAST_TRIES
        while last_tries:
            try:
                await self._stream.publish(
                    message.subject, message.payload, headers={"Nats-Msg-Id": message.message_id}
                )
            except (nats.errors.Error, nats.js.errors.Error) as error:
                self._complain(f"{message.subject}: {redact_url(str(error)) or type(error).__name__}; sending it again")
            else:
                self._complaint = ""
                return True
            last_tries -= self._stop.is_set()
            await asyncio.sleep(_RETRY_S)
        return False

    async def _pause(self, wait_s: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), wait_s)
        except TimeoutError:
            return

    def _complain(self, text: str) -> None:
        """Once per trouble, not once per message."""
        if not self._complaint:
            typer.echo(f"feed: {text}", err=True)
        self._complaint = text


async def run_feed(settings: NatsSettings, *, rate: float, seed: int, alive: Path | None) -> int:
    """Connect, play until a stop signal, close.

    Returns:
        how many messages the streams hold.

    Raises:
        UnavailableError: the first connection fails; later ones heal by themselves.
    """
    clock, stop = SystemClock(), asyncio.Event()
    client = await dial(settings, name="ticklake-feed", complain=partial(typer.echo, err=True))
    try:
        feed = Feed(client, clock=clock, stop=stop, alive=alive)
        with stop_on_signals(stop):
            await feed.play(market_for_ever(seed, clock), rate=rate, run=secrets.token_hex(8))
    finally:
        await client.close()
    return feed.acknowledged


def main(
    url: Annotated[
        str | None, typer.Option("--url", help="NATS server, several by comma; by default TICKLAKE_NATS__URL.")
    ] = None,
    rate: Annotated[float, typer.Option("--rate", min=0.1, max=5_000, help="Events per second.")] = 500,
    seed: Annotated[int, typer.Option("--seed", help="Another number is another market.")] = 1,
    alive: Annotated[
        Path | None, typer.Option("--alive", help="File to touch while messages are acknowledged: a health check.")
    ] = None,
) -> None:
    """Publish a simulated market (futures, book, options, level signals) as it would come live.

    The streams must exist (`ticklake nats init`, or a service with create_streams). The login comes from
    TICKLAKE_NATS__*, as for the service. SIGTERM or Ctrl-C ends it in order; exit code 69 when there is no server.
    """
    acknowledged = asyncio.run(run_feed(load_settings(nats__url=url).nats, rate=rate, seed=seed, alive=alive))
    typer.echo(f"feed: {acknowledged} events acknowledged", err=True)


def run() -> None:
    """Entry point of the module: the feed, and errors as one line and an exit code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)  # its frames show local variables
    app.command()(main)
    try:
        app()
    except TickLakeError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    run()
