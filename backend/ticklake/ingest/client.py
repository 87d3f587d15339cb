"""The NATS client of the house: the stock one, hardened, with our subscriptions taken off the stock path."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from nats.aio.client import DEFAULT_BUFFER_SIZE, Client
from nats.aio.client import __version__ as client_version
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.protocol.parser import Parser

from ticklake.ingest.intake import Intake
from ticklake.ingest.lane_parser import LaneParser
from ticklake.ingest.transport import PromptTransport

# Versions whose internals the fast lane was tested with; others use the stock parser.
_FAST_LANE_VERSIONS = ((2, 12), (2, 16))
_ROUND_TRIP_S = 5


class PlaintextRefusedError(NatsError):
    """TLS was asked for and the connection is not encrypted; no credential was sent."""


class LakeClient(Client):
    """`nats.aio.client.Client` with four differences.

    - Messages of subscriptions registered with `attach` go into their `Intake` as raw bytes: a subject, reply or header
      that is no UTF-8 cannot stop the read loop, and a `Status:` header set by a publisher is just a header.
    - Everything else is decoded with `surrogateescape`.
    - With `require_tls`, no CONNECT (and so no password) leaves over an unencrypted connection.
    - A socket that does not close in good order is dropped, so that a reconnect never waits for it.
    """

    def __init__(self, *, require_tls: bool = False, fast_lane: bool = True) -> None:
        super().__init__()
        self.intakes: dict[int, Intake] = {}
        self.lanes: dict[bytes, Intake] = {}
        self._require_tls = require_tls
        self.stock_reason: str | None = "switched off" if not fast_lane else why_no_fast_lane()
        if self.stock_reason is None:
            self._ps = LaneParser(self, self.lanes)

    async def attach(self, subject: str, intake: Intake) -> int:
        """Subscribe; every message goes to `intake`. Gives the subscription id for `detach`."""
        subscription = await self.subscribe(subject, cb=_never)
        number = int(subscription._id)
        self.intakes[number] = intake
        self.lanes[str(number).encode()] = intake
        return number

    async def round_trip(self) -> None:
        """Wait until the server has read all that was sent before. Raises nats.errors.TimeoutError.

        Not `flush`: its PING overtakes what is buffered, and once it has timed out, the late PONG ends the read loop.
        """
        await self._flush_pending(force_flush=True)
        answered = asyncio.get_running_loop().create_future()
        await self._send_ping(answered)
        try:
            async with asyncio.timeout(_ROUND_TRIP_S):
                await asyncio.shield(answered)
        except TimeoutError as error:
            raise NatsTimeoutError from error

    async def detach(self, number: int) -> None:
        """Unsubscribe. Frames still on their way are dropped here; JetStream will send them again."""
        self.intakes.pop(number, None)
        self.lanes.pop(str(number).encode(), None)
        subscription = self._subs.get(number)
        if subscription is not None and not self.is_closed:
            await subscription.unsubscribe()

    def is_reader_dead(self) -> bool:
        """Whether the read loop has ended although the client believes it is connected."""
        task = self._reading_task
        return bool(self.is_connected and task is not None and task.done())

    def abort_stuck_socket(self) -> None:
        """Drop a half-closed socket that a reconnect waits for; the client would wait up to 15 minutes."""
        task = self._reconnection_task
        writer = getattr(self._transport, "_io_writer", None)
        if self.is_reconnecting and task is not None and not task.done() and writer is not None and writer.is_closing():
            writer.transport.abort()

    async def _connect_to_server(self, s: Any) -> None:
        s.last_attempt = asyncio.get_running_loop().time()
        if isinstance(self._transport, PromptTransport):
            self._transport.drop()
        else:
            self._transport = PromptTransport()
        timeout_s = self.options["connect_timeout"]
        await self._transport.connect(s.uri, buffer_size=DEFAULT_BUFFER_SIZE, connect_timeout=timeout_s)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        intake = self.intakes.get(sid)
        if intake is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:
            intake.add(bytes(subject), bytes(reply), headers, data)

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Any:
        return self.msg_class(
            subject=subject.decode("utf-8", "surrogateescape"),
            reply=reply.decode("utf-8", "surrogateescape"),
            data=data,
            headers=headers,
            _client=self,
            _sid=sid,
        )

    def _connect_command(self) -> bytes:
        if self._require_tls and not _is_encrypted(self._transport):
            raise PlaintextRefusedError("the server did not offer TLS; refusing to send credentials in the clear")
        command: bytes = super()._connect_command()
        return command


async def _never(_: Any) -> None:
    """Callback of attached subscriptions: their messages never reach it."""
    raise AssertionError("an attached subscription delivers to its intake")


def _is_encrypted(transport: Any) -> bool:
    writer = getattr(transport, "_io_writer", None)
    return writer is not None and writer.get_extra_info("ssl_object") is not None


def why_no_fast_lane() -> str | None:
    """Why the fast lane cannot be used with the installed client, or None when it can.

    The fast lane leans on three private names of the client; it is used only where they are as tested.
    """
    version = tuple(int(part) for part in client_version.split(".")[:2])
    low, high = _FAST_LANE_VERSIONS
    if not low <= version <= high:
        return f"nats-py {version[0]}.{version[1]} is not among the tested {low[0]}.{low[1]} to {high[0]}.{high[1]}"
    if not inspect.iscoroutinefunction(Parser.parse) or "data" not in inspect.signature(Parser.parse).parameters:
        return "the client's parser has another shape"
    if list(inspect.signature(Client._process_msg).parameters) != [
        "self",
        "sid",
        "subject",
        "reply",
        "data",
        "headers",
    ]:
        return "the client's message hook has another shape"
    if not isinstance(getattr(Client(), "_ps", None), Parser):
        return "the client keeps its parser elsewhere"
    return None
