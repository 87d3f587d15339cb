"""All real market data through a real server and a real service; then three engines must find exactly the source."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.e2e.engines import ENGINES, digest
from tests.e2e.harness import Service, run_ticklake
from tests.e2e.real_data import (
    RAW_FOLDERS,
    TABLES,
    TIDY_ROWS,
    raw_files,
    sort_rows,
    source_lines,
    source_rows,
    tidy_files,
)

from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

pytestmark = pytest.mark.timeout(900)  # all the data there is takes a minute, and more on a busy machine
STREAM = "MARKET_DATA"
# Trades and quotes one JSON object per message; of the books one file in each form a message can have.
BOOK_FORMS = (("--format", "arrow"), ("--format", "ndjson", "--batch", "500"), ("--batch", "100"), ())


@dataclass(frozen=True)
class Published:
    """The finished lake and what went into it.

    Attributes:
        root: the lake.
        lane: last status of the lane.
        last_sequence: of the stream.
    """

    root: Path
    lane: dict[str, Any]
    last_sequence: int


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """Everything published while the service runs with its default settings; then SIGTERM."""
    folder = tmp_path_factory.mktemp("real")
    sources = {table: tidy_files(table) for table in TABLES} | {subject: raw_files(subject) for subject in RAW_FOLDERS}
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server, Service(folder, server.url) as service:
        for table in ("trades", "quotes"):
            publish(server, sources[table], f"market.crypto.{table}")
        for path, form in zip(sources["mbp10"], BOOK_FORMS, strict=True):
            publish(server, [path], "market.crypto.mbp10", *form)
        for subject in RAW_FOLDERS:
            last_sequence = publish(server, sources[subject], subject, "--format", "raw")
        lane = service.wait_settled(STREAM, last_sequence, timeout_s=600)
        assert service.terminate() == 0, service.log_tail()
    yield Published(service.data_root, lane, last_sequence)
    shutil.rmtree(folder)


def publish(server: NatsServer, files: list[Path], subject: str, *options: str) -> int:
    """Publish with the command; gives the last sequence of the stream."""
    run = run_ticklake(
        "publish",
        *files,
        "--subject",
        subject,
        "--output",
        "json",
        *options,
        settings={"nats__url": server.url},
        timeout_s=600,
    )
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout)
    assert (summary["stored"], summary["failed"]) == (summary["messages"], 0)
    return int(summary["last_sequence"])


def verify(root: Path, *options: str) -> tuple[int, dict[str, Any]]:
    run = run_ticklake("verify", "--output", "json", *options, settings={"data_root": root}, timeout_s=600)
    assert run.stdout, run.stderr
    return run.returncode, json.loads(run.stdout)


def test_the_books_balance_and_every_page_is_whole(published: Published) -> None:
    code, report = verify(published.root, "--deep")
    assert (code, report["problems"]) == (0, [])
    book = next(book for book in report["books"] if book["stream"] == STREAM)
    lines = sum(len(source_lines(raw_files(subject))) for subject in RAW_FOLDERS)
    assert book["received"] == book["stored"] == published.last_sequence
    assert (book["quarantined"], book["duplicates"], book["waiting"], book["missing"]) == (0, 0, 0, 0)
    assert book["stored_rows"] == TIDY_ROWS + lines
    assert (published.lane["received"], published.lane["duplicates"]) == (published.last_sequence, 0)


@pytest.mark.parametrize("table", TABLES)
def test_three_engines_find_the_rows_of_the_source(published: Published, table: str) -> None:
    source = sort_rows(source_rows(table))
    columns = source.column_names
    folder = published.root / "bronze" / "crypto" / table
    expected = digest(source)
    for engine, read in ENGINES.items():
        rows = read(folder, columns, columns)
        assert rows.num_rows == source.num_rows, engine
        assert digest(rows) == expected, f"{engine}: {first_difference(rows, source)}"
        folders = read(folder, ["symbol", "contract", "source"], ["contract"])
        assert texts(folders, "symbol") == texts(folders, "contract"), engine
        assert set(texts(folders, "source")) == {"replay"}, engine


def test_the_tidy_files_are_all_there() -> None:
    assert sum(source_rows(table).num_rows for table in TABLES) == TIDY_ROWS


@pytest.mark.parametrize("engine", ENGINES)
def test_raw_messages_are_the_lines_of_the_recordings(published: Published, engine: str) -> None:
    rows = ENGINES[engine](published.root / "bronze" / "raw", ["subject", "payload", "stream_seq"], ["stream_seq"])
    subjects = {subject: source_lines(raw_files(subject)) for subject in RAW_FOLDERS}
    lines = [line for part in subjects.values() for line in part]
    assert rows.num_rows == len(lines)
    assert digest(rows.select(["payload"])) == digest(pa.table({"payload": pa.array(lines, pa.binary())}))
    assert texts(rows, "subject") == [subject for subject, part in subjects.items() for _ in part]


@pytest.mark.parametrize("engine", ENGINES)
def test_no_sequence_is_lost_or_doubled(published: Published, engine: str) -> None:
    folders = [*(f"bronze/crypto/{table}" for table in TABLES), "bronze/raw"]
    place = ["stream_seq", "message_row"]
    parts = [ENGINES[engine](published.root / folder, place, place) for folder in folders]
    places = pa.concat_tables(part.cast(pa.schema([(name, pa.int64()) for name in place])) for part in parts)
    assert places.group_by(place).aggregate([]).num_rows == places.num_rows, "a row is there twice"
    sequences = places.group_by("stream_seq").aggregate([]).column("stream_seq").sort().to_pylist()
    assert sequences == list(range(1, published.last_sequence + 1)), "a message is missing"
    assert not list((published.root / "quarantine").rglob("*.parquet"))


def delete(victim: Path) -> Path:
    victim.unlink()
    return victim


def flip_a_byte(victim: Path) -> Path:
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 0x10
    victim.write_bytes(content)
    return victim


def copy_beside(victim: Path) -> Path:
    return Path(shutil.copy(victim, victim.with_name(f"copy-of-{victim.name}")))


def copy_into_another_hour(victim: Path) -> Path:
    other = victim.parent.with_name("hour=01")
    other.mkdir()
    return Path(shutil.copy(victim, other))


@pytest.mark.parametrize(
    ("mutilate", "code"),
    [
        (delete, "missing_file"),
        (flip_a_byte, "wrong_checksum"),
        (copy_beside, "foreign_file"),
        (copy_into_another_hour, "unknown_file"),
    ],
)
def test_verify_names_the_file_that_was_touched(
    published: Published, tmp_path: Path, mutilate: Callable[[Path], Path], code: str
) -> None:
    root = tmp_path / "lake"
    shutil.copytree(published.root, root)
    victim = sorted((root / "bronze" / "crypto" / "trades").rglob("*.parquet"))[-1]
    touched = mutilate(victim)
    exit_code, report = verify(root)
    assert exit_code == 3
    assert [(problem["code"], problem["path"]) for problem in report["problems"]] == [
        (code, str(touched.relative_to(root)))
    ]


def texts(rows: pa.Table, name: str) -> list[str]:
    return [str(value) for value in rows.column(name).to_pylist()]


def first_difference(found: pa.Table, expected: pa.Table) -> str:
    for name in expected.column_names:
        pairs = zip(found.column(name).to_pylist(), expected.column(name).to_pylist(), strict=True)
        for number, (value, wanted) in enumerate(pairs):
            if value != wanted:
                return f"column {name}, row {number}: {value!r} instead of {wanted!r}"
    return "the same values in another type"
