"""One log segment into finished Parquet files and balanced books: decode, partition, sort, encode. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ticklake.base.version import __version__
from ticklake.decode.decode import Decoded, decode_groups
from ticklake.decode.harvest import DecodedTable
from ticklake.decode.limits import DecodeLimits
from ticklake.decode.rejected import BadInputError, Reason, Rejected
from ticklake.decode.segment import Segment
from ticklake.decode.single import single_row
from ticklake.lake.batch import EncodedFile, EncodedSegment
from ticklake.lake.layout import part_name
from ticklake.lake.parquet import encode_parquet
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.messages import MessageGroup
from ticklake.sink.partitions import Split, split_by_partition
from ticklake.sink.quarantine import QUARANTINE_SCHEMA_ID, quarantine_tables

_THREADS = 2  # encoding leaves the interpreter lock alone; more would take the cores from readers
_WORTH_THREADS_ROWS = 20_000  # below this a second thread starts later than the work is done


@dataclass(frozen=True, slots=True)
class _Job:
    """One file to be encoded."""

    table: str
    schema_id: str
    folder: str
    rows: pa.Table
    sorted_by: tuple[str, ...]
    varied: tuple[str, ...]
    min_ns: int
    max_ns: int


class SegmentEncoder:
    """Turns segments into files for `lake.publish`. Holds no state between segments."""

    def __init__(self, catalog: TableCatalog, limits: DecodeLimits | None = None) -> None:
        self._catalog = catalog
        self._limits = limits or DecodeLimits()
        pa.scalar(0)  # pyarrow's first value imports pandas where it is installed: now, not within the first commit

    def __call__(
        self, groups: Sequence[MessageGroup], *, writer: str, segment: int, stream: str, incarnation: int
    ) -> EncodedSegment:
        """Decode, sort and encode `groups`. Bad input becomes quarantine rows, never an exception.

        Args:
            groups: the messages of the segment, in log order.
            writer: `{identity}-{lane}`; names files.
            segment: number of the segment; names files.
            stream: name of the stream, for footers and quarantine.
            incarnation: which life of the stream the sequences belong to.
        """
        decoded = decode_groups(groups, self._catalog, self._limits)
        rejected = list(decoded.rejected)
        jobs: list[_Job] = []
        tables: list[DecodedTable] = []
        for table in decoded.tables:
            split = split_by_partition(table, partitions_max=self._limits.partitions_max)
            jobs += _table_jobs(table, split)
            if split.kept is not None:
                rejected += _crowded_out(table, split, Segment(groups), self._limits)
                table = _kept(table, split.kept)
            tables.append(table)
        jobs += _quarantine_jobs(rejected, stream)
        footer = {"writer": writer, "segment": str(segment), "stream": stream, "incarnation": str(incarnation)}
        files = _encode_all(jobs, footer, writer=writer, segment=segment)
        return _balance(decoded, tables, rejected, files)


def _table_jobs(table: DecodedTable, split: Split) -> list[_Job]:
    spec = table.spec
    varied = tuple(column.name for column in spec.stored_columns if column.varied)
    return [
        _Job(
            table=spec.name,
            schema_id=spec.schema_id,
            folder=f"{spec.folder}/{part.folder}",
            rows=part.rows,
            sorted_by=part.sorted_by,
            varied=varied,
            min_ns=part.min_ns,
            max_ns=part.max_ns,
        )
        for part in split.partitions
    ]


def _quarantine_jobs(rejected: Sequence[Rejected], stream: str) -> list[_Job]:
    jobs = []
    for table, folder, rows in quarantine_tables(rejected, stream=stream):
        bounds = pc.min_max(rows.column("ingest_ns")).as_py()
        jobs.append(
            _Job(
                table=table,
                schema_id=QUARANTINE_SCHEMA_ID,
                folder=folder,
                rows=rows,
                sorted_by=("ingest_ns",),
                varied=("detail",),
                min_ns=bounds["min"],
                max_ns=bounds["max"],
            )
        )
    return jobs


def _encode_all(
    jobs: Sequence[_Job], footer: Mapping[str, str], *, writer: str, segment: int
) -> tuple[EncodedFile, ...]:
    """All files, in the order of the jobs whichever is done first."""

    def encode(job: _Job) -> EncodedFile:
        own = {**footer, **_footer(job)}
        return EncodedFile(
            table=job.table,
            folder=job.folder,
            name=part_name(writer=writer, segment=segment, min_ns=job.min_ns),
            content=encode_parquet(job.rows, footer=own, sorted_by=job.sorted_by, varied=job.varied),
            rows=job.rows.num_rows,
            min_ns=job.min_ns,
            max_ns=job.max_ns,
        )

    if len(jobs) < _THREADS or sum(job.rows.num_rows for job in jobs) < _WORTH_THREADS_ROWS:
        return tuple(encode(job) for job in jobs)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="encode") as pool:
        return tuple(pool.map(encode, jobs))


def _footer(job: _Job) -> dict[str, str]:
    sequences = pc.min_max(job.rows.column("stream_seq")).as_py()
    return {
        "schema": job.schema_id,
        "first_seq": _text(sequences["min"]),
        "last_seq": _text(sequences["max"]),
        "rows": str(job.rows.num_rows),
        "code_version": __version__,
        "time_unit": "ns",
    }


def _text(number: int | None) -> str:
    """Core NATS has no sequences: empty."""
    return "" if number is None else str(number)


def _crowded_out(table: DecodedTable, split: Split, segment: Segment, limits: DecodeLimits) -> list[Rejected]:
    """The rows for which no partition was left, each with its own bytes."""
    lost = pc.invert(split.kept)
    error = BadInputError(Reason.TOO_MANY_PARTITIONS, f"more than {limits.partitions_max} partitions in one segment")
    numbers = table.numbers.filter(lost).to_pylist()
    rows = table.rows.column("message_row").filter(lost).to_pylist()
    rejected = []
    for number, row in zip(numbers, rows, strict=True):
        message = segment.message(number)
        payload = single_row(table.spec, message, row)
        rejected.append(message.rejected(table.spec.name, error, row=row, payload=payload))
    return rejected


def _kept(table: DecodedTable, kept: pa.Array) -> DecodedTable:
    return DecodedTable(table.spec, table.rows.filter(kept), table.numbers.filter(kept))


def _balance(
    decoded: Decoded, tables: Sequence[DecodedTable], rejected: Sequence[Rejected], files: tuple[EncodedFile, ...]
) -> EncodedSegment:
    """Count messages and rows, and make sure that every message is somewhere."""
    stored = sum(_messages(table.numbers) for table in tables)
    numbers = pa.array(sorted({row.number for row in rejected}), pa.int64())
    for table in tables if len(numbers) else ():
        numbers = numbers.filter(pc.invert(pc.is_in(numbers, table.numbers)))
    quarantined = len(numbers)
    assert stored + quarantined == decoded.received, "a message is neither stored nor rejected"
    return EncodedSegment(
        files=files,
        received=decoded.received,
        stored=stored,
        quarantined=quarantined,
        rows={table.spec.name: table.rows.num_rows for table in tables if table.rows.num_rows},
        quarantined_rows=dict(sorted(Counter(row.table for row in rejected).items())),
        reasons=dict(sorted(Counter(str(row.reason) for row in rejected).items())),
    )


def _messages(numbers: pa.Array) -> int:
    """How many different messages rows come from; one row each, in order, is the common case and cheap to see."""
    if pc.all(pc.less(numbers[:-1], numbers[1:])).as_py() is not False:
        return len(numbers)
    found: int = pc.count_distinct(numbers).as_py()
    return found
