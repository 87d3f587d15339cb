"""What is wrong with a log, and the way out: keep every good frame, keep a copy of the rest, name what is lost.

Only damage is repaired. A torn tail is no damage: nobody was promised its bytes, and the next start cuts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ticklake.base.errors import CorruptError
from ticklake.files.protocol import Files
from ticklake.files.synced import write_synced
from ticklake.wal.chain import REPAIRED, chain_faults, half_repaired
from ticklake.wal.frame import Frame, Kind, Range, decode_frame, encode_close, encode_group, is_body_whole
from ticklake.wal.header import SegmentHeader, encode_header
from ticklake.wal.log import LoggedSegment, read_headers, scan_log
from ticklake.wal.segment import Tail, find_frames, segment_name
from ticklake.wal.state import Incarnation, SegmentState

_BROKEN = ".broken"
_MADE_UP = "repaired"
_TRACKS_SEEN = b'"tracks_seen":true'  # as it stands in a header; most of a damaged one can still be read
_SEEN_IS_LOST = (
    "; which sequences were stored before this segment is not known any more: of those, a message that the server has "
    "no ack for is stored again"
)


@dataclass(frozen=True, slots=True)
class SegmentVerdict:
    """One segment as `verify_folder` finds it.

    Attributes:
        segment: its number.
        path: its file.
        size_bytes: length of the file.
        valid_bytes: length of the good part from the start.
        groups: good groups in it.
        messages: messages in those groups.
        first_sequence: of the good messages; None without any, or on core NATS.
        last_sequence: of the good messages.
        tail: clean, torn (harmless) or corrupt (stops the house).
        reason: why it is not clean.
        is_closed: whether it ends with the mark of a graceful end.
    """

    segment: int
    path: str
    size_bytes: int
    valid_bytes: int
    groups: int
    messages: int
    first_sequence: int | None
    last_sequence: int | None
    tail: Tail
    reason: str
    is_closed: bool

    @property
    def is_good(self) -> bool:
        """Whether the house starts with it."""
        return self.tail is not Tail.CORRUPT


@dataclass(frozen=True, slots=True)
class SegmentRepair:
    """One segment as `repair_folder` changed it.

    Attributes:
        segment: its number.
        path: its file, now good.
        kept_copy: the file as it was before.
        offset_bytes: where the damage began.
        reason: what was wrong.
        kept_groups: groups that are still there.
        lost_groups: groups that are certainly gone; a damaged end may hide more.
        lost_bytes: bytes that belong to no good frame.
        lost_sequences: (first, last) stream sequences that were in the gaps; the stream may still have them.
    """

    segment: int
    path: str
    kept_copy: str
    offset_bytes: int
    reason: str
    kept_groups: int
    lost_groups: int
    lost_bytes: int
    lost_sequences: tuple[Range, ...]


def verify_folder(files: Files, folder: str) -> list[SegmentVerdict]:
    """A verdict on every segment of one lane's log, oldest first. Changes nothing; a live log may be read."""
    faults = find_faults(files, folder)
    verdicts = [_verdict(segment, faults.pop(segment.number, "")) for segment in scan_log(files, folder)]
    verdicts += [_verdict_on_absent(folder, number, reason) for number, reason in faults.items()]
    return sorted(verdicts, key=lambda verdict: verdict.segment)


def repair_folder(files: Files, folder: str) -> list[SegmentRepair]:
    """Make a damaged log readable again. Only while nobody writes to it; safe to run again after a crash.

    Raises:
        CorruptError: nothing says how far the stream was read, and there is no message either; see the text.
        OutOfRoomError: nothing was changed yet in the segment at hand; free some room.
        DiskError: stop.
    """
    _finish_earlier(files, folder)
    faults = find_faults(files, folder)
    headers = read_headers(files, folder)
    known = [header.state for number, header in headers.items() if header and header.segment == number]
    repairs: list[SegmentRepair] = []
    last_sequence: int | None = None
    for segment in scan_log(files, folder):
        reason = faults.get(segment.number) or segment.scan.reason
        is_out_of_place = segment.number in faults and segment.scan.header is not None
        if segment.scan.tail is Tail.CORRUPT or is_out_of_place:
            repair, kept = _repair(files, folder, segment, reason, last_sequence, known)
            repairs.append(repair)
        else:
            kept = segment.scan.frames
        last_sequence = _last_sequence(kept) or last_sequence
    for number, reason in find_faults(files, folder).items():
        raise CorruptError(f"{folder}/{segment_name(number)}: {reason}")
    return repairs


def find_faults(files: Files, folder: str) -> dict[int, str]:
    """Segment number -> what is wrong with its place in the log; see `wal.chain`. Changes nothing."""
    return chain_faults(read_headers(files, folder), files.list(folder))


def _repair(
    files: Files,
    folder: str,
    segment: LoggedSegment,
    reason: str,
    last_sequence: int | None,
    known: Sequence[SegmentState],
) -> tuple[SegmentRepair, Sequence[Frame]]:
    content = files.read(segment.path)
    header = segment.scan.header
    if header is None or header.segment != segment.number:
        header = _made_up_header(folder, segment.number, content, known, is_first=last_sequence is None)
        life = header.state.incarnation
        if header.state.tracks_seen and life.number and life.reason == _MADE_UP:
            reason += _SEEN_IS_LOST
    salvaged = list(_salvage(content, segment.scan.valid_bytes, header.salt))
    kept = [*segment.scan.frames, *salvaged]
    kept_copy = _keep_copy(files, folder, segment.path, content)
    state = replace(header.state, previous=None, repaired=True)
    _put_in_place(files, folder, segment.path, _rewrite(replace(header, state=state), kept))
    numbers = [frame.number for frame in kept]
    repair = SegmentRepair(
        segment=segment.number,
        path=segment.path,
        kept_copy=kept_copy,
        offset_bytes=segment.scan.valid_bytes,
        reason=reason,
        kept_groups=sum(frame.kind is Kind.GROUP for frame in kept),
        lost_groups=max(numbers) + 1 - len(numbers) if numbers else 0,
        lost_bytes=len(content) - segment.scan.valid_bytes - sum(frame.size_bytes for frame in salvaged),
        lost_sequences=tuple(_gaps(kept, last_sequence)),
    )
    return repair, kept


def _salvage(content: bytes, from_bytes: int, salt: int) -> Iterable[Frame]:
    """Good frames behind the damage, in order, none twice."""
    at_bytes = from_bytes
    for start_bytes, header in find_frames(content, from_bytes, salt=salt):
        if start_bytes >= at_bytes and is_body_whole(content, start_bytes, header):
            yield decode_frame(content, start_bytes, header)
            at_bytes = header.end_bytes


def _made_up_header(
    folder: str, number: int, content: bytes, known: Sequence[SegmentState], *, is_first: bool
) -> SegmentHeader:
    """A header for a segment that lost its own: salt and life come from its frames, the position from theirs.

    What else there was to know stands in the headers of its neighbours, if there are any.

    Raises:
        CorruptError: neither a frame nor a neighbour tells the position.
    """
    lane = folder.rpartition("/")[2]
    incarnation = salt = groups = 0
    first_frame = len(content)
    for start_bytes, found in find_frames(content, 0):
        salt = salt or int.from_bytes(content[start_bytes + 8 : start_bytes + 16], "little")
        incarnation = max(incarnation, found.incarnation)
        groups += found.kind is Kind.GROUP and is_body_whole(content, start_bytes, found)
        first_frame = min(first_frame, start_bytes)
    if not groups and not known and is_first:
        raise CorruptError(
            f"{folder}/{segment_name(number)}: nothing in the log says how far the stream was, because the header is "
            "damaged and no group follows. The ledger knows: move the state folder away and run `ticklake recover`"
        )
    lives = [state.incarnation for state in known if state.incarnation.number == incarnation]
    tracks_seen = any(state.tracks_seen for state in known) or _TRACKS_SEEN in content[:first_frame]
    state = SegmentState(
        lane,
        known[0].stream if known else lane.upper(),
        lives[0] if lives else Incarnation(incarnation, 0, _MADE_UP),
        tracks_seen=tracks_seen,
    )
    return SegmentHeader(number, 0, salt or 1, 512, state)


def _rewrite(header: SegmentHeader, kept: Sequence[Frame]) -> bytes:
    content = encode_header(header)
    for number, frame in enumerate(kept):
        if frame.group is None:
            parts = encode_close(
                salt=header.salt, number=number, durable_bytes=len(content), duplicates=frame.duplicates
            )
        else:
            parts = encode_group(
                frame.group,
                salt=header.salt,
                number=number,
                at_bytes=len(content),
                durable_bytes=len(content),
                missing=frame.missing,
                duplicates=frame.duplicates,
                skipped=frame.skipped,
                sector_bytes=header.sector_bytes,
            )
        content += b"".join(parts)
    return content


def _keep_copy(files: Files, folder: str, path: str, content: bytes) -> str:
    copy, times = path + _BROKEN, 1
    while files.exists(copy):
        if files.read(copy) == content:
            return copy  # from a repair that was cut short
        times += 1
        copy = f"{path}{_BROKEN}{times}"
    write_synced(files, copy, content)
    files.sync_folder(folder)
    return copy


def _put_in_place(files: Files, folder: str, path: str, content: bytes) -> None:
    """Replace a segment. A crash leaves the old one, or the new one under its second name; see `_finish_earlier`."""
    write_synced(files, path + REPAIRED, content)
    files.sync_folder(folder)
    files.unlink(path)
    files.sync_folder(folder)
    files.link(path + REPAIRED, path)
    files.sync_folder(folder)
    files.unlink(path + REPAIRED)
    files.sync_folder(folder)


def _finish_earlier(files: Files, folder: str) -> None:
    for number in half_repaired(files.list(folder)):
        path = f"{folder}/{segment_name(number)}"
        if not files.exists(path):
            files.link(path + REPAIRED, path)
            files.sync_folder(folder)
        files.unlink(path + REPAIRED)
        files.sync_folder(folder)


def _verdict(segment: LoggedSegment, missing: str) -> SegmentVerdict:
    groups = [frame.group for frame in segment.scan.frames if frame.group is not None]
    sequenced = [group.sequences for group in groups if group.sequences]
    return SegmentVerdict(
        segment=segment.number,
        path=segment.path,
        size_bytes=segment.size_bytes,
        valid_bytes=segment.scan.valid_bytes,
        groups=len(groups),
        messages=sum(map(len, groups)),
        first_sequence=min(map(min, sequenced), default=None),
        last_sequence=max(map(max, sequenced), default=None),
        tail=Tail.CORRUPT if missing else segment.scan.tail,
        reason=missing or segment.scan.reason,
        is_closed=segment.scan.is_closed,
    )


def _verdict_on_absent(folder: str, number: int, reason: str) -> SegmentVerdict:
    """On a segment that is there under its second name only."""
    path = f"{folder}/{segment_name(number)}"
    return SegmentVerdict(number, path, 0, 0, 0, 0, None, None, Tail.CORRUPT, reason, is_closed=False)


def _last_sequence(frames: Iterable[Frame]) -> int | None:
    return max((max(f.group.sequences) for f in frames if f.group and f.group.sequences), default=None)


def _gaps(kept: Iterable[Frame], last_sequence: int | None) -> Iterable[Range]:
    """Sequences between two kept groups that are in neither, and not known to be missing or for others."""
    for frame in kept:
        if frame.group is None or not frame.group.sequences:
            continue
        first = min([frame.group.sequences[0], *(first for first, _ in frame.missing)])
        if frame.skipped is not None:
            first = min(first, frame.skipped.after + 1)
        if last_sequence is not None and first > last_sequence + 1:
            yield last_sequence + 1, first - 1
        last_sequence = max(frame.group.sequences)
