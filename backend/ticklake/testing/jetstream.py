"""FakeJetStream: a JetStream server in memory, with the faults that real ones have.

It speaks the same API as the server to the same feed code (a `Wire`), and passes the same suite
(`tests/conformance/test_wire.py`). What it cannot do: push consumers, clusters, permissions.
"""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ticklake.base.clock import Clock, format_time
from ticklake.base.errors import UnavailableError
from ticklake.ingest.api import parse_time_ns
from ticklake.ingest.intake import Intake

_ERRORS = {
    10059: "stream not found",
    10014: "consumer not found",
    10037: "no message found",
    10148: "consumer already exists",
}


@dataclass(frozen=True, slots=True)
class _Message:
    subject: bytes
    header: bytes | None
    payload: bytes
    server_ns: int


@dataclass(slots=True)
class _Consumer:
    config: dict[str, Any]
    next_sequence: int
    delivered: int = 0  # consumer sequence
    newest: int = 0  # highest stream sequence delivered
    ack_floor: int = 0
    pending: dict[int, int] = field(default_factory=dict)  # stream sequence -> times delivered
    again: deque[int] = field(default_factory=deque)
    asks: deque[tuple[str, int]] = field(default_factory=deque)  # inbox, messages left


@dataclass(slots=True)
class _Stream:
    config: dict[str, Any]
    created_ns: int
    messages: dict[int, _Message] = field(default_factory=dict)
    first: int = 1
    last: int = 0
    consumers: dict[str, _Consumer] = field(default_factory=dict)


class FakeJetStream:
    """A `Wire` with a server behind it.

    Everything happens in the call that causes it: `add` delivers to whoever asked. Faults are methods: `lose_tail`,
    `recreate`, `purge`, `expire_acks` (redelivery), `drop_consumer`, `disconnect`, `lose_acks`.
    """

    def __init__(self, clock: Clock) -> None:
        self.is_connected = True
        self.generation = 0
        self.inbox_prefix = "_INBOX_fake"
        self.lose_acks = False
        self.acked: list[tuple[str, int]] = []
        self._clock = clock
        self._streams: dict[str, _Stream] = {}
        self._subscriptions: dict[int, tuple[str, Intake]] = {}
        self._numbers = 0

    # --- the publisher's and the fault's side -------------------------------------------------------------------------

    def create_stream(self, name: str, *subjects: str, retention: str = "limits") -> None:
        """Make a stream."""
        config = {"name": name, "subjects": list(subjects), "retention": retention}
        self._streams[name] = _Stream(config, self._clock.wall_ns())

    def add(self, stream: str, subject: str | bytes, payload: bytes, header: bytes | None = None) -> int:
        """Store one message and deliver it to whoever asked. Gives its sequence."""
        kept = self._streams[stream]
        kept.last += 1
        raw = subject.encode() if isinstance(subject, str) else subject
        kept.messages[kept.last] = _Message(raw, header, payload, self._clock.wall_ns())
        self._deliver(stream)
        return kept.last

    def lose_tail(self, stream: str, messages: int) -> None:
        """A power cut on the server: the newest messages are gone and their sequences will be used again."""
        kept = self._streams[stream]
        for sequence in range(kept.last - messages + 1, kept.last + 1):
            kept.messages.pop(sequence, None)
        kept.last -= messages
        self.disconnect()

    def recreate(self, stream: str) -> None:
        """Delete the stream and make it again, empty."""
        config = self._streams[stream].config
        self._streams[stream] = _Stream(config, self._clock.wall_ns())
        self.disconnect()

    def purge(self, stream: str) -> None:
        """Remove every message; the sequences go on."""
        kept = self._streams[stream]
        kept.messages.clear()
        kept.first = kept.last + 1

    def delete_message(self, stream: str, sequence: int) -> None:
        """Remove one message."""
        del self._streams[stream].messages[sequence]

    def expire_acks(self, stream: str) -> None:
        """The ack wait has passed: what was delivered and not acked is delivered again, first."""
        for consumer in self._streams[stream].consumers.values():
            consumer.again.extend(sorted(consumer.pending))
        self._deliver(stream)

    def drop_consumer(self, stream: str) -> None:
        """An operator deletes the consumers; waiting requests are answered with 409."""
        for consumer in self._streams[stream].consumers.values():
            for inbox, _ in consumer.asks:
                self._status(inbox, b"NATS/1.0 409 Consumer Deleted\r\n\r\n")
        self._streams[stream].consumers.clear()

    def disconnect(self) -> None:
        """The connection breaks and comes back: everything on its way is lost."""
        self.generation += 1
        for stream in self._streams.values():
            for consumer in stream.consumers.values():
                consumer.asks.clear()
        for _, intake in self._subscriptions.values():
            intake.arrived.set()

    def pending_acks(self, stream: str) -> int:
        """Messages delivered and not acked."""
        return sum(len(consumer.pending) for consumer in self._streams[stream].consumers.values())

    # --- Wire ---------------------------------------------------------------------------------------------------------

    async def wait_connected(self, timeout_s: float) -> bool:
        """Whether the connection stands, looked at once the time is over if it does not stand now."""
        if not self.is_connected:
            await asyncio.sleep(timeout_s)
        return self.is_connected

    async def attach(self, subject: str, intake: Intake) -> int:
        """Subscribe."""
        self._numbers += 1
        self._subscriptions[self._numbers] = (subject, intake)
        return self._numbers

    async def detach(self, number: int) -> None:
        """Unsubscribe."""
        self._subscriptions.pop(number, None)

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """A pull request, an ack, or nothing we know."""
        tokens = subject.split(".")
        if subject.startswith("$JS.API.CONSUMER.MSG.NEXT."):
            stream, name = tokens[5], tokens[6]
            consumer = self._streams[stream].consumers.get(name) if stream in self._streams else None
            if consumer is None:
                self._status(reply, b"NATS/1.0 503\r\n\r\n")
                return
            consumer.asks.append((reply, int(msgspec.json.decode(payload)["batch"])))
            self._deliver(stream)
        elif subject.startswith("$JS.ACK.") and payload.startswith(b"-NAK"):
            self._give_back(tokens[2], tokens[3], int(tokens[5]))
        elif subject.startswith("$JS.ACK.") and not self.lose_acks:
            self._ack(tokens[2], tokens[3], int(tokens[5]))

    async def request(self, subject: str, payload: bytes) -> bytes:
        """One call of the JetStream API."""
        if not self.is_connected:
            raise UnavailableError("not connected")
        tokens = subject.split(".")
        body = msgspec.json.decode(payload) if payload else {}
        return msgspec.json.encode(self._call(".".join(tokens[2:4]), tokens, body))

    def _call(self, call: str, tokens: list[str], body: dict[str, Any]) -> dict[str, Any]:
        is_get = tokens[2:5] == ["STREAM", "MSG", "GET"]
        name = tokens[5] if is_get else tokens[4]
        if call == "STREAM.CREATE":
            self.create_stream(name, *body["subjects"], retention=body.get("retention", "limits"))
        stream = self._streams.get(name)
        if stream is None:
            return _error(10059)
        if call in ("STREAM.INFO", "STREAM.CREATE"):
            state = {"first_seq": stream.first, "last_seq": stream.last, "messages": len(stream.messages)}
            return {"config": stream.config, "created": format_time(stream.created_ns), "state": state}
        if is_get:
            asked: int = body["seq"]
            if "next_by_subj" in body:  # of any subject
                asked = min((sequence for sequence in stream.messages if sequence >= asked), default=0)
            message = stream.messages.get(asked)
            if message is None:
                return _error(10037)
            data = base64.b64encode(message.payload).decode()
            return {"message": {"seq": asked, "data": data, "time": format_time(message.server_ns)}}
        consumer = stream.consumers.get(tokens[5])
        if call == "CONSUMER.CREATE":
            return _error(10148) if consumer else self._create_consumer(stream, tokens[5], body["config"])
        if consumer is None:
            return _error(10014)
        if call == "CONSUMER.DELETE":
            del stream.consumers[tokens[5]]
            return {"success": True}
        return {
            "config": consumer.config,
            "delivered": {"stream_seq": consumer.newest, "consumer_seq": consumer.delivered},
        }

    def _create_consumer(self, stream: _Stream, name: str, config: dict[str, Any]) -> dict[str, Any]:
        start = stream.first
        if config["deliver_policy"] == "by_start_sequence":
            start = max(config["opt_start_seq"], stream.first)
        elif config["deliver_policy"] == "by_start_time":
            begin_ns = parse_time_ns(config["opt_start_time"])
            newer = [sequence for sequence, message in stream.messages.items() if message.server_ns >= begin_ns]
            start = min(newer, default=stream.last + 1)
        stream.consumers[name] = _Consumer(config, start)
        return {"config": config}

    # --- the server's inside ------------------------------------------------------------------------------------------

    def _ack(self, stream_name: str, name: str, sequence: int) -> None:
        stream = self._streams.get(stream_name)
        consumer = stream.consumers.get(name) if stream else None
        if stream is None or consumer is None:
            return
        self.acked.append((stream_name, sequence))
        is_all = consumer.config["ack_policy"] == "all"
        for done in [s for s in consumer.pending if s == sequence or (is_all and s <= sequence)]:
            del consumer.pending[done]
            if stream.config["retention"] != "limits":
                stream.messages.pop(done, None)

    def _give_back(self, stream_name: str, name: str, sequence: int) -> None:
        stream = self._streams.get(stream_name)
        consumer = stream.consumers.get(name) if stream else None
        if consumer is not None and sequence in consumer.pending:
            consumer.again.append(sequence)
            self._deliver(stream_name)

    def _deliver(self, name: str) -> None:
        stream = self._streams[name]
        for consumer_name, consumer in stream.consumers.items():
            while consumer.asks:
                if not self._listeners(consumer.asks[0][0]):
                    consumer.asks.popleft()  # who asked is gone
                    continue
                sequence = self._next(stream, consumer)
                if sequence is None:
                    break
                inbox, left = consumer.asks.popleft()
                if left > 1:
                    consumer.asks.appendleft((inbox, left - 1))
                self._send(name, consumer_name, consumer, stream, sequence, inbox)

    def _next(self, stream: _Stream, consumer: _Consumer) -> int | None:
        while consumer.again:
            sequence = consumer.again.popleft()
            if sequence in stream.messages and sequence in consumer.pending:
                return sequence
        while consumer.next_sequence <= stream.last:
            consumer.next_sequence += 1
            if consumer.next_sequence - 1 in stream.messages:
                return consumer.next_sequence - 1
        return None

    def _send(
        self, name: str, consumer_name: str, consumer: _Consumer, stream: _Stream, sequence: int, inbox: str
    ) -> None:
        message = stream.messages[sequence]
        consumer.delivered += 1
        consumer.newest = max(consumer.newest, sequence)
        consumer.pending[sequence] = consumer.pending.get(sequence, 0) + 1
        left = max(0, stream.last - consumer.next_sequence + 1)
        reply = (
            f"$JS.ACK.{name}.{consumer_name}.{consumer.pending[sequence]}.{sequence}."
            f"{consumer.delivered}.{message.server_ns}.{left}"
        )
        if consumer.config["ack_policy"] == "none":
            del consumer.pending[sequence]
        for intake in self._listeners(inbox):
            intake.add(message.subject, reply.encode(), message.header, message.payload)

    def _status(self, inbox: str, header: bytes) -> None:
        for intake in self._listeners(inbox):
            intake.add(inbox.encode(), b"", header, b"")

    def _listeners(self, subject: str) -> list[Intake]:
        return [
            intake
            for pattern, intake in self._subscriptions.values()
            if pattern == subject or (pattern.endswith(".*") and subject.rpartition(".")[0] == pattern[:-2])
        ]


def _error(code: int) -> dict[str, Any]:
    return {"error": {"code": 404, "err_code": code, "description": _ERRORS[code]}}
