"""A lake written by the real lane and encoder, from messages as they come off the wire."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.integration.small_lake import IDENTITY, TABLES, at

from ticklake.base.clock import SystemClock
from ticklake.files.local import LocalFiles
from ticklake.schema.messages import MessageGroup
from ticklake.sink.encode import SegmentEncoder
from ticklake.sink.lane import Lane
from ticklake.sink.lost_state import plan_rebuild, rebuild_state
from ticklake.testing.messages import group_messages

Message = tuple[str, Mapping[str, Any] | bytes]


class RealLake:
    """One lane on a local disk. Everything appended is durable; `commit` brings it into the lake."""

    def __init__(self, folder: Path, *, stream: str = "MARKET_DATA", track_seen: bool = False) -> None:
        self.root = folder / "lake"
        self.state = folder / "state"
        self.stream = stream
        self.sequence = 0
        self.track_seen = track_seen
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "IDENTITY").write_text(f"{IDENTITY}\n")
        self.lane = self._open()
        self.lane.new_incarnation(created_ns=at(0), reason="first")

    def append(self, messages: Iterable[Message], *, headers: bytes | None = None) -> None:
        """One durable group."""
        self.lane.append(self._group([*messages], headers))

    def append_trades(self, *sequences: int) -> None:
        """One durable group of trades with these stream sequences, in this order."""
        wire = [wire_trade(at(14) + sequence) for sequence in sequences]
        self.lane.append(self._group(wire, None, sequences))

    def commit(self) -> None:
        """Bring everything so far into the lake."""
        segment = self.lane.rotate()
        if segment is not None:
            self.lane.commit(segment)

    def reopen(self) -> None:
        """A graceful stop and a new start."""
        self.lane.close()
        self.lane = self._open()

    def close(self) -> None:
        """Let go of the log; what waits stays in it."""
        self.lane.close()

    def _open(self) -> Lane:
        return Lane.open(
            files=LocalFiles(),
            state_folder=str(self.state),
            data_root=str(self.root),
            identity=(self.state / "IDENTITY").read_text().strip(),
            epoch=1,
            stream=self.stream,
            encode=SegmentEncoder(TABLES),
            clock=SystemClock(),
            track_seen=self.track_seen,
            ballast_bytes=0,
        )

    def recover(self) -> None:
        """Lose the state folder, make it anew from the ledger, and start with it."""
        self.lane.close()
        shutil.rmtree(self.state)
        plan = plan_rebuild(self.root, TABLES, tell=_silent)
        rebuild_state(plan, self.root, str(self.state), writer_id=None, clock=SystemClock(), tell=_silent)
        self.lane = self._open()

    def _group(self, messages: Sequence[Message], headers: bytes | None, sequences: Sequence[int] = ()) -> MessageGroup:
        sequences = sequences or range(self.sequence + 1, self.sequence + 1 + len(messages))
        self.sequence = max(self.sequence, *sequences)
        wire = [
            (subject.encode(), headers, body if isinstance(body, bytes) else json.dumps(body).encode())
            for subject, body in messages
        ]
        return group_messages(
            wire,
            incarnation=self.lane.incarnation.number,
            ingest_ns=at(23),
            sequences=list(sequences),
            server_ns=[at(22) + number for number in sequences],
        )


def _silent(_line: str) -> None:
    """Nobody listens."""


def wire_trade(event_ns: int, symbol: str = "ESZ4", price: float = 6000.0, **more: Any) -> Message:
    """One trade as it comes off the wire."""
    body = {"ts_event_ns": event_ns, "ts_recv_ns": event_ns + 1, "source": "test", "symbol": symbol, "price": price}
    return "market.futures.trades", {**body, "size": 1, "aggressor": 1, **more}
