"""PURE: what the service is doing, as one frozen value. The page, the command line and the probes show it.

`Status` copies numbers, it computes none: whoever owns a number fills it in.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Phase = Literal["starting", "running", "stopping"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person should look at, raised by the part that noticed.

    Attributes:
        code: one of `health.CODES`, the same in logs, alerts and run books.
        what: the fact, with its numbers.
        since_ns: when it began, UTC ns.
        next_step: what to do.
    """

    code: str
    what: str
    since_ns: int
    next_step: str


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """Where normal ends.

    Attributes:
        sync_stale_s: bytes may wait so long for their fdatasync; a good disk needs a millisecond.
        sync_dead_s: after this the log's thread hangs, and only a restart helps.
        sync_slow_s: an fdatasync may take so long, in the middle (median) of the last ones.
        stall_s: messages wait at the server, yet none came for so long.
        unflushed_max_s: a message may be in the log without being in a file for so long; a flush is due in seconds.
        pending_max: so many messages may wait at the server before we say that we lag.
        clock_skew_max_s: our clock may differ so much from the server's.
        quarantine_share_max: this share of a table's rows of the last minute may be rejected.
        quarantine_rows_min: fewer rejected rows in a minute are no flood.
    """

    sync_stale_s: float = 10.0
    sync_dead_s: float = 60.0
    sync_slow_s: float = 0.5
    stall_s: float = 30.0
    unflushed_max_s: float = 120.0
    pending_max: int = 1_000_000
    clock_skew_max_s: float = 2.0
    quarantine_share_max: float = 0.1
    quarantine_rows_min: int = 100


@dataclass(frozen=True, slots=True)
class NatsStatus:
    """The connection.

    Attributes:
        connected: whether it stands now.
        url: the server's address without user-info.
        server_version: None until the first connection.
        since_ns: when it came to stand, or broke, UTC ns.
        reconnects: connections made anew since start.
        refusal: why the server that answers does not let us in (credentials, TLS); empty when it does.
        clock_skew_s: the server's clock minus ours; None while unknown, and always in core mode.
        stock_parser: why messages take the slower way through the client's own parser; empty when they do not.
    """

    connected: bool
    url: str
    server_version: str | None
    since_ns: int
    reconnects: int = 0
    refusal: str = ""
    clock_skew_s: float | None = None
    stock_parser: str = ""


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table of a lane, since start.

    Attributes:
        rows: rows in committed files.
        files: files published.
        quarantined_rows: rows sent to quarantine.
        last_flush_ns: commit time of the newest file, UTC ns; None before the first.
        rows_recent: rows stored in the last minute.
        quarantined_rows_recent: rows sent to quarantine in the last minute.
    """

    rows: int = 0
    files: int = 0
    quarantined_rows: int = 0
    last_flush_ns: int | None = None
    rows_recent: int = 0
    quarantined_rows_recent: int = 0


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """One stream's way through the house.

    Attributes:
        name: lane, `market_data`.
        stream: NATS stream, `MARKET_DATA`.
        mode: `starting`; `position`: read from our own position; `explicit`: every message acked for itself (work
            queues); `core`.
        position: last stream sequence in the log; None before the first message and for core NATS.
        incarnation: which life of the stream `position` counts in.
        received: messages taken into the log since start; always stored + quarantined + duplicates + waiting.
        stored: messages with rows in committed files.
        quarantined: messages with no good row, in committed quarantine files.
        duplicates: deliveries of messages we had already.
        waiting: messages in the log that are not in files yet.
        missing: sequences the stream no longer had.
        pending: messages that wait at the server; None when unknown.
        ack_pending: messages the server sent us and has no ack for, when we last asked.
        redelivered: breaks in the order of delivery since start: something came twice or not in turn.
        dropped: core NATS only: messages lost before the log since start.
        last_message_ns: when the last message came, UTC ns; None before the first.
        last_flush_ns: time of the last commit, UTC ns; None before the first.
        lag_s: age of the newest committed message when it was committed; None before the first.
        wal_bytes: the log's size on disk.
        oldest_unflushed_s: age of the oldest waiting message; 0 when none waits.
        unsynced_since_ns: since when written bytes wait for their fdatasync, UTC ns; None when all are synced.
        sync_s: how long an fdatasync of the log takes, the median of the last ones; 0 while there were too few.
        commit_s: how long the commit under way takes already; 0 when there is none.
        tables: by table name.
    """

    name: str
    stream: str
    mode: str
    position: int | None = None
    incarnation: int = 0
    received: int = 0
    stored: int = 0
    quarantined: int = 0
    duplicates: int = 0
    waiting: int = 0
    missing: int = 0
    pending: int | None = None
    ack_pending: int = 0
    redelivered: int = 0
    dropped: int = 0
    last_message_ns: int | None = None
    last_flush_ns: int | None = None
    lag_s: float | None = None
    wal_bytes: int = 0
    oldest_unflushed_s: float = 0.0
    unsynced_since_ns: int | None = None
    sync_s: float = 0.0
    commit_s: float = 0.0
    tables: dict[str, TableStatus] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DiskStatus:
    """The disk of lake and log; the fuller one when they are two.

    Attributes:
        path: the folder that was measured.
        free_bytes: room left for us.
        total_bytes: size of the disk.
        min_free_bytes: intake pauses below.
        low_since_ns: since when there is less than that, UTC ns; None when there is room.
    """

    path: str
    free_bytes: int
    total_bytes: int
    min_free_bytes: int
    low_since_ns: int | None = None


@dataclass(frozen=True, slots=True)
class RecoveryStatus:
    """What the start found in the log.

    Attributes:
        done: whether everything found is in the lake.
        segments_found: segments of the life before, in the logs opened so far.
        segments_done: of these, in the lake by now.
        messages: messages found in them.
        torn_bytes: bytes of a cut write that were removed; never acked.
    """

    done: bool = False
    segments_found: int = 0
    segments_done: int = 0
    messages: int = 0
    torn_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """One look at the service.

    Attributes:
        version: of the program.
        identity: of the writer, as in file names.
        phase: starting, running or stopping.
        phase_since_ns: when the phase began, UTC ns.
        started_ns: start of the process, UTC ns.
        taken_ns: when this value was made, UTC ns.
        uptime_s: seconds since start, by a clock that never jumps.
        limits: where normal ends for this service.
    """

    version: str
    identity: str
    phase: Phase
    phase_since_ns: int
    started_ns: int
    taken_ns: int
    uptime_s: float
    nats: NatsStatus
    lanes: tuple[LaneStatus, ...]
    disk: DiskStatus
    recovery: RecoveryStatus
    alarms: tuple[Alarm, ...] = ()
    limits: HealthLimits = HealthLimits()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: dicts, lists, numbers, text, None."""
        return asdict(self)
