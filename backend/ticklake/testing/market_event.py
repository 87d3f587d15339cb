"""One event of the simulated market, and its bytes."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

SOURCE = "sim"


class SimulatedEvent(NamedTuple):
    """Something the market says (a tuple, because there are millions).

    Attributes:
        event_ns: when it happened, UTC ns; never falls from one event to the next.
        subject: the NATS subject it belongs on.
        payload: the wire object. Read it, do not edit it: snapshots share their book levels.
    """

    event_ns: int
    subject: str
    payload: dict[str, object]


_encoder = msgspec.json.Encoder()


def encode(event: SimulatedEvent) -> bytes:
    """The payload as JSON, as it goes on the wire."""
    return _encoder.encode(event.payload)
