"""What the feeds need of a connection to NATS: `NatsBus` is real, `testing.jetstream.FakeJetStream` a model."""

from __future__ import annotations

from typing import Protocol

from ticklake.ingest.intake import Intake


class Wire(Protocol):
    """One connection that heals itself."""

    @property
    def generation(self) -> int:
        """Grows with every connection made or lost; a feed that sees it change makes its consumer anew."""
        ...

    @property
    def inbox_prefix(self) -> str:
        """Our own corner of the subject space, e.g. `_INBOX_ticklake`."""
        ...

    async def wait_connected(self, timeout_s: float) -> bool:
        """Wait so long for the connection to stand. Gives whether it does."""
        ...

    async def request(self, subject: str, payload: bytes) -> bytes:
        """Send and wait for one answer.

        Raises:
            UnavailableError: no answer in time, nobody there, or not connected. Try again later.
        """
        ...

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Send without an answer. Never raises for a lost connection: what matters is confirmed elsewhere."""
        ...

    async def attach(self, subject: str, intake: Intake) -> int:
        """Subscribe, and wait until the server knows; every message goes to the intake. Gives a number for `detach`."""
        ...

    async def detach(self, number: int) -> None:
        """Unsubscribe."""
        ...
