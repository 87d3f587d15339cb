"""The running parts -> Status. Copies numbers, and remembers what one look cannot tell: since when, and how fast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ticklake.base.clock import Clock
from ticklake.base.settings import Settings
from ticklake.service.alarms import AlarmBook, Notice, clock_notices, lane_notices
from ticklake.service.recent import Recent
from ticklake.service.status import (
    DiskStatus,
    HealthLimits,
    LaneStatus,
    NatsStatus,
    Phase,
    RecoveryStatus,
    Status,
    TableStatus,
)
from ticklake.sink.feed import Bus, Feed
from ticklake.sink.store_wait import DENIED, UNAVAILABLE
from ticklake.sink.tier import TierWriter
from ticklake.sink.writer import LaneWriter

_REGRESSED = (
    "check the NATS server's disk and sync_interval; the lake holds both lives of the stream, told apart by incarnation"
)
_STORE_STEPS = {
    DENIED: "check key, bucket and policy; it is tried again by itself, and the log keeps everything",
    UNAVAILABLE: "check the store and the network; it is tried again by itself, and the log keeps everything",
}


@dataclass(slots=True)
class ServicePhase:
    """Where in its life the service is."""

    phase: Phase
    since_ns: int
    started_ns: int
    started_s: float


class Snapshot:
    """Makes a Status whenever asked."""

    def __init__(
        self,
        settings: Settings,
        *,
        version: str,
        bus: Bus,
        tiers: Sequence[TierWriter],
        clock: Clock,
        phase: ServicePhase,
    ) -> None:
        self._settings = settings
        self._version = version
        self._bus = bus
        self._tiers = tiers
        self._clock = clock
        self._phase = phase
        self._limits = HealthLimits(**settings.health.model_dump())
        self._alarms = AlarmBook()
        self._recent = Recent()
        self._disk_low_since_ns: int | None = None
        self.measure_disk()

    def take(self) -> Status:
        """One look at everything, without waiting for anything: the disk as `measure_disk` found it last."""
        now_ns, now_s = self._clock.wall_ns(), self._clock.monotonic_s()
        nats = _nats(self._bus.facts, self._clock_skew_s())
        lanes = tuple(
            self._lane(writer, feed, now_s)
            for tier in self._tiers
            for writer, feed in zip(tier.writers, tier.feeds, strict=True)
        )
        return Status(
            version=self._version,
            identity=next((tier.identity for tier in self._tiers if tier.identity), ""),
            phase=self._phase.phase,
            phase_since_ns=self._phase.since_ns,
            started_ns=self._phase.started_ns,
            taken_ns=now_ns,
            uptime_s=now_s - self._phase.started_s,
            nats=nats,
            lanes=lanes,
            disk=self._disk,
            recovery=self._recovery(),
            alarms=self._alarms.enter(self._notices(nats, lanes, now_ns), now_ns),
            limits=self._limits,
        )

    def _lane(self, writer: LaneWriter, feed: Feed, now_s: float) -> LaneStatus:
        counts, lane = writer.counts, writer.lane
        position = lane.position
        waiting_since_s = writer.waiting_since_s
        tables = {name: self._table(writer, name, now_s) for name in sorted({*counts.rows, *counts.quarantined_rows})}
        return LaneStatus(
            name=writer.name,
            stream=lane.stream,
            mode=feed.state.mode,
            position=position.sequence or None,
            incarnation=position.incarnation,
            received=counts.received,
            stored=counts.stored,
            quarantined=counts.quarantined,
            duplicates=counts.duplicates,
            waiting=counts.received - counts.stored - counts.quarantined - counts.duplicates,
            missing=counts.missing,
            pending=feed.state.pending if feed.state.is_bound else None,
            ack_pending=feed.state.ack_pending,
            redelivered=feed.state.redelivered,
            dropped=feed.state.dropped,
            last_message_ns=writer.last_append_ns or None,
            last_flush_ns=counts.last_commit_ns or None,
            lag_s=counts.lag_s if counts.last_commit_ns else None,
            wal_bytes=lane.waiting_bytes,
            oldest_unflushed_s=max(0.0, now_s - waiting_since_s) if waiting_since_s is not None else 0.0,
            unsynced_since_ns=writer.unsynced_since_ns,
            sync_s=writer.sync_s,
            commit_s=writer.commit_s,
            tables=tables,
        )

    def _table(self, writer: LaneWriter, name: str, now_s: float) -> TableStatus:
        counts = writer.counts
        rows, rejected = counts.rows.get(name, 0), counts.quarantined_rows.get(name, 0)
        return TableStatus(
            rows=rows,
            files=counts.table_files.get(name, 0),
            quarantined_rows=rejected,
            last_flush_ns=counts.last_commit_ns or None,
            rows_recent=self._recent.growth((writer.name, name, "rows"), rows, now_s),
            quarantined_rows_recent=self._recent.growth((writer.name, name, "quarantined"), rejected, now_s),
        )

    def _clock_skew_s(self) -> float | None:
        """By the newest look of any feed; all have the same server."""
        skews = (feed.state.clock_skew_s for tier in self._tiers for feed in tier.feeds)
        return next((skew_s for skew_s in skews if skew_s is not None), None)

    def measure_disk(self) -> None:
        """Look at the disks. Blocks, for as long as a disk that hangs wants: never in the event loop once it runs."""
        root = self._settings.data_root
        own = {root} if isinstance(root, Path) else set()
        folders = {existing(folder) for folder in own | {self._settings.writer_state_dir()}}
        path, usage = min(
            ((folder, psutil.disk_usage(str(folder))) for folder in folders), key=lambda found: int(found[1].free)
        )
        minimum = int(self._settings.disk.min_free_bytes)
        if usage.free >= minimum:
            self._disk_low_since_ns = None
        elif self._disk_low_since_ns is None:
            self._disk_low_since_ns = self._clock.wall_ns()
        self._disk = DiskStatus(str(path), usage.free, usage.total, minimum, self._disk_low_since_ns)

    def _recovery(self) -> RecoveryStatus:
        reports = [report for tier in self._tiers for report in tier.recoveries]
        replays = [replay for tier in self._tiers for replay in tier.replays]
        return RecoveryStatus(
            done=self._phase.phase != "starting",
            segments_found=sum(replay.found for replay in replays),
            segments_done=sum(replay.done for replay in replays),
            messages=sum(report.messages for report in reports),
            torn_bytes=sum(report.torn_bytes for report in reports),
        )

    def _notices(self, nats: NatsStatus, lanes: Sequence[LaneStatus], now_ns: int) -> Iterator[Notice]:
        for wait in (wait for tier in self._tiers for wait in tier.store_waits):
            if (down := wait.down) is not None:
                what = f"{wait.name}: {down.text}"
                yield Notice(down.reason, wait.name, what, _STORE_STEPS[down.reason], down.since_ns)
        for tier in self._tiers:
            for writer, feed in zip(tier.writers, tier.feeds, strict=True):
                yield from self._feed_notices(writer, feed, is_connected=nats.connected)
        yield from clock_notices(nats, self._limits)
        for lane in lanes:
            yield from lane_notices(lane, self._limits, now_ns)

    def _feed_notices(self, writer: LaneWriter, feed: Feed, *, is_connected: bool) -> Iterator[Notice]:
        name, since_ns = writer.name, writer.out_of_room_since_ns
        if since_ns is not None:
            next_step = "free disk space; intake resumes by itself"
            yield Notice("out_of_room", name, f"{name}: the disk is full", next_step, since_ns)
        if feed.state.alarm:
            yield Notice("stream_regressed", f"{name}: {feed.state.alarm}", f"{name}: {feed.state.alarm}", _REGRESSED)
        if self._phase.phase != "running":
            return
        if feed.state.problem and is_connected:  # without a connection that is the reason, and is told once
            what = f"{name}: {feed.state.problem}"
            yield Notice("consumer_stalled", name, what, "see the text; the service keeps trying")
        elif is_connected and not feed.state.is_bound:  # what is published now may be lost
            what = f"{name}: binding the consumer"
            yield Notice("starting", name, what, "wait a few seconds", self._phase.since_ns)


def existing(folder: Path) -> Path:
    """The folder, or the nearest parent that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _nats(facts: Mapping[str, object], clock_skew_s: float | None) -> NatsStatus:
    version = facts["server_version"]
    return NatsStatus(
        connected=bool(facts["connected"]),
        url=str(facts["url"]),
        server_version=None if version is None else str(version),
        since_ns=int(str(facts["since_ns"])),
        reconnects=int(str(facts["reconnects"])),
        refusal=str(facts.get("refusal", "")),
        stock_parser=str(facts.get("fast_lane", "")),
        clock_skew_s=clock_skew_s,
    )
