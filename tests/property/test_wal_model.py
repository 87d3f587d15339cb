"""T02: the log against a list, with random appends, syncs, rotations, full disks, kills and power cuts in between."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ticklake.base.errors import OutOfRoomError
from ticklake.testing.disk import CrashDisk, Faults
from ticklake.testing.messages import group_messages, payloads_of
from ticklake.wal.log import Wal, read_log
from ticklake.wal.state import SegmentState

FOLDER = "/disk/wal"
STATE = SegmentState("model", "MODEL")


class LogAgainstList(RuleBasedStateMachine):
    """`synced` must always come back, in order; of `written` behind it any prefix may."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.rng = random.Random(5)
        self.disk = CrashDisk(sector_bytes=64)
        self.disk.make_folder(FOLDER)
        self.synced: list[bytes] = []
        self.written: list[bytes] = []
        self.count = 0
        self.wal = self._open(1)

    def _open(self, number: int) -> Wal:
        return Wal.open(
            self.disk,
            FOLDER,
            number=number,
            epoch=1,
            state=STATE,
            salt_source=self.rng.randbytes,
            sector_bytes=64,
        )

    def _payloads(self) -> list[bytes]:
        return [
            payload
            for segment in read_log(self.disk, FOLDER)
            for frame in segment.scan.frames
            if frame.group is not None
            for payload in payloads_of(frame.group)
        ]

    def _new_payloads(self, sizes: list[int]) -> list[bytes]:
        self.count += 1
        return [b"%d.%d:" % (self.count, index) + bytes(size) for index, size in enumerate(sizes)]

    @rule(sizes=st.lists(st.integers(0, 200), min_size=1, max_size=4))
    def append(self, sizes: list[int]) -> None:
        payloads = self._new_payloads(sizes)
        self.wal.append(group_messages([(b"s", None, payload) for payload in payloads], ingest_ns=1))
        self.written += payloads

    @rule(sizes=st.lists(st.integers(0, 200), min_size=1, max_size=4))
    def append_on_a_full_disk(self, sizes: list[int]) -> None:
        payloads = self._new_payloads(sizes)
        self.disk.faults = Faults(no_room_from=self.disk.writes + 1)
        try:
            self.wal.append(group_messages([(b"s", None, payload) for payload in payloads], ingest_ns=1))
            raise AssertionError("a full disk took a group")
        except OutOfRoomError:
            self.disk.faults = Faults()
            self._note_synced()  # giving room back syncs what is left

    @rule()
    def sync(self) -> None:
        self.wal.sync()
        self._note_synced()

    @rule()
    def rotate(self) -> None:
        self.wal.sync()
        self._note_synced()
        self.wal.rotate(STATE)

    @rule()
    def kill_and_restart(self) -> None:
        self.disk = self.disk.restart()
        assert self._payloads() == self.synced + self.written
        self._rewrite()

    @rule(seed=st.integers(0, 1 << 16))
    def cut_the_power(self, seed: int) -> None:
        self.disk = next(iter(self.disk.images(random.Random(seed), 1)))
        found = self._payloads()
        assert found[: len(self.synced)] == self.synced
        assert found[len(self.synced) :] == self.written[: len(found) - len(self.synced)]
        self.written = self.written[: len(found) - len(self.synced)]
        self._rewrite()

    @precondition(lambda self: not self.written)
    @rule()
    def close_and_reopen(self) -> None:
        self.wal.sync()
        self.wal.close()
        last = list(read_log(self.disk, FOLDER))[-1]
        assert last.scan.is_closed
        self.wal = self._open(last.number + 1)

    @invariant()
    def what_was_synced_can_be_read(self) -> None:
        LogAgainstList.steps += 1
        assert self._payloads() == self.synced + self.written

    def _note_synced(self) -> None:
        self.synced += self.written
        self.written = []

    def _rewrite(self) -> None:
        """A start must not trust the tail: what it keeps is written once more, and the old segments go."""
        old = list(read_log(self.disk, FOLDER))
        kept = self.synced + self.written
        self.wal = self._open(old[-1].number + 1)
        if kept:
            self.wal.append(group_messages([(b"s", None, payload) for payload in kept], ingest_ns=1))
        self.wal.sync()
        for segment in old:
            self.disk.unlink(segment.path)
        self.disk.sync_folder(FOLDER)
        self._note_synced()


def test_the_log_is_the_list_over_ten_thousand_steps() -> None:
    LogAgainstList.steps = 0
    run_state_machine_as_test(
        LogAgainstList, settings=settings(max_examples=300, stateful_step_count=40, deadline=None)
    )
    assert LogAgainstList.steps >= 10_000
