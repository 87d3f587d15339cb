"""The few calls of the JetStream API that we make, with times in nanoseconds and errors sorted by what to do.

The stock client has them too, but rounds times to microseconds and parses stored headers, which a hostile message
breaks.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import google_crc32c
import msgspec

from ticklake.base.errors import ConfigError, UnavailableError
from ticklake.ingest.wire import Wire

_CONSUMER_NOT_FOUND = 10014
_STREAM_NOT_FOUND = 10059
_MESSAGE_NOT_FOUND = 10037
_NS = 1_000_000_000


class Retention(Enum):
    """When the stream forgets a message."""

    LIMITS = "limits"
    WORK_QUEUE = "workqueue"
    INTEREST = "interest"


class StreamMissingError(UnavailableError):
    """The stream does not exist (yet)."""


class ApiError(UnavailableError):
    """The server refused a call; the text is the server's."""

    def __init__(self, call: str, error: dict[str, Any]) -> None:
        super().__init__(f"{call}: {error.get('description', error)} (code {error.get('err_code', error.get('code'))})")
        self.code = int(error.get("err_code", 0))


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """A stream as the server describes it."""

    name: str
    subjects: tuple[str, ...]
    retention: Retention
    created_ns: int
    first_sequence: int
    last_sequence: int
    messages: int
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """One stored message: enough to know it again."""

    sequence: int
    server_ns: int
    payload_crc32c: int


def parse_time_ns(text: str) -> int:
    """RFC 3339 with up to nine fraction digits -> UTC ns. Exact."""
    whole, _, rest = text.partition(".")
    digits = rest.rstrip("Z").split("+")[0].split("-")[0]
    zone = rest[len(digits) :] if rest else ""
    moment = datetime.fromisoformat((whole + zone).replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = int(moment.timestamp())
    return seconds * _NS + int(digits.ljust(9, "0") if digits else 0)


class JetStreamApi:
    """Calls over a wire.

    Every method raises UnavailableError (try again later) when the server does not answer or refuses.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def _call(self, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        payload = b"" if body is None else msgspec.json.encode(body)
        answer: dict[str, Any] = msgspec.json.decode(await self._wire.request(f"$JS.API.{subject}", payload))
        if error := answer.get("error"):
            if error.get("err_code") == _STREAM_NOT_FOUND:
                raise StreamMissingError(
                    f"{subject}: there is no such stream; run `ticklake nats init` or set "
                    "TICKLAKE_NATS__CREATE_STREAMS=true"
                )
            raise ApiError(subject, error)
        return answer

    async def stream(self, name: str) -> StreamFacts:
        """The stream now. Raises StreamMissingError."""
        answer = await self._call(f"STREAM.INFO.{name}")
        config, state = answer["config"], answer["state"]
        return StreamFacts(
            name=name,
            subjects=tuple(config.get("subjects") or ()),
            retention=Retention(config.get("retention", "limits")),
            created_ns=parse_time_ns(answer["created"]),
            first_sequence=int(state["first_seq"]),
            last_sequence=int(state["last_seq"]),
            messages=int(state["messages"]),
            config=config,
        )

    async def message(self, stream: str, sequence: int) -> MessageFacts | None:
        """The stored message with that sequence, or None when the stream does not hold it (any more)."""
        return await self._stored(stream, {"seq": sequence})

    async def first_newer(self, stream: StreamFacts, than_ns: int) -> int:
        """The lowest sequence at which the stream holds a message that the server received after `than_ns`.

        One behind the last sequence when it holds none. Sequences and times rise together, so some thirty questions
        at most find it.
        """
        low, high = stream.first_sequence, stream.last_sequence + 1
        newer = high
        while low < high:
            middle = (low + high) // 2
            found = await self._stored(stream.name, {"seq": middle, "next_by_subj": ">"})
            if found is not None and found.server_ns <= than_ns:
                low = found.sequence + 1
                continue
            high = middle
            newer = newer if found is None else found.sequence
        return newer

    async def _stored(self, stream: str, which: dict[str, Any]) -> MessageFacts | None:
        try:
            answer = await self._call(f"STREAM.MSG.GET.{stream}", which)
        except ApiError as error:
            if error.code == _MESSAGE_NOT_FOUND:
                return None
            raise
        message = answer["message"]
        payload = base64.b64decode(message.get("data") or "")
        return MessageFacts(int(message["seq"]), parse_time_ns(message["time"]), google_crc32c.value(payload))

    async def create_stream(self, config: dict[str, Any]) -> None:
        """Create the stream. An existing one with another configuration is refused by the server."""
        await self._call(f"STREAM.CREATE.{config['name']}", config)

    async def create_consumer(self, stream: str, config: dict[str, Any]) -> dict[str, Any]:
        """Create the durable consumer and check that the server took the configuration as asked.

        Raises:
            ConfigError: the server dropped or changed a field (an old server does); upgrade it.
        """
        body = {"stream_name": stream, "config": config, "action": "create"}
        answer = await self._call(f"CONSUMER.CREATE.{stream}.{config['name']}", body)
        got = answer["config"]
        for key, asked in config.items():
            if key not in ("opt_start_time", "description") and got.get(key) != asked:
                raise ConfigError(
                    f"the NATS server changed {key} of consumer {config['name']} from {asked!r} to {got.get(key)!r}; "
                    "nats-server 2.10 or newer is needed"
                )
        return answer

    async def consumer(self, stream: str, name: str) -> dict[str, Any] | None:
        """The consumer's information, or None when there is none."""
        try:
            return await self._call(f"CONSUMER.INFO.{stream}.{name}")
        except ApiError as error:
            if error.code == _CONSUMER_NOT_FOUND:
                return None
            raise

    async def delete_consumer(self, stream: str, name: str) -> None:
        """Remove the consumer; one that is gone already is fine."""
        try:
            await self._call(f"CONSUMER.DELETE.{stream}.{name}")
        except ApiError as error:
            if error.code != _CONSUMER_NOT_FOUND:
                raise
