"""How far a start is with its log, told while it works."""

from __future__ import annotations

from tests.crash.mill import DATA, STATE, model_encoder
from tests.unit.sink.test_room import first_life, group, sealed

from ticklake.sink.lane import Lane
from ticklake.sink.recovery import Replay
from ticklake.testing.clock import ManualClock
from ticklake.testing.disk import CrashDisk


class Watched(CrashDisk):
    """Notes how far the replay is when a ledger entry lands: the last step of each commit."""

    def __init__(self) -> None:
        super().__init__()
        self.replay = Replay()
        self.seen: list[tuple[int, int]] = []

    def link(self, source: str, target: str) -> None:
        super().link(source, target)
        if target.endswith(".json"):
            self.seen.append((self.replay.found, self.replay.done))


def test_the_progress_of_a_replay_counts_what_is_in_the_lake() -> None:
    disk = Watched()
    lane = first_life(disk)
    sealed(lane, 1)
    sealed(lane, 2)
    lane.append(group(3))
    Lane.open(
        files=disk,
        state_folder=STATE,
        data_root=DATA,
        identity="00c0ffee",
        epoch=2,
        stream="MODEL",
        encode=model_encoder(),
        clock=ManualClock(),
        ballast_bytes=0,
        replay=disk.replay,
    )
    assert disk.seen == [(3, 0), (3, 1), (3, 2)]
    assert disk.replay == Replay(3, 3)
