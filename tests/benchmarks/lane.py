"""The sink of the trades' stream, opened as the service opens it."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.load import STREAM

from ticklake.base.clock import SystemClock
from ticklake.files.lease import StateFolder
from ticklake.files.local import LocalFiles
from ticklake.schema.lookup import TableCatalog
from ticklake.sink.encode import SegmentEncoder
from ticklake.sink.lane import Lane


def open_lane(folder: Path) -> Lane:
    """Recover and open; the folder stays locked until the process ends."""
    state = StateFolder.open(str(folder / "_state"))
    _held.append(state)
    return Lane.open(
        files=LocalFiles(),
        state_folder=str(folder / "_state"),
        data_root=str(folder),
        identity=state.identity,
        epoch=state.epoch,
        stream=STREAM,
        encode=SegmentEncoder(TableCatalog()),
        clock=SystemClock(),
        ballast_bytes=0,
    )


_held: list[StateFolder] = []
