"""The demo's thin morning: an hour of an earlier session, in batches, because features look back many minutes."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Final

import polars as pl

from ticklake.base.clock import SystemClock
from ticklake.cli.publisher import Publisher
from ticklake.schema.session import US_INDEX_FUTURES, SessionWindow, previous_sessions
from ticklake.testing.market import MarketSimulator, encode
from ticklake.testing.market_session import new_york_ns

MORNING_BEGIN: Final = time(9, 15)
MORNING_END: Final = time(10, 30)

_SEED: Final = 20_241_213
_SCALE: Final = 0.02
_EARLIER_SESSIONS: Final = 3
_EARLIER_TRADES: Final = 8_000  # of each, for the moving averages of two-minute bars
_ARROW_ROWS: Final = 2_000
_NDJSON_ROWS: Final = 200
_ARROW: Final = "application/vnd.apache.arrow.stream"
_NDJSON: Final = "application/x-ndjson"
_TRADES: Final = "market.futures.trades"
_SUBJECTS: Final = (_TRADES, "market.futures.mbp10", "market.options.trades")


def last_sessions() -> tuple[SessionWindow, SessionWindow]:
    """The two newest trading days that are over everywhere: of the thin morning, and of the live market."""
    today = datetime.fromtimestamp(SystemClock().wall_ns() / 1e9, UTC).date()
    morning, live = previous_sessions(US_INDEX_FUTURES, today, 2)
    return morning, live


async def publish_morning(publishers: Mapping[str, Publisher], session: SessionWindow, run: int) -> int:
    """Publish trades of three sessions before as Arrow, and the morning's trades, book and options as NDJSON.

    Args:
        publishers: by subject.
        session: day of the morning.
        run: makes the ids of the messages those of this demo.

    Returns:
        How many messages were sent.
    """
    sent = await _publish_earlier(publishers[_TRADES], session, run)
    market = MarketSimulator(_SEED, session.date, scale=_SCALE, begin=MORNING_BEGIN)
    lines: dict[str, list[bytes]] = defaultdict(list)
    for event in market.events(end_ns=new_york_ns(session.date, MORNING_END), subjects=_SUBJECTS):
        lines[event.subject].append(encode(event))
    for subject in _SUBJECTS:
        rows = lines[subject]
        for first in range(0, len(rows), _NDJSON_ROWS):
            payload = b"\n".join(rows[first : first + _NDJSON_ROWS])
            await publishers[subject].send(payload, message_id=f"{run}-{subject}-{first}", content_type=_NDJSON)
            sent += 1
    return sent


async def _publish_earlier(trades: Publisher, session: SessionWindow, run: int) -> int:
    sent = 0
    for earlier in previous_sessions(US_INDEX_FUTURES, session.date, _EARLIER_SESSIONS):
        rows = MarketSimulator(_SEED, earlier.date).trades_frame(_EARLIER_TRADES)
        for batch in rows.iter_slices(_ARROW_ROWS):
            payload = io.BytesIO()
            batch.write_ipc_stream(payload, compat_level=pl.CompatLevel.oldest())
            await trades.send(payload.getvalue(), message_id=f"{run}-earlier-{sent}", content_type=_ARROW)
            sent += 1
    return sent
