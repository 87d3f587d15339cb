import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ticklake.base.traces import LaneTraces, NoTraces
from ticklake.base.traces_otel import HEADERS_SAMPLED_MAX, PRODUCERS_MAX, OtelTraces, read_producers
from ticklake.schema.messages import MessageGroup
from ticklake.testing.messages import group_messages

NOW_NS = 1_734_359_400_000_000_000
NS = 1_000_000_000


@dataclass
class Committed:
    groups: tuple[MessageGroup, ...]
    number: int = 7

    @property
    def messages(self) -> int:
        return sum(map(len, self.groups))


def header(number: int, *, name: str = "traceparent", end: str = "") -> bytes:
    return f"NATS/1.0\r\nNats-Msg-Id: a\r\n{name}: 00-{number:032x}-{number:016x}-01{end}\r\n\r\n".encode()


def group(*headers: bytes | None) -> MessageGroup:
    return group_messages([(b"market.x", block, b"secret") for block in headers], ingest_ns=NOW_NS - NS)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(exporter: InMemorySpanExporter) -> Iterator[OtelTraces]:
    traces = OtelTraces(exporter, version="1")
    yield traces
    traces.close()


def commit(lane: LaneTraces, *groups: MessageGroup) -> None:
    lane.committed(Committed(groups), rows=3, file_bytes=99, took_s=0.5, now_ns=NOW_NS + NS)


def finished(traces: OtelTraces, exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    traces._provider.force_flush()
    return [span for span in exporter.get_finished_spans() if span.name == name]


def test_messages_without_a_trace_begin_one_per_segment(traces: OtelTraces, exporter: InMemorySpanExporter) -> None:
    lane, messages = traces.lane("gold"), group(None, b"NATS/1.0\r\ntraceparent: 00-zz-no-trace\r\n\r\n")
    lane.logged(messages, took_s=0.25, now_ns=NOW_NS)
    commit(lane, messages)
    later = [group(None), group(None)]
    for each in later:
        lane.logged(each, took_s=0.0, now_ns=NOW_NS)
    commit(lane, *later)
    assert finished(traces, exporter, "ticklake.commit")[1].parent == (
        finished(traces, exporter, "ticklake.receive")[1].get_span_context()
    )
    ((received, *_), (logged, *_), (committed, *_)) = (
        finished(traces, exporter, f"ticklake.{name}") for name in ("receive", "log", "commit")
    )
    assert received.parent is None
    assert logged.parent == committed.parent == received.get_span_context()
    assert (received.start_time, received.end_time) == (NOW_NS - NS, NOW_NS)
    assert (logged.start_time, logged.end_time) == (NOW_NS - NS // 4, NOW_NS)
    assert (committed.start_time, committed.end_time) == (NOW_NS + NS // 2, NOW_NS + NS)
    assert committed.attributes == {
        "ticklake.lane": "gold",
        "ticklake.segment": 7,
        "ticklake.messages": 2,
        "ticklake.rows": 3,
        "ticklake.bytes": 99,
    }
    assert "secret" not in "".join(span.to_json() for span in exporter.get_finished_spans())


def test_a_commit_continues_the_first_trace_and_links_the_others_within_bounds(
    traces: OtelTraces, exporter: InMemorySpanExporter
) -> None:
    lane = traces.lane("market_data")
    groups = [group(None), *(group(header(1 + 2 * n), header(2 + 2 * n)) for n in range(PRODUCERS_MAX))]
    for each in groups:
        lane.logged(each, took_s=0.0, now_ns=NOW_NS)
    commit(lane, *groups)
    (committed,) = finished(traces, exporter, "ticklake.commit")
    assert committed.context.trace_id == 1
    assert [link.context.span_id for link in committed.links] == list(range(1, PRODUCERS_MAX + 1))
    second = finished(traces, exporter, "ticklake.receive")[1]
    assert second.parent is not None
    assert (second.parent.span_id, [link.context.span_id for link in second.links]) == (1, [2])


def test_a_group_is_forgotten_with_its_segment(traces: OtelTraces, exporter: InMemorySpanExporter) -> None:
    lane, messages = traces.lane("market_data"), group(header(1))
    lane.logged(messages, took_s=0.0, now_ns=NOW_NS)
    commit(lane, messages)
    commit(lane, messages)
    assert len(finished(traces, exporter, "ticklake.commit")) == 1


def test_what_a_producer_did_not_sample_is_not_recorded(traces: OtelTraces, exporter: InMemorySpanExporter) -> None:
    lane, messages = traces.lane("market_data"), group(header(5).replace(b"-01", b"-00"))
    lane.logged(messages, took_s=0.0, now_ns=NOW_NS)
    commit(lane, messages)
    traces._provider.force_flush()
    assert exporter.get_finished_spans() == ()


def test_what_is_sent_names_the_span_that_sends(traces: OtelTraces, exporter: InMemorySpanExporter) -> None:
    with traces.publishing("market.x", stream="MARKET_DATA") as headers:
        (sent,) = read_producers([b"NATS/1.0\r\ntraceparent: " + headers["traceparent"].encode() + b"\r\n\r\n"])
    (published,) = finished(traces, exporter, "ticklake.publish")
    assert published.context.span_id == sent.span_id
    assert published.context.trace_id == sent.trace_id


def test_a_time_that_runs_backwards_gives_no_negative_span(traces: OtelTraces, exporter: InMemorySpanExporter) -> None:
    traces.lane("x").logged(group(None), took_s=0.1, now_ns=NOW_NS - 5 * NS)
    traces._provider.force_flush()
    assert all((span.start_time or 0) <= (span.end_time or 0) for span in exporter.get_finished_spans())


def test_header_names_have_any_case_and_bad_values_are_passed_over() -> None:
    good = [header(1), header(2, name="TraceParent"), header(3, name="TRACEPARENT")]
    bad = [
        header(0),
        header(4, name="x-traceparent"),
        header(5).replace(b"00-", b"ff-", 1),
        header(6)[:-20],
        b"",
        b"\xff" * 9,
        header(1),
    ]
    assert [context.span_id for context in read_producers([*bad, *good])] == [1, 2, 3]


def test_producers_are_bounded() -> None:
    found = read_producers(header(1 + number) for number in range(2 * PRODUCERS_MAX))
    assert [context.span_id for context in found] == list(range(1, PRODUCERS_MAX + 1))


def test_only_the_first_headers_of_a_group_are_looked_at(traces: OtelTraces) -> None:
    looked = 0

    class Headers(dict[int, bytes]):
        def values(self) -> Iterator[bytes]:  # type: ignore[override]
            nonlocal looked
            for block in super().values():
                looked += 1
                yield block

    @dataclass
    class Many:
        ingest_ns: int = NOW_NS
        payload_bytes: int = 0

        @property
        def headers(self) -> Mapping[int, bytes]:
            return Headers(dict.fromkeys(range(20_000), header(1)))

        def __len__(self) -> int:
            return 20_000

    traces.lane("market_data").logged(Many(), took_s=0.0, now_ns=NOW_NS)
    assert looked == HEADERS_SAMPLED_MAX


def test_off_costs_nothing() -> None:
    assert NoTraces().lane("market_data") is None  # so the writer has no one to call
    with NoTraces().publishing("market.x", stream="MARKET_DATA") as headers:
        assert headers == {}


def test_an_exporter_that_hangs_is_given_up_on_close() -> None:
    class Stuck(InMemorySpanExporter):
        def __init__(self) -> None:
            super().__init__()
            self.told = threading.Event()

        def export(self, _spans: object) -> NoReturn:  # type: ignore[override]
            assert self.told.wait(60), "close never told the exporter to give up"
            raise ConnectionError("given up")

        def shutdown(self) -> None:
            self.told.set()

    exporter = Stuck()
    traces = OtelTraces(exporter, version="1", give_up_s=0.05)
    traces.lane("x").logged(group(None), took_s=0.0, now_ns=NOW_NS)
    traces.close()
    assert exporter.told.is_set()
