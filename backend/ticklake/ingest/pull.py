"""Asking a pull consumer for messages, and understanding its answers. One object per life of a consumer.

We always know how many messages we have asked for and not received. Not asking is our only brake, and it is enough.
"""

from __future__ import annotations

import msgspec

from ticklake.base.clock import Clock
from ticklake.ingest.intake import Intake
from ticklake.ingest.wire import Wire

HEARTBEAT_S = 5.0
SILENCE_S = 2.5 * HEARTBEAT_S
_EXPIRES_S = 30.0
_NS = 1_000_000_000
_WINDOW_MESSAGES = (256, 20_000)  # more would not drain within the grace time on a slow disk
_WINDOW_BYTES = 16 * 1024 * 1024  # what may be on its way to us beyond the open segment
_REQUEST_BYTES_MAX = 2 * _WINDOW_BYTES  # holds while sizes are not known yet; a full window never comes near it

_HEARTBEAT, _NO_MESSAGES, _TIMEOUT, _CONFLICT = 100, 404, 408, 409
_TOO_BIG = "Message Size Exceeds MaxBytes"
_COMPLETED = "Batch Completed"  # all messages of the request came, and bytes of it were left


class PullSession:
    """Keeps a window of asked-for messages open.

    Attributes:
        asked: messages asked for that have not come yet.
    """

    def __init__(self, wire: Wire, intake: Intake, *, stream: str, consumer: str, inbox: str, clock: Clock) -> None:
        self.asked = 0
        self._wire = wire
        self._intake = intake
        self._clock = clock
        self._heard_s = clock.monotonic_s()  # when a frame came, or we asked
        self._frames = intake.frames
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = inbox
        self._requests = 0
        self._is_next_too_big = False
        self._window = _WINDOW_MESSAGES[0]

    def received(self, messages: int, payload_bytes: int) -> None:
        """Messages came. Sizes the window so that what is on its way stays within its share of memory."""
        self.asked = max(0, self.asked - messages)
        average = max(1, payload_bytes // max(1, messages))
        low, high = _WINDOW_MESSAGES
        self._window = max(min(low, self._window), min(high, self._window * 2, _WINDOW_BYTES // average))
        self._window = max(1, min(self._window, _WINDOW_BYTES // average))

    async def top_up(self) -> None:
        """Ask for more when half of the window is used up."""
        if self._is_next_too_big:
            self._is_next_too_big = False
            await self._ask(1, {})  # whatever its size; the limit of the server bounds it
        if self.asked <= self._window // 2:
            await self._ask(self._window - self.asked, {"max_bytes": _REQUEST_BYTES_MAX})

    async def _ask(self, batch: int, limit: dict[str, int]) -> None:
        self._requests += 1
        ask = {"batch": batch, "expires": int(_EXPIRES_S * _NS), "idle_heartbeat": int(HEARTBEAT_S * _NS)} | limit
        self.asked += batch
        self._heard_s = self._clock.monotonic_s()
        await self._wire.publish(self._subject, msgspec.json.encode(ask), reply=f"{self._inbox}.{self._requests}")

    def patience_s(self) -> float | None:
        """How much longer the server may be silent, 0 when it was for too long; None: we asked for nothing.

        A wake that brings no frame changes nothing.
        """
        now_s = self._clock.monotonic_s()
        if self._intake.frames != self._frames:
            self._frames, self._heard_s = self._intake.frames, now_s
        return max(0.0, self._heard_s + SILENCE_S - now_s) if self.asked else None

    def read_statuses(self) -> str | None:
        """Handle the answers that are not messages. Gives the reason when the consumer must be made anew."""
        broken = None
        for _, header in self._intake.take_statuses():
            code, text, pending = parse_status(header)
            if code == _HEARTBEAT:
                continue
            if code == _CONFLICT and text == _TOO_BIG:  # for what is left of the request, or for all of it
                self._is_next_too_big = True
            if code in (_NO_MESSAGES, _TIMEOUT) or (code == _CONFLICT and text in (_TOO_BIG, _COMPLETED)):
                self.asked = max(0, self.asked - (pending if pending is not None else self.asked))
            else:
                broken = f"{code} {text}".strip()
        return broken


def parse_status(header: bytes) -> tuple[int, str, int | None]:
    r"""A status header block (`NATS/1.0 408 Request Timeout\r\n...`) -> code, text, messages it takes back.

    A block without a code gives 0: not an answer we know, so the consumer is made anew.
    """
    first, _, rest = header.partition(b"\r\n")
    words = first.split(b" ", 2)
    code = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    text = words[2].decode("utf-8", "replace").strip() if len(words) > 2 else ""
    for line in rest.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"nats-pending-messages" and value.strip().isdigit():
            return code, text, int(value)
    return code, text, None
