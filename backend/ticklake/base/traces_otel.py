"""Traces through OpenTelemetry, sent by OTLP/HTTP. Imported only when switched on; needs `ticklake[otel]`.

Endpoint, headers, sampler, limits and service name are the standard `OTEL_*` environment, read by the SDK. Spans are
made after the fact, with the times the lane measured anyway, and sent by a thread of the SDK, which drops spans rather
than wait for a collector.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from threading import Timer
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Tracer, set_span_in_context
from opentelemetry.trace import get_current_span as span_of
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ticklake.base.traces import Committed, LaneTraces, Logged

PRODUCERS_MAX: Final = 32  # links of one span: enough to find the way back, few enough to send
HEADERS_SAMPLED_MAX: Final = 256  # header blocks looked at per group, from the first on
_GIVE_UP_S: Final = 3.0  # spans are not worth a slow stop
_NS: Final = 1_000_000_000
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_TRACEPARENT: Final = re.compile(rb"\ntraceparent:[ \t]*([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})\b", re.I)


class OtelTraces:
    """Spans to a collector."""

    def __init__(self, exporter: SpanExporter, *, version: str, give_up_s: float = _GIVE_UP_S) -> None:
        """Start the thread that sends.

        Args:
            exporter: knows where to; `OTLPSpanExporter()` asks the environment.
            version: of the program.
            give_up_s: `close` tells an exporter that still retries then to stop.
        """
        own = Resource({"service.name": "ticklake", "service.version": version})
        self._exporter = exporter
        self._give_up_s = give_up_s
        self._provider = TracerProvider(
            resource=Resource.create().merge(own).merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("ticklake", version)

    def lane(self, name: str) -> LaneTraces:
        """The spans of one lane."""
        return OtelLaneTraces(self._tracer, name)

    @contextmanager
    def publishing(self, subject: str, *, stream: str) -> Iterator[Mapping[str, str]]:
        """A producer's span around messages that we send. Gives their headers."""
        attributes = {
            "messaging.system": "nats",
            "messaging.operation.type": "send",
            "messaging.destination.name": subject,
            "ticklake.stream": stream,
        }
        with self._tracer.start_as_current_span(
            "ticklake.publish", kind=SpanKind.PRODUCER, attributes=attributes
        ) as span:
            headers: dict[str, str] = {}
            _PROPAGATOR.inject(headers, set_span_in_context(span))
            yield headers

    def close(self) -> None:
        """Send what waits; give up after seconds."""
        timer = Timer(self._give_up_s, self._exporter.shutdown)
        timer.daemon = True
        timer.start()
        self._provider.shutdown()
        timer.cancel()


@dataclass(frozen=True, slots=True)
class _Receipt:
    """What is kept of a group until its segment is committed."""

    span: SpanContext
    producers: tuple[SpanContext, ...]


class OtelLaneTraces:
    """Two spans per group, receive and log, and one per segment."""

    def __init__(self, tracer: Tracer, lane: str) -> None:
        self._tracer = tracer
        self._lane = lane
        self._receipts: dict[int, _Receipt] = {}  # by identity of the group, which its segment keeps alive

    def logged(self, group: Logged, *, took_s: float, now_ns: int) -> None:
        """From taking the group until it was durable, and within that the write to the log."""
        producers = read_producers(islice(group.headers.values(), HEADERS_SAMPLED_MAX))
        received = self._tracer.start_span(
            "ticklake.receive",
            _below(producers[0]) if producers else Context(),
            SpanKind.CONSUMER,
            {
                "messaging.system": "nats",
                "messaging.operation.type": "receive",
                "messaging.batch.message_count": len(group),
                "ticklake.lane": self._lane,
                "ticklake.bytes": group.payload_bytes,
            },
            [Link(producer) for producer in producers[1:]],
            group.ingest_ns,
        )
        self._receipts[id(group)] = _Receipt(received.get_span_context(), producers)
        self._end_child(
            received, "ticklake.log", begin_ns=max(group.ingest_ns, now_ns - int(took_s * _NS)), now_ns=now_ns
        )
        received.end(max(group.ingest_ns, now_ns))

    def committed(self, segment: Committed, *, rows: int, file_bytes: int, took_s: float, now_ns: int) -> None:
        """Below the span of the first group that a producer traced, else of the first; linked to the producers."""
        receipts = [receipt for group in segment.groups if (receipt := self._receipts.pop(id(group), None)) is not None]
        if not receipts:
            return
        parent = next((receipt for receipt in receipts if receipt.producers), receipts[0])
        producers = {producer.span_id: producer for receipt in receipts for producer in receipt.producers}
        span = self._tracer.start_span(
            "ticklake.commit",
            _below(parent.span),
            SpanKind.INTERNAL,
            {
                "ticklake.lane": self._lane,
                "ticklake.segment": segment.number,
                "ticklake.messages": segment.messages,
                "ticklake.rows": rows,
                "ticklake.bytes": file_bytes,
            },
            [Link(producer) for producer in islice(producers.values(), PRODUCERS_MAX)],
            now_ns - int(took_s * _NS),
        )
        span.end(now_ns)

    def _end_child(self, parent: Span, name: str, *, begin_ns: int, now_ns: int) -> None:
        child = self._tracer.start_span(
            name, set_span_in_context(parent, Context()), attributes={"ticklake.lane": self._lane}, start_time=begin_ns
        )
        child.end(max(begin_ns, now_ns))


def read_producers(blocks: Iterable[bytes]) -> tuple[SpanContext, ...]:
    """The distinct trace contexts in header blocks, at most `PRODUCERS_MAX`. What is no valid one is passed over."""
    found: dict[bytes, SpanContext] = {}
    for block in blocks:
        match = _TRACEPARENT.search(block)
        if match is None or match[1] in found:
            continue
        context = span_of(_PROPAGATOR.extract({"traceparent": match[1].decode().lower()}, Context())).get_span_context()
        if context.is_valid:
            found[match[1]] = context
        if len(found) == PRODUCERS_MAX:
            break
    return tuple(found.values())


def _below(context: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(context), Context())
