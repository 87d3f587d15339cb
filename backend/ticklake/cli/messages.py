"""Rows of files -> messages: one object each, or batches as JSON array, NDJSON or Arrow stream."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl
import pyarrow as pa

from ticklake.base.errors import UsageError
from ticklake.cli.columns import Shaping, shape_frame, shape_object
from ticklake.cli.rows import FileKind, file_kind, read_frames, read_lines

_READ_ROWS = 8_192
_HASH_BYTES = 1024 * 1024


class Format(StrEnum):
    """How rows look on the wire."""

    JSON = "json"  # one object per message; several rows as an array
    NDJSON = "ndjson"
    ARROW = "arrow"
    RAW = "raw"  # each line of the file, byte for byte


CONTENT_TYPES = {
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson",
    Format.ARROW: "application/vnd.apache.arrow.stream",
}
"""Header of a message that holds a batch. A single JSON object needs none."""


class Message(NamedTuple):
    """One message to send (a tuple, because there are millions).

    Attributes:
        payload: its bytes.
        first_row: number of its first row in the file, from 0.
        rows: how many rows it holds.
    """

    payload: bytes
    first_row: int
    rows: int


@dataclass(frozen=True, slots=True)
class Packing:
    """How rows become messages.

    Attributes:
        format: on the wire.
        batch_rows: rows per message, at least 1.
        shaping: what to do with the columns; `raw` ignores it.
    """

    format: Format
    batch_rows: int
    shaping: Shaping

    @property
    def content_type(self) -> str | None:
        """The `Content-Type` of every message, None when none is needed."""
        if self.format is Format.RAW or (self.format is Format.JSON and self.batch_rows == 1):
            return None
        return CONTENT_TYPES[self.format]


def pack_file(path: Path, packing: Packing) -> Iterator[Message]:
    """All rows of a file as messages, in order.

    Raises:
        UsageError: the file, or a row of it, cannot become a message; the text says which.
    """
    if packing.format is Format.RAW:
        return _number((line, 1) for line in read_lines(path))
    if file_kind(path) is FileKind.NDJSON:
        return _number(_pack_lines(path, packing))
    return _number(_pack_frames(path, packing))


def fingerprint(path: Path, packing: Packing, subject: str) -> str:
    """Names what is sent: the same file packed in the same way for the same subject has the same one.

    A stream looks for a name among all of its subjects: without the subject in it, a file that goes to a second one
    would be dropped as a duplicate of the first.
    """
    shaping = packing.shaping
    how = (subject, packing.format, packing.batch_rows, sorted(shaping.renames.items()), sorted(shaping.values.items()))
    digest = hashlib.sha256(msgspec.json.encode(how))
    with path.open("rb") as file:
        while chunk := file.read(_HASH_BYTES):
            digest.update(chunk)
    return f"{path.name}:{digest.hexdigest()[:16]}"


def _number(payloads: Iterator[tuple[bytes, int]]) -> Iterator[Message]:
    row = 0
    for payload, rows in payloads:
        yield Message(payload, row, rows)
        row += rows


def _pack_lines(path: Path, packing: Packing) -> Iterator[tuple[bytes, int]]:
    """NDJSON: lines go out as they stand unless a column must change or Arrow is asked for."""
    is_changed = bool(packing.shaping.renames or packing.shaping.values or "source" in packing.shaping.keys)
    lines = _shape_lines(path, packing.shaping) if is_changed else read_lines(path)
    while batch := list(islice(lines, packing.batch_rows)):
        if packing.format is Format.ARROW:
            yield _arrow(_frame_of_lines(path, batch)), len(batch)
        else:
            yield _join(batch, packing), len(batch)


def _shape_lines(path: Path, shaping: Shaping) -> Iterator[bytes]:
    for number, line in enumerate(read_lines(path), start=1):
        try:
            row = msgspec.json.decode(line, type=dict[str, object])
        except msgspec.MsgspecError as error:
            raise UsageError(f"{path}, line {number}: {error}; correct it or send it with --format raw") from error
        yield msgspec.json.encode(shape_object(row, shaping))


def _frame_of_lines(path: Path, lines: list[bytes]) -> pl.DataFrame:
    try:
        return pl.read_ndjson(b"\n".join(lines), infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise UsageError(
            f"{path}: {error}; rows of one Arrow batch need the same types; try --format ndjson"
        ) from error


def _pack_frames(path: Path, packing: Packing) -> Iterator[tuple[bytes, int]]:
    batch = packing.batch_rows
    rows = max(batch, _READ_ROWS // batch * batch)
    for frame in read_frames(path, rows=rows, texts=packing.shaping.text_columns):
        shaped = shape_frame(frame, packing.shaping)
        if packing.format is Format.ARROW:
            for part in shaped.iter_slices(batch):
                yield _arrow(part), part.height
            continue
        lines = shaped.write_ndjson().encode().split(b"\n")[: shaped.height]
        for start in range(0, len(lines), batch):
            part_lines = lines[start : start + batch]
            yield _join(part_lines, packing), len(part_lines)


def _join(lines: list[bytes], packing: Packing) -> bytes:
    if packing.format is Format.NDJSON:
        return b"\n".join(lines) + b"\n"
    return lines[0] if packing.batch_rows == 1 else b"[" + b",".join(lines) + b"]"


def _arrow(frame: pl.DataFrame) -> bytes:
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
