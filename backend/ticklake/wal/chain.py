"""Do the segments of a log belong together? Pure; a start, a check and a repair ask the same question here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ticklake.wal.header import SegmentHeader
from ticklake.wal.segment import segment_name, segment_number

REPAIRED = ".repaired"
"""Second name of a segment while a repair puts it in place of the damaged one; see `wal.repair`."""


def chain_faults(headers: Mapping[int, SegmentHeader | None], names: Iterable[str]) -> dict[int, str]:
    """Segment number -> what is wrong with its place in the log, lowest number first; empty when all is well.

    Args:
        headers: of every segment in the folder, oldest first; None for a torn or damaged one.
        names: of everything in the folder.
    """
    faults: dict[int, str] = {}
    for number in half_repaired(names):
        if number not in headers:
            faults[number] = "a repair did not come to its end; run `ticklake wal repair` again"
    oldest = min(headers, default=0)
    for number, header in headers.items():
        if header is None:
            continue
        previous = header.state.previous
        if header.segment != number:
            faults[number] = f"the file holds segment {header.segment}: it was renamed or copied"
        elif previous and previous.segment not in headers and previous.segment > oldest:
            faults[number] = (
                f"{segment_name(previous.segment)} before it is missing, although older ones are still here"
            )
    if oldest > 1 and not any(headers.values()):
        faults[max(headers)] = (
            "no segment with a whole header is left, so nothing says how far the stream was read; when "
            "`ticklake wal repair` finds no message in it either, move the state folder away and run `ticklake recover`"
        )
    return dict(sorted(faults.items()))


def half_repaired(names: Iterable[str]) -> list[int]:
    """Numbers of the segments that lie under their second name."""
    numbers = (segment_number(name.removesuffix(REPAIRED)) for name in names if name.endswith(REPAIRED))
    return sorted(number for number in numbers if number is not None)
