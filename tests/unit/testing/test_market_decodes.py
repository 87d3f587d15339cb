"""What the simulator says, the house understands: no event of it is ever rejected."""

from __future__ import annotations

from collections import Counter
from datetime import date, time

from ticklake.decode.decode import decode_groups
from ticklake.decode.limits import DecodeLimits
from ticklake.schema.lookup import TableCatalog
from ticklake.testing.market import MarketSimulator, encode
from ticklake.testing.messages import group_messages


def test_every_simulated_event_becomes_rows() -> None:
    market = MarketSimulator(11, date(2024, 12, 16), scale=0.5, begin=time(9, 29))
    events = list(market.events(end_ns=market.session.bell_ns + 30 * 10**9))
    messages: list[tuple[bytes, bytes | None, bytes]] = [
        (event.subject.encode(), None, encode(event)) for event in events
    ]
    group = group_messages(messages, ingest_ns=market.session.close_ns)

    decoded = decode_groups([group], TableCatalog(), DecodeLimits())

    assert list(decoded.rejected) == []
    rows = {table.spec.name: table.rows for table in decoded.tables}
    subjects = Counter(event.subject.removeprefix("market.") for event in events)
    signals = subjects.pop("levels.signals")
    assert rows.pop("levels.signals").num_rows >= signals
    assert {name: table.num_rows for name, table in rows.items()} == dict(subjects)
    assert all(table["extra"].null_count == table.num_rows for table in rows.values())
