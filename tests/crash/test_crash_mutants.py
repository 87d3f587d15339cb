"""T03: the mill of crash images catches every broken variant of lane, log and publish code.

A variant is broken at a seam (disk, lane, consumer), never by a switch in the shipped code. A variant that nothing
catches would mean that the mill is blind there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest
from tests.crash.mill import Consumer, ExplicitConsumer, Message, Mill, ModelServer

from ticklake.base.errors import DiskError
from ticklake.lake.intent import Intent
from ticklake.lake.publish import Publisher
from ticklake.sink.lane import Lane
from ticklake.sink.progress import Progress
from ticklake.sink.recovery import Replay
from ticklake.testing.disk import CrashDisk, CrashFile, _Folder
from ticklake.wal.log import Wal, retire, scan_log
from ticklake.wal.state import Position, SegmentState

# -- broken consumers ------------------------------------------------------------------------------------------------


class AcksBeforeSync(Consumer):
    def append(self, lane: Lane, server: ModelServer, taken: Sequence[Message]) -> None:
        server.acked |= {message.id for message in taken}
        super().append(lane, server, taken)


class TrustsSequencesAlone(Consumer):
    def resume(self, lane: Lane, server: ModelServer) -> tuple[list[Message], object]:
        at = lane.position.sequence
        return server.deliver(lambda message: message.sequence > at), None


class TrustsThePositionAlone(ExplicitConsumer):
    def is_held(self, lane: Lane, message: Message) -> bool | None:
        return message.sequence <= lane.position.sequence


class TrustsSeenSequencesAlone(ExplicitConsumer):
    def is_held(self, lane: Lane, message: Message) -> bool | None:
        return lane.seen.contains(message.sequence, server_ns=0)


# -- broken disks: a sync that does nothing, a rename instead of a link ----------------------------------------------


class IgnoresSyncs(CrashDisk):
    """A disk on which some syncs of files do nothing."""

    def ignores(self, path: str) -> bool:
        raise NotImplementedError

    def create(self, path: str) -> CrashFile:
        file = super().create(path)
        if not self.ignores(path):
            return file
        return _UnsyncedFile(self, file._number, path)


class _UnsyncedFile(CrashFile):
    def sync(self) -> None:
        self._disk._operate()


class NoLogSync(IgnoresSyncs):
    def ignores(self, path: str) -> bool:
        return "/wal/" in path


class NoStagedFileSync(IgnoresSyncs):
    def ignores(self, path: str) -> bool:
        return path.endswith(".parquet")


class NoIntentSync(IgnoresSyncs):
    def ignores(self, path: str) -> bool:
        return "INTENT" in path


class NoLedgerSync(IgnoresSyncs):
    def ignores(self, path: str) -> bool:
        return path.endswith("LEDGER")


class IgnoresFolderSyncs(CrashDisk):
    """A disk on which syncing some folders does nothing."""

    part = ""

    def sync_folder(self, folder: str) -> None:
        if self.part in folder:
            self._operate()
        else:
            super().sync_folder(folder)


class NoTableFolderSync(IgnoresFolderSyncs):
    part = "/bronze/model/parity"


class NoStagingFolderSync(IgnoresFolderSyncs):
    part = "/staging/model/0"


class NoLedgerFolderSync(IgnoresFolderSyncs):
    part = "/catalog/ledger/"


class NoLogFolderSync(IgnoresFolderSyncs):
    part = "/wal/model"


class Renames(CrashDisk):
    def link(self, source: str, target: str) -> None:
        super().link(source, target)
        self.unlink(source)


class RetriesFailedSyncs(CrashDisk):
    def create(self, path: str) -> CrashFile:
        return _RetryingFile(self, super().create(path)._number, path)


class _RetryingFile(CrashFile):
    def sync(self) -> None:
        try:
            super().sync()
        except DiskError:
            super().sync()


class ForgetsNewFolders(CrashDisk):
    """Makes folders without syncing their names."""

    def make_folder(self, folder: str) -> None:
        if folder in self._folders:
            return
        above, _, name = folder.rpartition("/")
        self.make_folder(above)
        self._operate()
        self._folders[above].change(name, -1)
        self._folders[folder] = _Folder()


# -- broken lanes ------------------------------------------------------------------------------------------------------


class _Patched(Lane):
    """A lane whose publisher is of another class."""

    publisher: type[Publisher] = Publisher

    def _recover(self, replay: Replay) -> None:
        self._publisher.__class__ = self.publisher
        super()._recover(replay)


class _RetiresLogBeforeDecision(Publisher):
    lane: Lane

    def decide(self, encoded, entry, *, reached):  # type: ignore[no-untyped-def]
        folder = self._staging_root.replace("/staging/", "/wal/")
        retire(self._files, folder, [entry.segment])
        return super().decide(encoded, entry, reached=reached)


class RetiresLogBeforeDecision(_Patched):
    publisher = _RetiresLogBeforeDecision


class _CleansBeforeRetiring(Publisher):
    def finish(self, intent: Intent):  # type: ignore[no-untyped-def]
        entry = super().finish(intent)
        self.clean(intent.segment)
        return entry


class CleansStagingBeforeRetiring(_Patched):
    publisher = _CleansBeforeRetiring


class _EncodesAgain(Publisher):
    def find_intent(self, segment: int) -> Intent | None:
        return None


class EncodesDecidedSegmentsAgain(_Patched):
    publisher = _EncodesAgain


class _TrustsCachedIntent(Publisher):
    def _write(self, path: str, content: bytes) -> None:
        if "INTENT." not in path:
            super()._write(path, content)


class TrustsIntentInPageCache(_Patched):
    publisher = _TrustsCachedIntent


class _IntentWithoutPosition(Publisher):
    def find_intent(self, segment: int) -> Intent | None:
        intent = super().find_intent(segment)
        if intent is None:
            return None
        reached = dict(intent.reached, position=[0, 0, 0, 0])
        return Intent(intent.segment, intent.files, intent.ledger, reached)


class IntentWithoutPosition(_Patched):
    publisher = _IntentWithoutPosition


class _LinksBeforeIntent(Publisher):
    def _stage(self, segment, encoded, entry, reached):  # type: ignore[no-untyped-def]
        intent = super()._stage(segment, encoded, entry, reached)
        for name in ("INTENT",):
            self._files.unlink(f"{self._folder(segment)}/{name}")
        self._files.sync_folder(self._folder(segment))
        return intent


class DecidesNothing(_Patched):
    publisher = _LinksBeforeIntent


class HeaderWithoutPosition(Lane):
    def _state(self, *, duplicates: int) -> SegmentState:
        state = super()._state(duplicates=duplicates)
        return dataclasses.replace(state, position=Position(state.position.incarnation))


class HeaderWithoutSeen(Lane):
    def _state(self, *, duplicates: int) -> SegmentState:
        return dataclasses.replace(super()._state(duplicates=duplicates), seen=())


class TrustsReadableTail(Lane):
    """Opens the new segment, with the position read from the log, before the old one's rows are in the lake."""

    def _recover(self, replay: Replay) -> None:
        progress = Progress()
        logged = list(scan_log(self._files, self._log_folder))
        for segment in logged:
            if segment.scan.header is not None:
                state = segment.scan.header.state
                progress.take(state.incarnation, state.position, state.seen)
            for frame in segment.scan.frames:
                if frame.group is not None:
                    progress.take_group(frame.group)
        self._progress = progress
        if logged:
            early = Wal.open(
                self._files,
                self._log_folder,
                number=logged[-1].number + 1,
                epoch=1,
                state=self._state(duplicates=0),
                salt_source=self._salt_source,
                sector_bytes=self._sector_bytes,
            )
            early.abandon()
        super()._recover(replay)


class RetiresOldLogFirst(Lane):
    """Removes the old segments before the new one with their position is durable."""

    def _recover(self, replay: Replay) -> None:
        plain = Wal.open

        def late(*args: object, **kwargs: object) -> Wal:
            number = kwargs["number"]
            assert isinstance(number, int)
            retire(self._files, self._log_folder, range(max(number - 2, 1), number))
            return plain(*args, **kwargs)  # type: ignore[arg-type]

        Wal.open = late  # type: ignore[method-assign,assignment]
        try:
            super()._recover(replay)
        finally:
            Wal.open = plain  # type: ignore[method-assign]


BROKEN: dict[str, Callable[[], Mill]] = {
    **{kind.__name__: (lambda kind=kind: Mill(consumer=kind)) for kind in (AcksBeforeSync, TrustsSequencesAlone)},
    **{
        kind.__name__: (lambda kind=kind: Mill(consumer=kind, track_seen=True))
        for kind in (TrustsThePositionAlone, TrustsSeenSequencesAlone)
    },
    "HeaderWithoutSeen": lambda: Mill(lane=HeaderWithoutSeen, consumer=ExplicitConsumer, track_seen=True),
    **{
        kind.__name__: (lambda kind=kind: Mill(disk=kind))
        for kind in (
            NoLogSync,
            NoStagedFileSync,
            NoIntentSync,
            NoLedgerSync,
            NoTableFolderSync,
            NoStagingFolderSync,
            NoLedgerFolderSync,
            NoLogFolderSync,
            Renames,
            RetriesFailedSyncs,
            ForgetsNewFolders,
        )
    },
    **{
        kind.__name__: (lambda kind=kind: Mill(lane=kind))
        for kind in (
            RetiresLogBeforeDecision,
            CleansStagingBeforeRetiring,
            EncodesDecidedSegmentsAgain,
            TrustsIntentInPageCache,
            IntentWithoutPosition,
            DecidesNothing,
            HeaderWithoutPosition,
            TrustsReadableTail,
            RetiresOldLogFirst,
        )
    },
}


EARLY = {
    "AcksBeforeSync": 2,
    "IntentWithoutPosition": 5,
    "NoIntentSync": 3,
    "NoStagingFolderSync": 2,
    "Renames": 4,
    "RetriesFailedSyncs": 4,
    "TrustsReadableTail": 4,
}
"""Seeds whose order of images shows the rare violations among the first: each is caught with any seed, but later."""


@pytest.mark.parametrize("name", BROKEN)
def test_the_mill_catches_a_broken_variant(name: str) -> None:
    assert_caught(name, EARLY.get(name, 1))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", BROKEN)
def test_the_mill_catches_a_broken_variant_whatever_the_order(name: str) -> None:
    for seed in range(1, 6):
        assert_caught(name, seed)


def assert_caught(name: str, seed: int) -> None:
    mill = BROKEN[name]()
    mill.rng.seed(seed)
    assert mill.explore(cap=60, again=0.05, kills=6) is not None, f"{name} was not caught with seed {seed}"
