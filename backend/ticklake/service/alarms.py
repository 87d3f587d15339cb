"""PURE: what the parts noticed -> alarms, each with the time since when it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ticklake.service.status import Alarm, HealthLimits, LaneStatus, NatsStatus

_NS = 1_000_000_000
_FRESH_S = 60.0  # a median of syncs that are older says nothing about the disk of now


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that is wrong now.

    Attributes:
        code: one of `health.CODES`.
        subject: what it is about (a lane, a table); with the code, its identity over time.
        what: the fact, with its numbers.
        next_step: what to do.
        since_ns: when it began, where the part knows; None: when it was first noticed.
    """

    code: str
    subject: str
    what: str
    next_step: str
    since_ns: int | None = None


class AlarmBook:
    """Remembers since when each alarm has held. One that was gone and comes back begins anew."""

    def __init__(self) -> None:
        self._since_ns: dict[tuple[str, str], int] = {}

    def enter(self, notices: Iterable[Notice], now_ns: int) -> tuple[Alarm, ...]:
        """All that is wrong now, as alarms."""
        found = list(notices)
        self._since_ns = {
            (notice.code, notice.subject): self._since_ns.get((notice.code, notice.subject), now_ns) for notice in found
        }
        return tuple(
            Alarm(
                notice.code,
                notice.what,
                self._since_ns[notice.code, notice.subject] if notice.since_ns is None else notice.since_ns,
                notice.next_step,
            )
            for notice in found
        )


def clock_notices(nats: NatsStatus, limits: HealthLimits) -> Iterator[Notice]:
    """Whether our clock and the server's agree."""
    skew_s = nats.clock_skew_s
    if skew_s is not None and abs(skew_s) > limits.clock_skew_max_s:
        yield Notice(
            "clock_skew",
            "clock",
            f"our clock is {abs(skew_s):.1f} s {'behind' if skew_s > 0 else 'ahead of'} the NATS server's",
            "synchronise both machines (NTP); lags are off by this much, and event times are judged by our clock",
        )


def lane_notices(lane: LaneStatus, limits: HealthLimits, now_ns: int) -> Iterator[Notice]:
    """Whether the disk of the log is fast enough, and whether the input is what the tables expect."""
    is_fresh = lane.last_message_ns is not None and now_ns - lane.last_message_ns < _FRESH_S * _NS
    if lane.sync_s > limits.sync_slow_s and is_fresh:
        yield Notice(
            "slow_disk",
            lane.name,
            f"lane {lane.name}: an fdatasync takes {lane.sync_s:.2f} s, the limit is {limits.sync_slow_s:g} s",
            "look at the disk of the state folder (`ticklake doctor`); acks wait for it, nothing is lost",
        )
    for table, counts in lane.tables.items():
        rejected, all_rows = counts.quarantined_rows_recent, counts.rows_recent + counts.quarantined_rows_recent
        if rejected >= limits.quarantine_rows_min and rejected > limits.quarantine_share_max * all_rows:
            yield Notice(
                "quarantine_flood",
                f"{lane.name}/{table}",
                f"lane {lane.name}: {rejected} of {all_rows} rows for {table} went to quarantine in the last minute",
                "see why with `ticklake quarantine ls`, then talk to the publisher; every message is kept whole",
            )
