"""Checks of the NATS server and its streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ticklake.base.clock import Clock
from ticklake.base.errors import ConfigError, UnavailableError
from ticklake.base.metrics import Metrics
from ticklake.base.redact import redact_url
from ticklake.base.settings import Settings
from ticklake.base.version import __version__
from ticklake.cli.finding import Finding, Grade, grade
from ticklake.ingest.api import JetStreamApi, StreamMissingError, parse_time_ns
from ticklake.ingest.bus import NatsBus
from ticklake.ingest.streams import differences, stream_config

_ROUND_TRIPS: Final = 5
_SKEW_MAX_S: Final = 1.0


async def check_nats(
    settings: Settings, clock: Clock, *, streams: Sequence[tuple[str, Sequence[str]]]
) -> list[Finding]:
    """Connect as the service would, and look.

    Args:
        settings: of the service.
        clock: to compare with the server's.
        streams: name and subjects of each stream the service reads.
    """
    bus = NatsBus(settings.nats, clock=clock, metrics=Metrics(version=__version__))
    url = redact_url(settings.nats.url)
    try:
        await bus.connect()
    except (UnavailableError, ConfigError) as error:
        return [Finding("NATS", Grade.FAIL, f"cannot use {url}", str(error))]
    try:
        found = [Finding("NATS", Grade.OK, f"{url}, server {bus.facts['server_version']}")]
        if settings.nats.mode == "jetstream":
            found += await _check_jetstream(bus, clock, streams)
        return found
    finally:
        await bus.close()


async def _check_jetstream(bus: NatsBus, clock: Clock, streams: Sequence[tuple[str, Sequence[str]]]) -> list[Finding]:
    try:
        times_ms = []
        for _ in range(_ROUND_TRIPS):
            before_s = clock.monotonic_s()
            account = await _ask(bus, "$JS.API.INFO")
            times_ms.append((clock.monotonic_s() - before_s) * 1000)
    except UnavailableError as error:
        step = "switch JetStream on in the server (`jetstream {}`), or set nats.mode = core"
        return [Finding("JetStream", Grade.FAIL, str(error), step)]
    if "error" in account:
        step = "give this account JetStream, and this user the right to publish to $JS.API.>"
        return [Finding("JetStream", Grade.FAIL, str(account["error"].get("description")), step)]
    found = [
        Finding("JetStream", Grade.OK, f"{account['streams']} streams, answers in {min(times_ms):.2f} ms"),
        Finding(
            "JetStream sync_interval",
            Grade.NOTE,
            "clients cannot see it; its default is two minutes",
            "set `jetstream { sync_interval: always }`, else a power cut there loses acknowledged messages",
        ),
    ]
    api = JetStreamApi(bus)
    for name, subjects in streams:
        found += await _check_stream(bus, api, clock, name, subjects)
    return found


async def _check_stream(
    bus: NatsBus, api: JetStreamApi, clock: Clock, name: str, subjects: Sequence[str]
) -> list[Finding]:
    check = f"stream {name}"
    try:
        stream = await api.stream(name)
    except StreamMissingError:
        step = "run `ticklake nats init`, or start with nats.create_streams = true"
        return [Finding(check, Grade.WARN, "missing", step)]
    except UnavailableError as error:
        return [Finding(check, Grade.FAIL, str(error), "give this user the right to ask for $JS.API.STREAM.INFO")]
    differs = differences(stream_config(name, subjects), stream.config)
    facts = f"{stream.messages} messages, sequences {stream.first_sequence} to {stream.last_sequence}"
    text = "; ".join(f"{key}: ours {ours!r}, there {theirs!r}" for key, (ours, theirs) in differs.items())
    found = [
        grade(
            check,
            f"{facts}; {text}" if differs else facts,
            when=bool(differs),
            grade=Grade.NOTE,
            next_step="nothing, if meant so: the service never changes a stream",
        )
    ]
    server_time = (await _ask(bus, f"$JS.API.STREAM.INFO.{name}")).get("ts")
    if isinstance(server_time, str):
        skew_s = (clock.wall_ns() - parse_time_ns(server_time)) / 1e9
        found.append(
            grade(
                f"clock against {name}",
                f"{skew_s:+.3f} s",
                when=abs(skew_s) > _SKEW_MAX_S,
                next_step="synchronise both machines (NTP): lags and ingest times are off by this much",
            )
        )
    return found


async def _ask(bus: NatsBus, subject: str) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.json.decode(await bus.request(subject, b""))
    return answer
