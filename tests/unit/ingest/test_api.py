"""Times without loss, and the streams as they should be."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.base.clock import format_time
from ticklake.base.errors import ConfigError
from ticklake.ingest.api import JetStreamApi, StreamMissingError, parse_time_ns
from ticklake.ingest.streams import differences, init_stream, stream_config
from ticklake.testing.clock import ManualClock
from ticklake.testing.jetstream import FakeJetStream

CONSUMER = {"name": "c", "durable_name": "c", "deliver_policy": "all", "ack_policy": "all", "max_deliver": -1}


@given(st.integers(-30_610_224_000 * 10**9, 253_402_300_799 * 10**9))
def test_times_survive_the_round_trip_to_the_nanosecond(time_ns: int) -> None:
    """From the year 1000 on."""
    assert parse_time_ns(format_time(time_ns)) == time_ns


@pytest.mark.parametrize(
    ("text", "seconds", "fraction_ns"),
    [
        ("2026-01-02T03:04:05Z", 1_767_323_045, 0),
        ("2026-01-02T03:04:05.1Z", 1_767_323_045, 100_000_000),
        ("2026-01-02T03:04:05.123456789Z", 1_767_323_045, 123_456_789),
        ("2026-01-02T05:04:05.000000001+02:00", 1_767_323_045, 1),
        ("2026-01-01T22:04:05.5-05:00", 1_767_323_045, 500_000_000),
        ("2026-01-02T05:04:05+02:00", 1_767_323_045, 0),
        ("1969-12-31T23:59:59.999999999Z", -1, 999_999_999),
    ],
)
def test_a_time_of_any_precision_and_zone_is_exact(text: str, seconds: int, fraction_ns: int) -> None:
    assert parse_time_ns(text) == seconds * 10**9 + fraction_ns


def test_a_formatted_time_is_what_the_server_reads() -> None:
    moment_ns = int(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()) * 10**9 + 7
    assert format_time(moment_ns) == "2026-01-02T03:04:05.000000007Z"


def test_an_equal_stream_does_not_differ_and_each_changed_field_is_named() -> None:
    wanted = stream_config("MARKET_DATA", ["market.>"])
    assert differences(wanted, wanted | {"more": "of the server's own", "subjects": ["market.>"]}) == {}
    found = wanted | {"max_age": 1, "subjects": ["b", "a"]}
    assert differences(wanted | {"subjects": ["a", "b"]}, found) == {"max_age": (wanted["max_age"], 1)}
    assert set(differences(wanted, {})) == set(wanted)


async def test_a_missing_stream_is_only_created_when_asked() -> None:
    api = JetStreamApi(FakeJetStream(ManualClock()))
    wanted = stream_config("MARKET_DATA", ["market.>"])
    assert (await init_stream(api, wanted, apply=False)).outcome == "missing"
    with pytest.raises(StreamMissingError, match="ticklake nats init"):
        await api.stream("MARKET_DATA")
    assert (await init_stream(api, wanted, apply=True)).outcome == "created"
    assert (await api.stream("MARKET_DATA")).subjects == ("market.>",)


class OldServer(FakeJetStream):
    """Takes a configuration and forgets a field, as servers do that do not know it."""

    def _create_consumer(self, stream, name, config):  # type: ignore[no-untyped-def]
        answer = super()._create_consumer(stream, name, config)
        return {"config": {key: value for key, value in answer["config"].items() if key != "filter_subjects"}}


async def test_a_server_that_drops_a_field_of_the_consumer_is_refused() -> None:
    old, new = OldServer(ManualClock()), FakeJetStream(ManualClock())
    for server in (old, new):
        server.create_stream("S", "market.>")
    config = CONSUMER | {"filter_subjects": ["market.a"]}
    await JetStreamApi(new).create_consumer("S", config)
    with pytest.raises(ConfigError, match=re.escape("changed filter_subjects of consumer c from ['market.a'] to None")):
        await JetStreamApi(old).create_consumer("S", config)


async def test_a_message_is_known_by_its_time_and_checksum_and_a_gap_is_none() -> None:
    server = FakeJetStream(ManualClock())
    server.create_stream("S", "market.>")
    server.add("S", "market.a", b"first")
    server.add("S", "market.a", b"second")
    server.delete_message("S", 1)
    api = JetStreamApi(server)
    assert await api.message("S", 1) is None
    facts = await api.message("S", 2)
    assert facts is not None
    assert (facts.sequence, facts.server_ns) == (2, ManualClock().wall_ns())
