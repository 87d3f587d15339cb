"""What still waits in the logs, seen from outside: no lock, so also while the daemon runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ticklake.files.local import LocalFiles
from ticklake.readers.report import Problem
from ticklake.wal.log import LoggedSegment, scan_log
from ticklake.wal.repair import find_faults
from ticklake.wal.segment import Tail, segment_name
from ticklake.wal.state import SegmentState

_TRIES_MAX = 5  # a running daemon retires segments while we read; each try starts from a fresh list


@dataclass(frozen=True, slots=True)
class LaneLog:
    """The log of one lane.

    Attributes:
        lane: its name.
        stream: the stream's name; the lane's name when no segment says.
        writer: who commits its segments; None when the state folder has no identity yet.
        messages: segment number -> messages in it.
        begin: what was reached before the oldest segment, as its header says; None when that cannot be read.
        tracks_seen: whether the stream is read by explicit acks, so that sequences come in any order.
    """

    lane: str
    stream: str
    writer: str | None
    messages: Mapping[int, int]
    begin: SegmentState | None
    tracks_seen: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """All logs below a state folder, and the damage found in them."""

    logs: Mapping[str, LaneLog] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def read_waiting(state_dir: Path) -> Waiting:
    """Look at every log below the state folder; nothing when there is none."""
    files = LocalFiles()
    root = str(state_dir / "wal")
    identity = _read_identity(state_dir)
    logs: dict[str, LaneLog] = {}
    problems: list[Problem] = []
    for lane in files.list(root):
        segments, faults = _scan(files, f"{root}/{lane}")
        logs[lane] = _summary(lane, identity, segments)
        for path, what in faults.items():
            problems.append(Problem("wal_damaged", path, what, "see what is lost with `ticklake wal verify`"))
    return Waiting(logs, tuple(problems))


def is_waiting(state_dir: Path, lane: str, segment: int) -> bool:
    """Whether the segment is still in the log, so that its commit may be under way."""
    return (state_dir / "wal" / lane / f"{segment:012d}.wal").exists()


def _scan(files: LocalFiles, folder: str) -> tuple[list[LoggedSegment], dict[str, str]]:
    """The segments, and path -> damage."""
    for _ in range(_TRIES_MAX - 1):
        try:
            segments, faults = _scan_once(files, folder)
        except FileNotFoundError:
            continue
        if not faults:
            return segments, faults  # else look again: a frame that is being written can look bad once, not five times
    return _scan_once(files, folder)


def _scan_once(files: LocalFiles, folder: str) -> tuple[list[LoggedSegment], dict[str, str]]:
    faults = {f"{folder}/{segment_name(number)}": reason for number, reason in find_faults(files, folder).items()}
    segments = list(scan_log(files, folder))
    for segment in segments:
        if segment.scan.tail is Tail.CORRUPT:
            faults[segment.path] = f"damage at byte {segment.scan.valid_bytes}: {segment.scan.reason}"
    return segments, faults


def _read_identity(state_dir: Path) -> str | None:
    try:
        return (state_dir / "IDENTITY").read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None


def _summary(lane: str, identity: str | None, segments: list[LoggedSegment]) -> LaneLog:
    states = [segment.scan.header.state for segment in segments if segment.scan.header is not None]
    oldest = segments[0].scan.header if segments else None
    return LaneLog(
        lane=lane,
        stream=states[0].stream if states else lane,
        writer=f"{identity}-{lane}" if identity else None,
        messages={
            segment.number: sum(len(frame.group) for frame in segment.scan.frames if frame.group is not None)
            for segment in segments
        },
        begin=oldest.state if oldest is not None else None,
        tracks_seen=any(state.tracks_seen or state.seen for state in states),
    )
