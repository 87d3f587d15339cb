"""The numbers the service keeps for Prometheus. One `Metrics` per service, with a registry of its own: no globals.

Names read `ticklake_<part>_<what>_<unit>`. Labels come from small closed sets (lanes, tables, reasons); symbols and
subjects never become labels.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

# A good disk syncs in under a millisecond; a second is an incident.
_FSYNC_BUCKETS_S: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
# A micro-batch of a few thousand rows is written in tens of milliseconds.
_FLUSH_BUCKETS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)


class Metrics:
    """Counters, gauges and histograms of one service. Safe to use from every thread.

    Attributes named `*_total` only grow; each is a prometheus metric with the labels in its comment.
    """

    def __init__(self, *, version: str) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._describe_intake()
        self._describe_log()
        self._describe_lake()
        self.build_info = Gauge(
            "ticklake_build_info", "Always 1; the version is the label.", ["version"], registry=self.registry
        )
        self.build_info.labels(version=version).set(1)

    def _describe_intake(self) -> None:
        lane = ["lane"]
        self.messages_received_total = self._counter("ingest_messages_received", "Messages written to the log.", lane)
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
        self.out_of_room_total = self._counter("ingest_out_of_room", "Times intake paused for lack of disk space.", [])
        self.consumer_pending = self._gauge("ingest_consumer_pending", "Messages waiting at the server.", lane)
        self.end_to_end_lag_seconds = self._gauge(
            "ingest_end_to_end_lag_seconds", "Age of the newest committed message when it became readable.", lane
        )
        self.nats_connected = self._gauge("nats_connected", "1 while the connection stands.", [])
        self.nats_reconnects_total = self._counter("nats_reconnects", "Connections made anew.", [])

    def _describe_log(self) -> None:
        lane = ["lane"]
        self.wal_bytes = self._gauge("wal_bytes", "Size of the log on disk.", lane)
        self.wal_oldest_unflushed_seconds = self._gauge(
            "wal_oldest_unflushed_seconds", "Age of the oldest message that is not in a file yet.", lane
        )
        self.wal_fsync_seconds = self._histogram(
            "wal_fsync_seconds", "Time of one fdatasync of the log.", lane, _FSYNC_BUCKETS_S
        )

    def _describe_lake(self) -> None:
        lane = ["lane"]
        self.flush_seconds = self._histogram(
            "lake_flush_seconds", "Time from a closed segment to its commit.", lane, _FLUSH_BUCKETS_S
        )
        self.flush_rows_total = self._counter("lake_flush_rows", "Rows in committed files.", lane)
        self.rows_stored_total = self._counter("lake_rows_stored", "Rows stored in a table.", ["table"])
        self.files_total = self._counter("lake_files", "Files published in a table.", ["table"])
        self.commit_total = self._counter("lake_commit", "Commits by result: ok, repeated, failed.", ["result"])

    def render(self, accept: str) -> tuple[bytes, str]:
        """The page for a scraper, and its content type, in the best format named by its `Accept` header."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    def _counter(self, name: str, doc: str, labels: list[str]) -> Counter:
        return Counter(f"ticklake_{name}", doc, labels, registry=self.registry)

    def _gauge(self, name: str, doc: str, labels: list[str]) -> Gauge:
        return Gauge(f"ticklake_{name}", doc, labels, registry=self.registry)

    def _histogram(self, name: str, doc: str, labels: list[str], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"ticklake_{name}", doc, labels, buckets=buckets, registry=self.registry)
