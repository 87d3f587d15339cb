"""Every row of every kind of file comes out, in order."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from ticklake.base.errors import UsageError
from ticklake.cli.rows import FileKind, count_rows, file_kind, read_frames, read_lines

FRAME = pl.DataFrame({"a": range(25), "b": [f"t{i}" for i in range(25)], "c": [i / 4 for i in range(25)]})


def read_all(path: Path, rows: int) -> pl.DataFrame:
    frames = list(read_frames(path, rows=rows))
    assert all(0 < frame.height <= rows for frame in frames)
    return pl.concat(frames)


@pytest.mark.parametrize("rows", [1, 7, 25, 1_000])
def test_parquet_and_csv_give_all_rows_in_order(tmp_path: Path, rows: int) -> None:
    FRAME.write_parquet(tmp_path / "x.parquet", row_group_size=10)
    FRAME.write_csv(tmp_path / "x.csv")
    (tmp_path / "y.csv.gz").write_bytes(gzip.compress(FRAME.write_csv().encode()))
    for name in ("x.parquet", "x.csv", "y.csv.gz"):
        assert read_all(tmp_path / name, rows).equals(FRAME), name


def test_lines_come_byte_for_byte(tmp_path: Path) -> None:
    text = b'1 {"a": 1}\r\n\n  spaces stay \n\xff\xfe no utf-8\nlast without end'
    lines = [b'1 {"a": 1}\r', b"  spaces stay ", b"\xff\xfe no utf-8", b"last without end"]
    (tmp_path / "x").write_bytes(text)
    (tmp_path / "x.gz").write_bytes(gzip.compress(text))
    assert list(read_lines(tmp_path / "x")) == lines
    assert list(read_lines(tmp_path / "x.gz")) == lines


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.parquet", FileKind.PARQUET),
        ("a.b.csv.gz", FileKind.CSV),
        ("a.jsonl", FileKind.NDJSON),
        ("a.ndjson.gz", FileKind.NDJSON),
    ],
)
def test_the_name_says_the_kind(tmp_path: Path, name: str, kind: FileKind) -> None:
    (tmp_path / name).touch()
    assert file_kind(tmp_path / name) is kind


def test_other_names_are_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "capture.gz").touch()
    with pytest.raises(UsageError, match="--format raw"):
        file_kind(tmp_path / "capture.gz")
    with pytest.raises(UsageError, match="not a file"):
        file_kind(tmp_path / "missing.parquet")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.parquet", b"this is something else"),
        ("x.parquet", b""),
        ("x.csv.gz", b"this is something else"),
        ("x.csv", b"a,a\n1,2\n"),
        ("x.csv", b"a\xff\n1\n"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=name):
        list(read_frames(tmp_path / name, rows=10))
    if name == "x.parquet":
        with pytest.raises(UsageError, match=name):
            count_rows(tmp_path / name)


def test_text_columns_of_a_csv_stay_text_and_empty_is_null(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("symbol,venue,number\n001,,1\n002,X,\n")
    rows = [row for frame in read_frames(tmp_path / "x.csv", rows=9, texts=["symbol", "venue"]) for row in frame.rows()]
    assert rows == [("001", None, 1), ("002", "X", None)]


def test_a_cut_gzip_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"line\n" * 1_000)[:-12])
    with pytest.raises(UsageError, match=r"x\.gz"):
        list(read_lines(tmp_path / "x.gz"))


def test_rows_are_counted_where_the_file_knows(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "x.parquet")
    FRAME.write_csv(tmp_path / "x.csv")
    assert count_rows(tmp_path / "x.parquet") == 25
    assert count_rows(tmp_path / "x.csv") is None
