"""JetStream publishing with many acks under way: every ack is awaited, checked and counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
import nats.errors
import stamina

from ticklake.base.errors import UnavailableError, UsageError
from ticklake.ingest.client import LakeClient
from ticklake.ingest.intake import Intake

_WINDOW = 1_000  # under way at once: hides the round trip and keeps the server's queue short
_ACK_TIMEOUT_S = 5.0
_ATTEMPTS = 6
_NO_RESPONDERS = b" 503"
_WINDOW_LOW = 750  # sending goes on from here: acks are taken by the handful, not one by one


class _AckError(msgspec.Struct):
    description: str = ""
    err_code: int = 0


class _Ack(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: _AckError | None = None


class _Sent(NamedTuple):
    payload: bytes
    headers: dict[str, str]


class Publisher:
    """Sends messages to one subject. Use as `async with`; leaving it waits for the last ack.

    A message whose ack does not come is sent again with the same `Nats-Msg-Id`, so the stream stores it once.

    Attributes:
        stored: messages the stream stored anew.
        duplicates: messages the stream had already.
        failures: what the server said about messages it refused -> how many.
        last_sequence: largest stream sequence of an ack, 0 before the first.
    """

    def __init__(
        self,
        client: LakeClient,
        subject: str,
        *,
        stream: str | None,
        headers: Mapping[str, str] | None = None,
        ack_timeout_s: float = _ACK_TIMEOUT_S,
        attempts: int = _ATTEMPTS,
    ) -> None:
        """Prepare.

        Args:
            client: connected; stays open.
            subject: where to.
            stream: the stream that must take the messages; None for whichever has the subject.
            headers: of every message.
            ack_timeout_s: without any ack for this long, what is under way is sent again.
            attempts: give up after so many times without any ack.
        """
        self.stored = 0
        self.duplicates = 0
        self.failures: Counter[str] = Counter()
        self.last_sequence = 0
        self._client = client
        self._subject = subject
        self._fixed = dict(headers or {}) | ({"Nats-Expected-Stream": stream} if stream else {})
        self._ack_timeout_s = ack_timeout_s
        self._attempts = attempts
        self._inbox = client.new_inbox()
        self._intake = Intake()
        self._number = 0
        self._subscription = 0
        self._under_way: dict[int, _Sent] = {}
        self._decoder = msgspec.json.Decoder(_Ack)

    async def __aenter__(self) -> Publisher:
        self._subscription = await self._client.attach(f"{self._inbox}.*", self._intake)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await self._wait_below(1)
        finally:
            await self._client.detach(self._subscription)

    async def send(self, payload: bytes, *, message_id: str, content_type: str | None = None) -> None:
        """Send one message. Returns before its ack; waits while too many are under way.

        Raises:
            UsageError: the message is larger than the server takes.
            UnavailableError: no acks come, however often we ask.
        """
        if len(payload) > self._client.max_payload:
            raise UsageError(
                f"a message of {len(payload)} bytes is over the server's limit of {self._client.max_payload}; "
                "use a smaller --batch or raise max_payload on the server"
            )
        if len(self._under_way) >= _WINDOW:
            await self._wait_below(_WINDOW_LOW)
        headers = self._fixed | {"Nats-Msg-Id": message_id}
        if content_type is not None:
            headers["Content-Type"] = content_type
        self._number += 1
        self._under_way[self._number] = sent = _Sent(payload, headers)
        await self._post(self._number, sent)

    async def _post(self, number: int, sent: _Sent) -> None:
        try:
            await self._client.publish(self._subject, sent.payload, f"{self._inbox}.{number}", sent.headers)
        except (nats.errors.OutboundBufferLimitError, nats.errors.ConnectionReconnectingError):
            return  # reconnecting with a full buffer: no ack will come, and then it is sent again

    async def _wait_below(self, count: int) -> None:
        """Take acks until fewer than `count` messages are under way."""
        self._take_acks()
        while len(self._under_way) >= count:
            before = len(self._under_way)
            try:
                async for attempt in stamina.retry_context(on=TimeoutError, attempts=self._attempts, timeout=None):
                    with attempt:
                        if attempt.num > 1:
                            await self._post_again()
                        await self._wait_for_ack(before)
            except TimeoutError as error:
                raise UnavailableError(
                    f"{before} messages to {self._subject} stayed without ack after {self._attempts} tries; is the "
                    "stream there and its disk free? Run again with --dedupe: what was stored is not stored twice"
                ) from error

    async def _post_again(self) -> None:
        for number, sent in list(self._under_way.items()):
            await self._post(number, sent)

    async def _wait_for_ack(self, before: int) -> None:
        async with asyncio.timeout(self._ack_timeout_s):
            while len(self._under_way) >= before:
                await self._intake.arrived.wait()
                self._take_acks()

    def _take_acks(self) -> None:
        for subject, _, header, payload in self._intake.take().messages():
            number = int(subject.rpartition(b".")[2])
            if header is not None and _NO_RESPONDERS in header:
                continue  # JetStream is away, perhaps restarting: no ack, so it is sent again
            if self._under_way.pop(number, None) is not None:  # None: the second ack of a message sent twice
                self._count(self._decoder.decode(payload))

    def _count(self, ack: _Ack) -> None:
        if ack.error is not None:
            self.failures[f"{ack.error.description} (code {ack.error.err_code})"] += 1
            return
        self.last_sequence = max(self.last_sequence, ack.seq)
        if ack.duplicate:
            self.duplicates += 1
        else:
            self.stored += 1


async def find_stream(client: LakeClient, subject: str) -> str:
    """Name of the stream that takes `subject`.

    Raises:
        UnavailableError: JetStream is off or does not answer, or no stream takes the subject.
    """
    try:
        reply = await client.request("$JS.API.STREAM.NAMES", msgspec.json.encode({"subject": subject}), timeout=5)
    except (nats.errors.NoRespondersError, nats.errors.TimeoutError) as error:
        raise UnavailableError("JetStream does not answer; is it enabled on the server and for this user?") from error
    streams = list(_names(msgspec.json.decode(reply.data)))
    if not streams:
        raise UnavailableError(f"no stream takes {subject}; create it with `ticklake nats init`")
    return streams[0]


def _names(answer: dict[str, object]) -> Iterator[str]:
    names = answer.get("streams")
    if isinstance(names, list):
        yield from map(str, names)
