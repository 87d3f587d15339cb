"""The running parts -> Status. Copies numbers; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ticklake.base.clock import Clock
from ticklake.base.settings import Settings
from ticklake.service.status import (
    Alarm,
    DiskStatus,
    LaneStatus,
    NatsStatus,
    Phase,
    RecoveryStatus,
    Status,
    TableStatus,
)
from ticklake.sink.feed import Bus, Feed
from ticklake.sink.tier import TierWriter
from ticklake.sink.writer import LaneWriter

_REGRESSED = (
    "check the NATS server's disk and sync_interval; the lake holds both lives of the stream, told apart by incarnation"
)


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
        self._alarm_since_ns: dict[tuple[str, str], int] = {}
        self._disk_low_since_ns: int | None = None

    def take(self) -> Status:
        """One look at everything."""
        now_ns, now_s = self._clock.wall_ns(), self._clock.monotonic_s()
        return Status(
            version=self._version,
            identity=next((tier.identity for tier in self._tiers if tier.identity), ""),
            phase=self._phase.phase,
            phase_since_ns=self._phase.since_ns,
            started_ns=self._phase.started_ns,
            taken_ns=now_ns,
            uptime_s=now_s - self._phase.started_s,
            nats=_nats(self._bus.facts),
            lanes=tuple(
                self._lane(writer, feed, now_s)
                for tier in self._tiers
                for writer, feed in zip(tier.writers, tier.feeds, strict=True)
            ),
            disk=self._disk(now_ns),
            recovery=self._recovery(),
            alarms=tuple(self._alarms(now_ns)),
        )

    def _lane(self, writer: LaneWriter, feed: Feed, now_s: float) -> LaneStatus:
        counts, lane = writer.counts, writer.lane
        position = lane.position
        waiting_since_s = writer.waiting_since_s
        tables = {
            name: TableStatus(
                rows=counts.rows.get(name, 0),
                files=counts.table_files.get(name, 0),
                quarantined_rows=counts.quarantined_rows.get(name, 0),
                last_flush_ns=counts.last_commit_ns or None,
            )
            for name in sorted({*counts.rows, *counts.quarantined_rows})
        }
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
            last_message_ns=writer.last_append_ns or None,
            last_flush_ns=counts.last_commit_ns or None,
            lag_s=counts.lag_s if counts.last_commit_ns else None,
            wal_bytes=lane.waiting_bytes,
            oldest_unflushed_s=max(0.0, now_s - waiting_since_s) if waiting_since_s is not None else 0.0,
            unsynced_since_ns=writer.unsynced_since_ns,
            tables=tables,
        )

    def _disk(self, now_ns: int) -> DiskStatus:
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
            self._disk_low_since_ns = now_ns
        return DiskStatus(str(path), usage.free, usage.total, minimum, self._disk_low_since_ns)

    def _recovery(self) -> RecoveryStatus:
        reports = [report for tier in self._tiers for report in tier.recoveries]
        segments = sum(report.segments for report in reports)
        return RecoveryStatus(
            done=self._phase.phase != "starting",
            segments_found=segments,
            segments_done=segments,
            messages=sum(report.messages for report in reports),
            torn_bytes=sum(report.torn_bytes for report in reports),
        )

    def _alarms(self, now_ns: int) -> list[Alarm]:
        alarms = []
        for tier in self._tiers:
            for writer, feed in zip(tier.writers, tier.feeds, strict=True):
                if writer.out_of_room_since_ns is not None:
                    alarms.append(
                        Alarm(
                            "out_of_room",
                            f"{writer.name}: the disk is full",
                            writer.out_of_room_since_ns,
                            "free disk space; intake resumes by itself",
                        )
                    )
                if feed.state.alarm:
                    since_ns = self._since((writer.name, feed.state.alarm), now_ns)
                    alarms.append(Alarm("stream_regressed", f"{writer.name}: {feed.state.alarm}", since_ns, _REGRESSED))
                is_connected = bool(self._bus.facts["connected"])  # else that is the reason, and is told once
                if feed.state.problem and is_connected and self._phase.phase == "running":
                    since_ns = self._since((writer.name, "unbound"), now_ns)
                    what = f"{writer.name}: {feed.state.problem}"
                    alarms.append(Alarm("consumer_stalled", what, since_ns, "see the text; the service keeps trying"))
                else:
                    self._alarm_since_ns.pop((writer.name, "unbound"), None)
                    if self._phase.phase == "running" and not feed.state.is_bound:  # what is published now may be lost
                        what = f"{writer.name}: binding the consumer"
                        alarms.append(Alarm("starting", what, self._phase.since_ns, "wait a few seconds"))
        return alarms

    def _since(self, key: tuple[str, str], now_ns: int) -> int:
        return self._alarm_since_ns.setdefault(key, now_ns)


def existing(folder: Path) -> Path:
    """The folder, or the nearest parent that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _nats(facts: Mapping[str, object]) -> NatsStatus:
    version = facts["server_version"]
    return NatsStatus(
        connected=bool(facts["connected"]),
        url=str(facts["url"]),
        server_version=None if version is None else str(version),
        since_ns=int(str(facts["since_ns"])),
        reconnects=int(str(facts["reconnects"])),
    )
