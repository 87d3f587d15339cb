"""The mill: a model stream server, a consumer as the real one behaves, and the checks that must hold after any crash.

The lane, log and publish code under it are the shipped ones; only disk, server and encoder are models.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ticklake.base.errors import DiskError, TickLakeError
from ticklake.lake.batch import EncodedFile, EncodedSegment, Encoder
from ticklake.lake.layout import part_name
from ticklake.lake.ledger import read_ledger
from ticklake.readers.sequences import check_lives
from ticklake.schema.messages import MessageGroup
from ticklake.sink.lane import Lane
from ticklake.sink.segment import Segment
from ticklake.testing.clock import ManualClock
from ticklake.testing.disk import CrashDisk, Faults, PowerCut
from ticklake.testing.messages import group_messages

DATA, STATE = "/disk/data", "/disk/state"
SECTOR_BYTES = 64  # small, so that small frames tear in many ways
GROUP, BATCH = 2, 4

_BOOTS = itertools.count(1)
_ID = re.compile(rb'"id":(\d+)')


@dataclass(frozen=True, slots=True)
class Message:
    sequence: int
    server_ns: int
    id: int


@dataclass
class ModelServer:
    """A stream that keeps un-acked messages for ever, and acked ones or not. It may lose its tail and use it again."""

    messages: list[Message]
    acked: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)

    @classmethod
    def filled(cls, count: int) -> ModelServer:
        return cls([Message(n, 1000 * n, n) for n in range(1, count + 1)])

    def copy(self, *, acks_lost: bool = False, tail_lost: int = 0) -> ModelServer:
        twin = ModelServer(list(self.messages), set() if acks_lost else set(self.acked), set(self.gone))
        for index in range(len(self.messages) - tail_lost, len(self.messages)):
            old = self.messages[index]
            twin.gone.add(old.id)
            twin.messages[index] = Message(old.sequence, old.server_ns + 1_000_000, old.id + 1000)
        return twin

    def at(self, sequence: int) -> Message | None:
        return self.messages[sequence - 1] if 0 < sequence <= len(self.messages) else None

    def deliver(self, wanted: Callable[[Message], bool]) -> list[Message]:
        """What is wanted and not acked: an acked message never comes again, so its loss shows."""
        return [message for message in self.messages if message.id not in self.acked and wanted(message)]


class Consumer:
    """Resumes behind `Lane.position`, appends, acks, rotates, commits one segment late. Mutants override its steps."""

    def run(self, lane: Lane, server: ModelServer) -> None:
        sealed = []
        if lane.incarnation.number == 0:
            lane.new_incarnation(created_ns=1, reason="first")
        fresh, ended = self.resume(lane, server)
        if ended is not None:
            lane.commit(ended)
        for at in range(0, len(fresh), GROUP):
            taken = fresh[at : at + GROUP]
            self.append(lane, server, taken)
            if sealed:
                lane.commit(sealed.pop(0))
            if lane.live_messages >= BATCH and (segment := lane.rotate()):
                sealed.append(segment)
        if segment := lane.rotate():
            sealed.append(segment)
        for segment in sealed:
            lane.commit(segment)
        lane.close()

    def resume(self, lane: Lane, server: ModelServer) -> tuple[list[Message], object]:
        position = lane.position
        ended = None
        if position.sequence:
            held = server.at(position.sequence)
            if held is not None and held.server_ns == position.server_ns:
                return server.deliver(lambda message: message.sequence > position.sequence), None
            ended = lane.new_incarnation(created_ns=1, reason="sequence_reused", start_after_ns=position.server_ns)
        return server.deliver(lambda message: message.server_ns > position.server_ns), ended

    def group(self, lane: Lane, taken: Sequence[Message]) -> MessageGroup:
        return group_of(lane, taken)

    def append(self, lane: Lane, server: ModelServer, taken: Sequence[Message]) -> None:
        lane.append(self.group(lane, taken))
        server.acked |= {message.id for message in taken}


class ExplicitConsumer(Consumer):
    """Acks each message for itself, as for a work queue, and knows what it holds from `Lane.seen`."""

    def run(self, lane: Lane, server: ModelServer) -> None:
        sealed: list[Segment] = []
        if lane.incarnation.number == 0:
            lane.new_incarnation(created_ns=1, reason="first")
        waiting = self.in_any_order(server)
        for at in range(0, len(waiting), GROUP):
            self.take(lane, server, waiting[at : at + GROUP], sealed)
            while len(sealed) > 1:
                lane.commit(sealed.pop(0))
            if lane.live_messages >= BATCH and (segment := lane.rotate()):
                sealed.append(segment)
        if segment := lane.rotate():
            sealed.append(segment)
        for segment in sealed:
            lane.commit(segment)
        lane.close()

    def in_any_order(self, server: ModelServer) -> list[Message]:
        """What is not acked. A server that lost its tail sends what it stored since in order, as at any first time."""
        waiting = server.deliver(lambda message: True)
        return waiting if server.gone else [*waiting[1::3], *waiting[::3], *waiting[2::3]]

    def take(self, lane: Lane, server: ModelServer, taken: Sequence[Message], sealed: list[Segment]) -> None:
        fresh: list[Message] = []
        for message in taken:
            held = self.is_held(lane, message)
            if held is None:
                self.log(lane, server, fresh)
                fresh = []
                after_ns = lane.position.server_ns
                ended = lane.new_incarnation(
                    created_ns=1, reason="sequence_reused", start_after_ns=after_ns, known_below=message.sequence
                )
                if ended is not None:
                    sealed.append(ended)
            if held:
                server.acked.add(message.id)
            else:
                fresh.append(message)
        self.log(lane, server, fresh)

    def is_held(self, lane: Lane, message: Message) -> bool | None:
        """Whether that message is durable with us; None: its sequence is, for another one."""
        if lane.seen.is_reused(message.sequence, server_ns=message.server_ns):
            return None
        return lane.seen.contains(message.sequence, server_ns=message.server_ns)

    def log(self, lane: Lane, server: ModelServer, fresh: Sequence[Message]) -> None:
        if fresh:
            self.append(lane, server, fresh)


def group_of(lane: Lane, taken: Sequence[Message]) -> MessageGroup:
    return group_messages(
        [(b"market.model", None, b'{"id":%d}' % message.id) for message in taken],
        incarnation=lane.incarnation.number,
        ingest_ns=1,
        sequences=[message.sequence for message in taken],
        server_ns=[message.server_ns for message in taken],
    )


def model_encoder() -> Encoder:
    """Two files by parity. Its bytes differ at each start: a file that was linked once must never be encoded again."""
    boot = next(_BOOTS)

    def encode(
        groups: Sequence[MessageGroup], *, writer: str, segment: int, stream: str, incarnation: int
    ) -> EncodedSegment:
        ids = [int(found) for group in groups for found in _ID.findall(group.payloads)]
        files = []
        for parity in sorted({number % 2 for number in ids}):
            rows = [number for number in ids if number % 2 == parity]
            content = b"PAR1 %d|%s PAR1" % (boot, b",".join(b"%d" % number for number in rows))
            name = part_name(writer=writer, segment=segment, min_ns=0)
            files.append(EncodedFile("model", f"bronze/model/parity={parity}", name, content, len(rows), 0, 0))
        return EncodedSegment(tuple(files), len(ids), len(ids), 0, {"model": len(ids)}, {}, {})

    return encode


def model_ids(path: str, content: bytes) -> list[int]:
    """The messages in a file of the model encoder."""
    assert content.startswith(b"PAR1 "), f"a torn file in the lake: {path}"
    assert content.endswith(b" PAR1"), f"a torn file in the lake: {path}"
    return [int(number) for number in content[5:-5].partition(b"|")[2].split(b",")]


@dataclass
class Mill:
    """One protocol, right or broken on purpose: how to open a lane, how to consume, what the disk ignores."""

    lane: type[Lane] = Lane
    consumer: type[Consumer] = Consumer
    disk: type[CrashDisk] = CrashDisk
    stream: str = "MODEL"
    track_seen: bool = False
    encoder: Callable[[], Encoder] = model_encoder
    ids_of: Callable[[str, bytes], list[int]] = model_ids
    images: Counter[str] = field(default_factory=Counter)
    images_of_a_cut_max: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def new_disk(self, **faults: int) -> CrashDisk:
        return self.disk(sector_bytes=SECTOR_BYTES, faults=Faults(**faults))

    def open(self, disk: CrashDisk) -> Lane:
        salts = random.Random(7)
        return self.lane.open(
            files=disk,
            state_folder=STATE,
            data_root=DATA,
            identity="00c0ffee",
            epoch=1,
            stream=self.stream,
            encode=self.encoder(),
            clock=ManualClock(),
            salt_source=salts.randbytes,
            track_seen=self.track_seen,
            sector_bytes=SECTOR_BYTES,
            ballast_bytes=0,
        )

    def run(self, disk: CrashDisk, server: ModelServer) -> bool:
        """One life of the process. False: it ended before everything was done."""
        try:
            self.consumer().run(self.open(disk), server)
        except (PowerCut, DiskError):
            return False
        return True

    def check(self, disk: CrashDisk, server: ModelServer) -> str | None:
        """What is wrong after a start on this disk, or None."""
        try:
            if not self.run(disk, server):
                return "recovery died"
            before = disk.tree()
            if found := check_lake(disk, server, self.ids_of):
                return found
            again = disk.restart()
            if not self.run(again, server.copy()):
                return "second recovery died"
            after = again.tree()
            if _lake_of(before) != _lake_of(after):
                return "a second recovery changed the lake"
        except (TickLakeError, AssertionError) as error:
            return f"{type(error).__name__}: {error}"
        return None

    def explore(
        self, *, messages: int = 10, cap: int = 400, again: float = 0.1, kills: int = 8, every: int = 1
    ) -> str | None:
        """Every (n-th) crash and failed sync of one workload, in shuffled order: the first violation, or None."""
        whole, server = self.new_disk(), ModelServer.filled(messages)
        try:
            is_done = self.run(whole, server)
        except (TickLakeError, AssertionError) as error:
            return f"without any fault: {error}"
        if not is_done or (found := check_lake(whole, server, self.ids_of)):
            return f"without any fault: {found}"
        jobs = [
            *((self._power_cut_at, at, cap, again) for at in range(1, whole.operations + 2, every)),
            *((self._failed_sync, at, whole.operations, 0.0) for at in range(1, whole.syncs + 1, every)),
        ]
        self.rng.shuffle(jobs)
        for job, at, limit, chance in jobs:
            for found in job(at, messages, kills, limit, chance):
                if found:
                    return found
        return None

    def _power_cut_at(self, at: int, messages: int, kills: int, cap: int, again: float) -> Iterable[str | None]:
        disk, server = self.new_disk(crash_at=at), ModelServer.filled(messages)
        self.run(disk, server)
        yield from self._kills("kill -9", disk, server, kills)
        for number, image in enumerate(disk.images(self.rng, cap), start=1):
            self.images_of_a_cut_max = max(self.images_of_a_cut_max, number)
            for case in ({}, {"acks_lost": True}, {"tail_lost": 3}):
                yield self._count("power", image.copy(), server.copy(**case), (at, case))
                if self.rng.random() < again:
                    yield from self._power_cuts_in_recovery(image, server.copy(**case))

    def _failed_sync(self, at: int, messages: int, kills: int, operations: int, _: float) -> Iterable[str | None]:
        disk, server = self.new_disk(sync_fails_at=at), ModelServer.filled(messages)
        is_done = self.run(disk, server)
        yield from self._kills("failed sync", disk, server, kills)
        if is_done:  # it lived on: the power may go at any later operation
            for crash_at in range(1, operations + 1):
                late, model = self.new_disk(sync_fails_at=at, crash_at=crash_at), ModelServer.filled(messages)
                self.run(late, model)
                for image in late.images(self.rng, 4) if late.syncs >= at else ():
                    yield self._count("failed sync", image, model.copy(), (at, crash_at))

    def _power_cuts_in_recovery(self, image: CrashDisk, server: ModelServer) -> Iterable[str | None]:
        for crash_at in range(1, 40, 1 + self.rng.randrange(3)):
            disk, twin = image.restart(), server.copy()
            disk.faults = Faults(crash_at=crash_at)
            if self.run(disk, twin):
                return
            for second in disk.images(self.rng, 3):
                yield self._count("power in recovery", second, twin.copy(), crash_at)

    def _kills(self, kind: str, disk: CrashDisk, server: ModelServer, times: int) -> Iterable[str | None]:
        """The process died and the page cache lives; a restart gets some way, then the power goes."""
        for crash_at in sorted(self.rng.sample(range(1, 40), times)):
            twin, model = disk.restart(), server.copy()
            twin.faults = Faults(crash_at=crash_at)
            self.run(twin, model)
            for image in twin.images(self.rng, 4):
                yield self._count(kind, image, model.copy(), crash_at)

    def _count(self, kind: str, disk: CrashDisk, server: ModelServer, where: object) -> str | None:
        self.images[kind] += 1
        what = self.check(disk, server)
        return f"{kind} at {where}: {what}" if what else None


def check_lake(
    disk: CrashDisk, server: ModelServer, ids_of: Callable[[str, bytes], list[int]] = model_ids
) -> str | None:
    """What is wrong with a lake after all work is done, or None."""
    stored: Counter[int] = Counter()
    tiers = (f"{DATA}/bronze/", f"{DATA}/quarantine/")
    files = {path: content for path, content in disk.tree().items() if path.startswith(tiers)}
    for path, content in files.items():
        stored.update(ids_of(path, content))
    current = {message.id for message in server.messages}
    doubled = sorted(number for number, times in stored.items() if times > 1)
    lost = sorted((current | (server.acked & server.gone)) - stored.keys())
    alien = sorted(stored.keys() - current - server.gone)
    if doubled or lost or alien:
        return f"doubled {doubled} lost {lost} alien {alien}"
    entries = read_ledger(disk, DATA)
    booked = {f"{DATA}/{file.path}" for entry in entries for file in entry.files}
    if booked != files.keys():
        return f"the books name {sorted(booked)}, the lake holds {sorted(files)}"
    if sum(entry.received for entry in entries) != len(stored):
        return "the books do not balance"
    if problems := [str(problem) for problem in check_lives(entries)]:
        return f"verify would accuse {problems}"
    leftovers = [path for path in disk.tree() if "/staging/" in path]
    return f"staging was not cleaned: {leftovers}" if leftovers else None


def _lake_of(tree: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in tree.items() if path.startswith(DATA)}
