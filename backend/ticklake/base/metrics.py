"""The numbers the service keeps for Prometheus. One `Metrics` per service, with a registry of its own: no globals.

Names read `ticklake_<part>_<what>_<unit>`. Labels come from small closed sets (lanes, tables, reasons); symbols and
subjects never become labels. Labels that are known beforehand are there from the start, at zero: a counter that appears
with its first event shows no increase to Prometheus.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import nan
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

COMMIT_RESULTS: Final = ("ok", "conflict", "unknown", "out_of_room", "failed")
INCARNATION_REASONS: Final = ("first", "stream_recreated", "stream_regressed", "sequence_reused")
JOBS: Final = ("commit", "recovery")

# A good disk syncs in under a millisecond; a second is an incident.
_FSYNC_BUCKETS_S: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
# A micro-batch of a few thousand rows is written in tens of milliseconds.
_FLUSH_BUCKETS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
# A request to a store nearby takes milliseconds, one that is retried seconds.
_STORAGE_BUCKETS_S: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """What a metric is, for the reference page and for checks of rules and dashboards.

    Attributes:
        name: as in queries; of a histogram without `_bucket`, `_sum`, `_count`.
        kind: counter, gauge or histogram.
        labels: their names.
        doc: what it says, one sentence.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    doc: str


class Metrics:
    """Counters, gauges and histograms of one service. Safe to use from every thread.

    Attributes named `*_total` only grow. `facts` describes every metric, in the order of the page.
    """

    def __init__(self, *, version: str, revision: str = "unknown") -> None:
        """Make every metric.

        Args:
            version: of the program.
            revision: commit it was built from.
        """
        self.registry = CollectorRegistry(auto_describe=True)
        self.facts: list[MetricFacts] = []
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._describe_service()
        self._describe_intake()
        self._describe_nats()
        self._describe_log()
        self._describe_lake()
        self._describe_storage()
        self.build_info = self._gauge(
            "build_info", "Always 1; version and revision are labels.", ["version", "revision"]
        )
        self.build_info.labels(version, revision).set(1)

    def _describe_service(self) -> None:
        self.service_ready = self._gauge("service_ready", "1 while /readyz says 200.", [])
        self.service_not_ready_info = self._gauge(
            "service_not_ready_info", "1 for each reason that /readyz gives, 0 for the others.", ["reason"]
        )
        self.job_last_success_timestamp_seconds = self._gauge(
            "job_last_success_timestamp_seconds",
            "When a job last succeeded, Unix time: commit (a segment is in the lake), recovery (the start).",
            ["job"],
        )

    def _describe_intake(self) -> None:
        lane = ["lane"]
        self.messages_received_total = self._counter("ingest_messages_received", "Messages written to the log.", lane)
        self.received_bytes_total = self._counter("ingest_received_bytes", "Payload bytes written to the log.", lane)
        self.messages_rejected_total = self._counter(
            "ingest_messages_rejected", "Messages and rows sent to quarantine.", ["lane", "reason"]
        )
        self.duplicates_total = self._counter("ingest_duplicates", "Deliveries of a message we had already.", lane)
        self.missing_total = self._counter(
            "ingest_missing", "Sequences the stream no longer had when we came to them.", lane
        )
        self.redelivered_total = self._counter("ingest_redelivered", "Messages the server sent again.", lane)
        self.incarnations_total = self._counter(
            "ingest_incarnations", "New lives of the stream: it was purged, restored or made anew.", ["lane", "reason"]
        )
        self.core_dropped_total = self._counter(
            "ingest_core_dropped", "Core NATS messages the client dropped before we saw them.", lane
        )
        self.core_gap_seconds_total = self._counter(
            "ingest_core_gap_seconds",
            "Time without the core NATS subscriptions; what was sent meanwhile is lost.",
            lane,
        )
        self.out_of_room_total = self._counter("ingest_out_of_room", "Times intake paused for lack of disk space.", [])
        self.consumer_pending = self._gauge("ingest_consumer_pending", "Messages waiting at the server.", lane)
        self.consumer_ack_pending = self._gauge(
            "ingest_consumer_ack_pending", "Messages the server delivered and has no ack for.", lane
        )
        self.end_to_end_lag_seconds = self._gauge(
            "ingest_end_to_end_lag_seconds", "Age of the newest committed message when it became readable.", lane
        )

    def _describe_nats(self) -> None:
        self.nats_connected = self._gauge("nats_connected", "1 while the connection stands.", [])
        self.nats_reconnects_total = self._counter("nats_reconnects", "Connections made anew.", [])
        self.nats_clock_skew_seconds = self._gauge(
            "nats_clock_skew_seconds", "Clock of the NATS server minus ours; positive when the server is ahead.", []
        )
        for gauge in (self.nats_connected, self.nats_clock_skew_seconds):
            gauge.set(nan)  # while the log of the last run is replayed, nobody has tried yet

    def _describe_log(self) -> None:
        lane = ["lane"]
        self.wal_bytes = self._gauge("wal_bytes", "Size of the log on disk.", lane)
        self.wal_waiting_messages = self._gauge(
            "wal_waiting_messages", "Messages in the log that are not in a file yet.", lane
        )
        self.wal_oldest_unflushed_seconds = self._gauge(
            "wal_oldest_unflushed_seconds", "Age of the oldest message that is not in a file yet.", lane
        )
        self.wal_unsynced_seconds = self._gauge(
            "wal_unsynced_seconds",
            "How long the oldest written bytes wait for their fdatasync; 0 when none wait.",
            lane,
        )
        self.wal_fsync_seconds = self._histogram(
            "wal_fsync_seconds", "Time to write a group to the log and fdatasync it.", lane, _FSYNC_BUCKETS_S
        )

    def _describe_lake(self) -> None:
        lane = ["lane"]
        self.flush_seconds = self._histogram(
            "lake_flush_seconds", "Time from a closed segment to its commit.", lane, _FLUSH_BUCKETS_S
        )
        self.flush_rows_total = self._counter("lake_flush_rows", "Rows in committed files.", lane)
        self.rows_stored_total = self._counter("lake_rows_stored", "Rows stored in a table.", ["table"])
        self.files_total = self._counter("lake_files", "Files published in a table.", ["table"])
        self.file_bytes_total = self._counter("lake_file_bytes", "Bytes of files published in a table.", ["table"])
        self.commit_total = self._counter(
            "lake_commit",
            "Tries to commit a segment by result: ok; conflict (another file has our name); unknown (the store did "
            "not say, it is read back); out_of_room (tried again); failed (the service stops).",
            ["result"],
        )
        for result in COMMIT_RESULTS:
            self.commit_total.labels(result)

    def _describe_storage(self) -> None:
        self.storage_request_seconds = self._histogram(
            "storage_request_seconds",
            "Time of one request to the object store by operation and result.",
            ["op", "result"],
            _STORAGE_BUCKETS_S,
        )
        self.disk_free_bytes = self._gauge(
            "disk_free_bytes", "Free bytes on the disk of lake and log; on the fuller one when they are two.", []
        )
        self.disk_total_bytes = self._gauge("disk_total_bytes", "Size of that disk.", [])
        self.disk_free_min_bytes = self._gauge("disk_free_min_bytes", "Intake pauses below this much free space.", [])
        for gauge in (self.disk_free_bytes, self.disk_total_bytes, self.disk_free_min_bytes):
            gauge.set(nan)  # not measured yet is not a full disk

    def begin_lane(self, lane: str) -> None:
        """Show the numbers of a lane from now on, at zero until something happens."""
        for counter in (
            self.messages_received_total,
            self.received_bytes_total,
            self.duplicates_total,
            self.missing_total,
            self.redelivered_total,
            self.core_dropped_total,
            self.core_gap_seconds_total,
            self.flush_rows_total,
        ):
            counter.labels(lane)
        for reason in INCARNATION_REASONS:
            self.incarnations_total.labels(lane, reason)
        self.wal_fsync_seconds.labels(lane)
        self.flush_seconds.labels(lane)

    def show_readiness(self, reasons: Collection[str], *, known: Collection[str]) -> None:
        """Show what /readyz says.

        Args:
            reasons: codes of what is wrong now; none: ready.
            known: every code there is.
        """
        self.service_ready.set(not reasons)
        for code in {*known, *reasons}:
            self.service_not_ready_info.labels(code).set(code in reasons)

    def render(self, accept: str) -> tuple[bytes, str]:
        """The page for a scraper, and its content type, in the best format named by its `Accept` header."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    def _counter(self, name: str, doc: str, labels: list[str]) -> Counter:
        self._note(f"{name}_total", "counter", doc, labels)
        return Counter(f"ticklake_{name}", doc, labels, registry=self.registry)

    def _gauge(self, name: str, doc: str, labels: list[str]) -> Gauge:
        self._note(name, "gauge", doc, labels)
        return Gauge(f"ticklake_{name}", doc, labels, registry=self.registry)

    def _histogram(self, name: str, doc: str, labels: list[str], buckets: tuple[float, ...]) -> Histogram:
        self._note(name, "histogram", doc, labels)
        return Histogram(f"ticklake_{name}", doc, labels, buckets=buckets, registry=self.registry)

    def _note(self, name: str, kind: str, doc: str, labels: list[str]) -> None:
        self.facts.append(MetricFacts(f"ticklake_{name}", kind, tuple(labels), doc))
