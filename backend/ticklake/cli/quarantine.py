"""Commands that look at rejected input: quarantine ls and show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

import typer

from ticklake.base.errors import UsageError
from ticklake.base.moments import short_text
from ticklake.base.words import names_near
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption, find_place
from ticklake.decode.rejected import Reason
from ticklake.readers.lake import Lake
from ticklake.readers.quarantine import find_rejected, list_rejected

app = typer.Typer(help="Rejected input.")

_LINE_BYTES: Final = 16
_NO_TABLE: Final = "unknown"  # where what is meant for no table lies
_LS_COLUMNS: Final = (
    "id",
    "table",
    "reason",
    "path",
    "detail",
    "subject",
    "stream_seq",
    "message_row",
    "ingest_ns",
    "payload_bytes",
)
_TABLE_COLUMNS: Final = ("id", "table", "reason", "path", "stream_seq", "taken")  # what a terminal has room for


@app.command()
def ls(
    reason: Annotated[str | None, typer.Option(help="Only rows rejected for this reason (wrong_type).")] = None,
    table: Annotated[str | None, typer.Option(help="Only rows meant for this table (futures.trades).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Print so many rows at most, newest first.")] = 100,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """List rejected rows, newest first; `quarantine show ID` and `-o json` have more."""
    lake = find_place(data).open()
    rows = list_rejected(lake.data_root, table=table, reason=reason, rows_max=limit + 1)
    if not rows:
        _check_names(lake, table, reason)
    if output is Output.TABLE:
        short = [{"id": row.id, **row.values, "taken": short_text(row.values["ingest_ns"])} for row in rows[:limit]]
        show_rows(short, columns=_TABLE_COLUMNS)
    else:
        full = [{"id": row.id, **row.values, "payload_bytes": len(row.values["payload"])} for row in rows[:limit]]
        show_rows(full, output, columns=_LS_COLUMNS)
    if len(rows) > limit:
        typer.echo(f"more than {limit} rows; raise --limit to see them", err=True)


@app.command()
def show(
    row_id: Annotated[str, typer.Argument(metavar="ID", help="From `ticklake quarantine ls`.")],
    data: DataOption = None,
) -> None:
    """Print one rejected row whole: why, where from, headers, payload."""
    row = find_rejected(find_place(data).data_root, row_id)
    values = dict(row.values)
    payload, headers = values.pop("payload"), values.pop("headers")
    for name, value in {"id": row.id, **values}.items():
        typer.echo(f"{name}: {'-' if value is None else _plain(str(value))}")
    for name, content in (("headers", headers), ("payload", payload)):
        typer.echo(f"\n{name}: {'none' if content is None else f'{len(content)} bytes'}")
        for line in _lines(content or b""):
            typer.echo(line)


def _check_names(lake: Lake, table: str | None, reason: str | None) -> None:
    """Nothing was found: perhaps because no table or reason has that name."""
    if table not in (None, _NO_TABLE):
        lake.table_catalog.get(str(table))
    if reason is not None and reason not in list(Reason):
        raise UsageError(f"no reason is named {reason!r}; {names_near(reason, Reason)}")


def _lines(content: bytes) -> Iterator[str]:
    """The content as text when it is harmless text, else as a hex dump."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        yield from _hex_lines(content)
        return
    if all(line.replace("\t", " ").isprintable() for line in text.splitlines()):
        yield from text.splitlines()
    else:
        yield from _hex_lines(content)


def _hex_lines(content: bytes) -> Iterator[str]:
    for start in range(0, len(content), _LINE_BYTES):
        part = content[start : start + _LINE_BYTES]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        yield f"{start:08x}  {part.hex(' '):<{3 * _LINE_BYTES - 1}}  {letters}"


def _plain(text: str) -> str:
    """Text that cannot drive the terminal."""
    return text if text.isprintable() else repr(text)
