"""PURE: Status -> live? ready? and if not, why not and what to do.

Live means: the process does its own work; restart it when it is not. It never depends on NATS, because a restart does
not mend a server. Ready means: messages flow from NATS into files without delay and without alarm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from ticklake.service.status import Alarm, HealthLimits, LaneStatus, NatsStatus, Status

CODES: Final = frozenset(
    {
        "starting",
        "stopping",
        "nats_disconnected",
        "nats_refused",
        "clock_skew",
        "consumer_stalled",
        "stream_regressed",
        "quarantine_flood",
        "disk_low",
        "out_of_room",
        "slow_disk",
        "wal_sync_stale",
        "commit_failing",
        "storage_denied",
        "storage_unavailable",
        "backlog",
    }
)
"""All codes, for alerts and run books; `backend/docs/runbooks` says what to do about each.

Those of a part that noticed by itself come as alarms: `stream_regressed`, `out_of_room`, `slow_disk`, `clock_skew`,
`quarantine_flood`, `storage_denied` (the object store says no) and `storage_unavailable` (it does not answer). The
others are read off the numbers here.
"""
_PAUSING: Final = frozenset({"out_of_room", "storage_denied", "storage_unavailable"})

_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of a probe.

    Attributes:
        ok: whether nothing is wrong.
        reasons: what is wrong, oldest first; empty when ok.
    """

    ok: bool
    reasons: tuple[Alarm, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def liveness(status: Status, now_ns: int, limits: HealthLimits | None = None) -> Health:
    """Whether the process works. That it answers at all shows that its event loop turns."""
    limits = limits or status.limits
    return _health(reason for lane in status.lanes for reason in _sync(lane, now_ns, limit_s=limits.sync_dead_s))


def readiness(status: Status, now_ns: int, limits: HealthLimits | None = None) -> Health:
    """Whether messages flow into files; `limits` instead of the service's own when given."""
    limits = limits or status.limits
    return _health(_not_ready(status, now_ns, limits))


def startup(status: Status) -> Health:
    """Whether the log left by the last run is in the lake and the workers run."""
    return _health(_starting(status))


def _not_ready(status: Status, now_ns: int, limits: HealthLimits) -> Iterator[Alarm]:
    yield from _starting(status)
    if status.phase == "stopping":
        yield Alarm("stopping", "the service drains and ends", status.phase_since_ns, "wait, or start another one")
    yield from status.alarms
    if not status.nats.connected:
        yield _not_connected(status.nats)
    if status.disk.low_since_ns is not None:
        yield Alarm(
            "disk_low",
            f"{status.disk.path}: {status.disk.free_bytes} bytes free, below {status.disk.min_free_bytes}",
            status.disk.low_since_ns,
            "free space or enlarge the disk; intake goes on by itself when there is room",
        )
    for lane in status.lanes:
        yield from _sync(lane, now_ns, limit_s=limits.sync_stale_s)
        yield from _flow(lane, status, now_ns, limits)


def _not_connected(nats: NatsStatus) -> Alarm:
    if nats.refusal:
        return Alarm(
            "nats_refused",
            f"{nats.url} does not let us in: {nats.refusal}",
            nats.since_ns,
            "check user, password, key file and certificates on both sides; we keep trying and nothing is lost",
        )
    return Alarm(
        "nats_disconnected",
        f"no connection to {nats.url}",
        nats.since_ns,
        "check the server and the network; we reconnect by ourselves and nothing is lost on a JetStream stream",
    )


def _starting(status: Status) -> Iterator[Alarm]:
    found, done = status.recovery.segments_found, status.recovery.segments_done
    if not status.recovery.done:
        what = f"replaying the log: {done} of {found} segments are in the lake"
        yield Alarm("starting", what, status.started_ns, "wait; the log of the last run goes first")
    elif status.phase == "starting":
        yield Alarm("starting", "connecting and binding consumers", status.phase_since_ns, "wait a few seconds")


def _sync(lane: LaneStatus, now_ns: int, *, limit_s: float) -> Iterator[Alarm]:
    since_ns = lane.unsynced_since_ns
    if since_ns is not None and now_ns - since_ns > limit_s * _NS:
        yield Alarm(
            "wal_sync_stale",
            f"lane {lane.name}: bytes wait {(now_ns - since_ns) / _NS:.1f} s for their fdatasync",
            since_ns,
            "look at the disk of the state folder (`ticklake doctor`); unsynced messages are not acked and come again",
        )


def _flow(lane: LaneStatus, status: Status, now_ns: int, limits: HealthLimits) -> Iterator[Alarm]:
    pending = lane.pending or 0
    moved_ns = max(lane.last_message_ns or 0, status.started_ns, status.nats.since_ns)
    paused = status.disk.low_since_ns is not None or any(alarm.code in _PAUSING for alarm in status.alarms)
    if pending and status.nats.connected and not paused and now_ns - moved_ns > limits.stall_s * _NS:
        yield Alarm(
            "consumer_stalled",
            f"lane {lane.name}: {pending} messages wait at the server, none came for {(now_ns - moved_ns) / _NS:.0f} s",
            moved_ns,
            f"look at the consumer of {lane.stream} (another service on it? max_ack_pending reached?)",
        )
    if lane.commit_s > limits.stall_s and not paused:  # with a pause its cause is told
        yield Alarm(
            "commit_failing",
            f"lane {lane.name}: a commit has been under way for {lane.commit_s:.0f} s and nothing says why",
            now_ns - int(lane.commit_s * _NS),
            "look at the disk or store of the lake (a mount that hangs?); the log keeps everything",
        )
    if pending > limits.pending_max or lane.oldest_unflushed_s > limits.unflushed_max_s:
        yield Alarm(
            "backlog",
            f"lane {lane.name}: {pending} messages wait at the server, "
            f"the oldest in the log waits {lane.oldest_unflushed_s:.0f} s for its file",
            now_ns - int(lane.oldest_unflushed_s * _NS),
            "wait while it catches up; if it grows, look at disk and processor, or raise bronze.flush_rows",
        )


def _health(reasons: Iterator[Alarm]) -> Health:
    sorted_reasons = tuple(sorted(reasons, key=lambda reason: (reason.since_ns, reason.code)))
    return Health(not sorted_reasons, sorted_reasons)
