"""How much of everything one message or one segment may hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds on hostile input. What exceeds them goes to quarantine, never away.

    Attributes:
        payload_bytes_max: largest payload taken apart; servers default to 1 MiB.
        batch_rows_max: most rows of one message: each may become a quarantine row.
        header_bytes_max: largest header block read.
        future_max_s: how far event times may lie ahead of our clock.
        partitions_max: most partitions one table may get from one segment.
    """

    payload_bytes_max: int = 8 * 2**20
    batch_rows_max: int = 200_000
    header_bytes_max: int = 16 * 2**10
    future_max_s: float = 86_400
    partitions_max: int = 2_000

    @property
    def future_max_ns(self) -> int:
        """`future_max_s` in nanoseconds."""
        return round(self.future_max_s * 1e9)
