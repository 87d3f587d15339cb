"""What an encoder makes of one log segment: whole Parquet files in memory, and the counts that balance the books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ticklake.schema.messages import MessageGroup


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """One finished Parquet file, not yet on any disk.

    Attributes:
        table: name of the table, such as `futures.trades`; quarantine files name the table they were meant for.
        folder: where the file goes, relative to the data root, no slash at either end.
        name: file name; unique by construction, see `lake.layout.part_name`.
        content: the bytes of the file.
        rows: rows in the file.
        min_ns: earliest event in the file, UTC ns.
        max_ns: latest event in the file, UTC ns.
    """

    table: str
    folder: str
    name: str
    content: bytes
    rows: int
    min_ns: int
    max_ns: int


@dataclass(frozen=True, slots=True)
class EncodedSegment:
    """Everything one segment becomes.

    Attributes:
        files: table files and quarantine files, in a fixed order.
        received: messages that went in; always `stored + quarantined`.
        stored: messages with at least one good row.
        quarantined: messages without a good row.
        rows: good rows per table.
        quarantined_rows: rejected rows per table.
        reasons: rejected rows per reason.
    """

    files: tuple[EncodedFile, ...]
    received: int
    stored: int
    quarantined: int
    rows: Mapping[str, int]
    quarantined_rows: Mapping[str, int]
    reasons: Mapping[str, int]


class Encoder(Protocol):
    """Turns the messages of a segment into files. Pure: the same groups give the same bytes and names."""

    def __call__(
        self, groups: Sequence[MessageGroup], *, writer: str, segment: int, stream: str, incarnation: int
    ) -> EncodedSegment:
        """Decode, sort and encode `groups`. Bad input becomes quarantine rows, never an exception."""
        ...
