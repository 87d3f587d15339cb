"""Frames as files: what the reference promised, and what it did not keep."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.stores.without_pandas import run_without_pandas

from ticklake.files.errors import UnreadableError
from ticklake.files.frames import COMPRESSIONS
from ticklake.stores.parquet_files import list_parquet_files, load_parquet, save_parquet

DAYS = [datetime(2024, 10, 1) + timedelta(days=number) for number in range(30)]
FRAME = pl.DataFrame({"timestamp": DAYS, "spread": [float(n) for n in range(30)], "note": [f"n{n}" for n in range(30)]})


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_frame_comes_back_with_every_compression(tmp_path: Path, compression: str) -> None:
    path = save_parquet(FRAME, tmp_path / "deep/er/x.parquet", compression)
    assert path == tmp_path / "deep/er/x.parquet"
    assert load_parquet(path).equals(FRAME)
    assert load_parquet(path).schema == FRAME.schema
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression.lower() in (compression, "lz4_raw")
    assert [file.name for file in path.parent.iterdir()] == ["x.parquet"]


@pytest.mark.parametrize("frame", [FRAME.lazy(), FRAME.to_arrow(), pa.RecordBatchReader.from_stream(FRAME)])
def test_whatever_speaks_arrow_is_a_frame(tmp_path: Path, frame: Any) -> None:
    assert load_parquet(save_parquet(frame, tmp_path / "x.parquet")).equals(FRAME)


def test_what_is_no_frame_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for frame, text in ((FRAME.clear(), "Cannot save empty DataFrame"), ({"a": [1]}, "no frame")):
        with pytest.raises(ValueError, match=text):
            save_parquet(frame, tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="compression"):
        save_parquet(FRAME, tmp_path / "x.parquet", "zip")
    assert list(tmp_path.iterdir()) == []


def test_columns_come_in_the_order_asked_for(tmp_path: Path) -> None:
    path = save_parquet(FRAME, tmp_path / "x.parquet")
    assert load_parquet(path, columns=["note", "spread"]).columns == ["note", "spread"]
    with pytest.raises(ValueError, match="no column price"):
        load_parquet(path, columns=["price"])


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2024-10-10", "2024-10-14", 5),
        (datetime(2024, 10, 10), datetime(2024, 10, 14), 5),
        (date(2024, 10, 10), None, 21),
        (None, datetime(2024, 10, 3, tzinfo=UTC), 3),
        (datetime(2024, 10, 10, 0, 0, 1), "2024-10-14T00:00:00", 4),
        ("2025-01-01", None, 0),
    ],
)
@pytest.mark.parametrize("kind", [pl.Datetime("us"), pl.Datetime("ns", "UTC"), pl.Datetime("ms"), pl.Date])
def test_both_dates_are_included(tmp_path: Path, start: Any, end: Any, days: int, kind: Any) -> None:
    path = save_parquet(FRAME.with_columns(pl.col("timestamp").cast(kind)), tmp_path / "x.parquet")
    assert load_parquet(path, start_date=start, end_date=end, columns=["spread"]).height == days


def test_a_date_without_a_time_includes_its_whole_day(tmp_path: Path) -> None:
    hours = pl.DataFrame({"at": [datetime(2024, 10, 5, hour) for hour in range(24)], "x": range(24)})
    path = save_parquet(hours, tmp_path / "x.parquet")
    assert load_parquet(path, end_date="2024-10-05").height == 24
    assert load_parquet(path, end_date=datetime(2024, 10, 5)).height == 1


def test_a_date_filter_does_not_read_row_groups_outside_the_dates(tmp_path: Path) -> None:
    rows = 300_000
    frame = pl.DataFrame(
        {"at": pl.datetime_range(DAYS[0], DAYS[0] + timedelta(seconds=rows - 1), "1s", eager=True), "x": range(rows)}
    )
    path = save_parquet(frame, tmp_path / "x.parquet", "lz4")
    group = pq.ParquetFile(path).metadata.row_group(0).column(1)
    content = bytearray(path.read_bytes())
    start = group.dictionary_page_offset or group.data_page_offset
    content[start : start + group.total_compressed_size] = b"\xff" * group.total_compressed_size
    path.write_bytes(content)
    assert load_parquet(path, start_date=DAYS[0] + timedelta(seconds=200_000)).height == 100_000
    with pytest.raises(UnreadableError, match="restore"):
        load_parquet(path)


def test_a_date_filter_needs_a_time_column(tmp_path: Path) -> None:
    path = save_parquet(pl.DataFrame({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="Date filtering requires DatetimeIndex"):
        load_parquet(path, start_date="2024-10-01")
    two = pl.DataFrame({"known": DAYS[:2], "event": DAYS[2:4]})
    with pytest.raises(ValueError, match="Date filtering"):
        load_parquet(save_parquet(two, path), start_date="2024-10-01")
    save_parquet(two, path, time_column="event")
    assert load_parquet(path, end_date=DAYS[2])["known"].to_list() == DAYS[:1]


def test_missing_and_damaged_files_are_two_outcomes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="list_parquet_files"):
        load_parquet(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UnreadableError, match="restore"):
        load_parquet(tmp_path / "x.parquet")


def test_files_are_listed_sorted_and_not_below(tmp_path: Path) -> None:
    for name in ("b.parquet", "a.parquet", "sub/c.parquet", "x.json", ".tmp-1.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [file.name for file in list_parquet_files(tmp_path)] == ["a.parquet", "b.parquet"]
    assert [file.name for file in list_parquet_files(tmp_path, "a*")] == ["a.parquet"]
    assert list_parquet_files(tmp_path / "missing") == []


def test_a_file_in_hive_folders_gets_no_columns_from_their_names(tmp_path: Path) -> None:
    path = save_parquet(FRAME, tmp_path / "symbol=ES/x.parquet")
    assert load_parquet(path).columns == FRAME.columns


def test_pandas_keeps_its_index(tmp_path: Path) -> None:
    import pandas as pd

    for name, zone in ((None, None), ("day", "America/New_York")):
        frame = pd.DataFrame({"b": [1.5] * 30, "a": range(30)}, index=pd.DatetimeIndex(DAYS, tz=zone, name=name))
        path = save_parquet(frame, tmp_path / "x.parquet")
        pd.testing.assert_frame_equal(load_parquet(path, as_pandas=True), frame, check_freq=False)
        assert load_parquet(path).columns == ["b", "a", name or "timestamp"]
        found = load_parquet(
            path, ["a"], pd.Timestamp("2024-10-10", tz=zone), pd.Timestamp("2024-10-14", tz=zone), as_pandas=True
        )
        pd.testing.assert_frame_equal(found, frame.iloc[9:14][["a"]], check_freq=False)
    plain = load_parquet(save_parquet(frame, path, index=False), as_pandas=True)
    assert isinstance(plain.index, pd.RangeIndex)


def test_without_pandas_only_the_pandas_form_fails(tmp_path: Path) -> None:
    path = save_parquet(FRAME, tmp_path / "x.parquet")
    code = """
        import sys

        import pytest
        from ticklake.base.errors import UsageError
        from ticklake.stores.parquet_files import load_parquet

        assert load_parquet(sys.argv[1]).height == 30
        with pytest.raises(UsageError, match="pip install"):
            load_parquet(sys.argv[1], as_pandas=True)
        assert "pandas" not in sys.modules
    """
    run_without_pandas(code, str(path))
