"""`ticklake publish`: the rows of files as JetStream messages."""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ticklake.assemble import open_traces
from ticklake.base.clock import SystemClock
from ticklake.base.errors import TickLakeError, UsageError
from ticklake.base.settings import Settings, load_settings
from ticklake.base.settings_groups import NatsSettings
from ticklake.base.traces import NoTraces, Traces
from ticklake.cli.columns import Shaping, parse_pairs, parse_value
from ticklake.cli.messages import Format, Message, Packing, fingerprint, pack_file
from ticklake.cli.output import Output, OutputOption, show_json, show_rows
from ticklake.cli.publisher import Publisher, find_stream
from ticklake.cli.rows import count_rows, file_kind
from ticklake.ingest.client import LakeClient
from ticklake.ingest.dial import dial
from ticklake.schema.lookup import BUILTIN_TABLES, TableCatalog
from ticklake.schema.table import Shape, TableSpec
from ticklake.schema.user_tables import parse_user_tables

_BATCH_ROWS = {Format.JSON: 1, Format.RAW: 1, Format.NDJSON: 1_000, Format.ARROW: 1_000}
_PACE_S = 0.005  # shorter waits than this are not worth a sleep
_PROGRESS_MESSAGES = 500


class PublishRefusedError(TickLakeError):
    """The server refused some messages; the others are stored."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send, where, how fast.

    Attributes:
        rate: messages per second; None for as fast as acks come.
        stream: stream that must take the messages; None for whichever has the subject.
        is_deduped: give messages names that are the same in every run.
        limit_rows: stop before more than so many rows; None for all.
    """

    files: tuple[Path, ...]
    subject: str
    packing: Packing
    rate: float | None
    stream: str | None
    is_deduped: bool
    limit_rows: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What was sent. Every message was acknowledged: `messages = stored + duplicates + failed`."""

    subject: str
    stream: str
    files: int
    messages: int
    rows: int
    bytes: int
    stored: int
    duplicates: int
    failed: int
    last_sequence: int
    seconds: float


def publish(
    files: Annotated[list[Path], typer.Argument(help="Parquet, CSV, NDJSON (also .gz); any text with --format raw.")],
    subject: Annotated[str, typer.Option("--subject", "-s", help="Subject, for example market.crypto.trades.")],
    rate: Annotated[str, typer.Option(help="Messages per second, or max.")] = "max",
    batch: Annotated[
        int | None, typer.Option(min=1, help="Rows per message; default 1, for ndjson and arrow 1000.")
    ] = None,
    format: Annotated[Format, typer.Option(help="On the wire; raw sends each line byte for byte.")] = Format.JSON,
    map_: Annotated[list[str] | None, typer.Option("--map", help="from=to: rename a column. Repeatable.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="column=value in every row (JSON or text). Repeatable.")
    ] = None,
    stream: Annotated[str | None, typer.Option(help="Refuse to publish into any other stream.")] = None,
    dedupe: Annotated[
        bool,
        typer.Option(
            "--dedupe", help="Name messages by file, row and subject: a repeated run is dropped by the stream."
        ),
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop before more than so many rows.")] = None,
    nats_url: Annotated[
        str | None, typer.Option("--nats-url", "--url", help="NATS server; credentials come from the settings.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings and tables.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Send the rows of files as messages; every one is acknowledged by the stream or counted as failed."""
    _check_subject(subject)
    settings = load_settings(config=config, nats__url=nats_url)
    batch_rows = min(batch or _BATCH_ROWS[format], limit or sys.maxsize)
    if format is Format.RAW and batch_rows > 1:
        raise UsageError("--format raw sends each line by itself; leave --batch out")
    shaping = Shaping(
        _table_of(subject, settings),
        parse_pairs(map_ or [], option="--map"),
        {name: parse_value(text) for name, text in parse_pairs(set_ or [], option="--set").items()},
    )
    for path in files:
        if format is not Format.RAW or not path.is_file():
            file_kind(path)  # name what is wrong before anything is sent
    plan = Plan(tuple(files), subject, Packing(format, batch_rows, shaping), _parse_rate(rate), stream, dedupe, limit)
    traces = open_traces(settings.otel)
    try:
        summary = asyncio.run(send_files(plan, settings.nats, traces))
    finally:
        traces.close()
    if output is Output.JSON:
        show_json(asdict(summary))
    else:
        show_rows([asdict(summary)], output)


async def send_files(plan: Plan, settings: NatsSettings, traces: Traces | None = None) -> Summary:
    """Send everything and wait for every ack; `traces` see it as one span that every message names.

    Raises:
        UnavailableError: NATS cannot be reached, no stream takes the subject, or acks stop coming.
        PublishRefusedError: the server refused messages; the text says why and how many.
        UsageError: a file or a row cannot be sent.
    """
    client = await dial(
        settings, name=f"ticklake-publish@{socket.gethostname()}", complain=partial(typer.echo, err=True)
    )
    try:
        stream = await find_stream(client, plan.subject)
        if plan.stream not in (None, stream):
            raise UsageError(f"{plan.subject} belongs to stream {stream}, not {plan.stream}; correct one of them")
        tracing = (traces or NoTraces()).publishing(plan.subject, stream=stream)
        with _progress() as progress, tracing as headers:
            summary = await _send_all(plan, client, stream, progress, headers)
    finally:
        await client.close()
    return summary


async def _send_all(
    plan: Plan, client: LakeClient, stream: str, progress: Progress, headers: Mapping[str, str]
) -> Summary:
    clock = SystemClock()
    begin_s = clock.monotonic_s()
    messages = rows = sent_bytes = 0
    task = progress.add_task("publish", total=_total_rows(plan), speed=0.0)
    publisher = Publisher(client, plan.subject, stream=plan.stream, headers=headers)
    async with publisher:
        for message_id, message in _named_messages(plan):
            if plan.rate is not None:
                await _pace(begin_s + messages / plan.rate - clock.monotonic_s())
            await publisher.send(message.payload, message_id=message_id, content_type=plan.packing.content_type)
            messages += 1
            rows += message.rows
            sent_bytes += len(message.payload)
            if messages % _PROGRESS_MESSAGES == 0:
                _tick(progress, task, rows, clock.monotonic_s() - begin_s)
    seconds = clock.monotonic_s() - begin_s
    _tick(progress, task, rows, seconds)
    failed = publisher.failures.total()
    if failed:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in publisher.failures.most_common(3))
        raise PublishRefusedError(
            f"stream {stream} refused {failed} of {messages} messages: {reasons}; "
            "remove the cause and run again with --dedupe"
        )
    return Summary(
        subject=plan.subject,
        stream=stream,
        files=len(plan.files),
        messages=messages,
        rows=rows,
        bytes=sent_bytes,
        stored=publisher.stored,
        duplicates=publisher.duplicates,
        failed=failed,
        last_sequence=publisher.last_sequence,
        seconds=round(seconds, 3),
    )


def _named_messages(plan: Plan) -> Iterator[tuple[str, Message]]:
    """Every message with its `Nats-Msg-Id`: file and row, and a word that is new in every run unless deduped."""
    rows = 0
    for path in plan.files:
        name = (
            fingerprint(path, plan.packing, plan.subject) if plan.is_deduped else f"{path.name}:{secrets.token_hex(8)}"
        )
        for message in pack_file(path, plan.packing):
            rows += message.rows
            if plan.limit_rows is not None and rows > plan.limit_rows:
                return
            yield f"{name}:{message.first_row}", message


async def _pace(wait_s: float) -> None:
    if wait_s > _PACE_S:
        await asyncio.sleep(wait_s)


def _table_of(subject: str, settings: Settings) -> TableSpec | None:
    catalog = TableCatalog([*BUILTIN_TABLES, *parse_user_tables(settings.tables)])
    table = catalog.match(subject.encode())
    return None if table is None or table.shape is Shape.RAW else table


def _check_subject(subject: str) -> None:
    words = subject.split(".")
    if not all(words) or any(character.isspace() for character in subject):
        raise UsageError(f"--subject {subject!r}: give words joined by dots, such as market.crypto.trades")
    if "*" in words or ">" in words:
        raise UsageError(f"--subject {subject}: a message goes to one subject; write it without * and >")


def _parse_rate(text: str) -> float | None:
    if text == "max":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise UsageError(f"--rate {text!r}: give messages per second, or max")
    return rate


def _total_rows(plan: Plan) -> int | None:
    counts = [count_rows(path) for path in plan.files]
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        return plan.limit_rows
    return sum(known) if plan.limit_rows is None else min(sum(known), plan.limit_rows)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        TextColumn("{task.fields[speed]:,.0f} rows/s"),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
        disable=not sys.stderr.isatty(),
        transient=True,
    )


def _tick(progress: Progress, task: TaskID, rows: int, seconds: float) -> None:
    progress.update(task, completed=rows, speed=rows / max(seconds, 1e-9))
