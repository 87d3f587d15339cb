"""The dataset registry: what the reference promised, and what it did not keep."""

import copy
import os
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from ticklake.base.errors import UsageError
from ticklake.catalog import DataRegistry
from ticklake.catalog.entry import DatasetEntry, Lifecycle
from ticklake.stores.parquet_files import save_parquet


def _frame(days: int, start: datetime = datetime(2024, 1, 1)) -> pl.DataFrame:
    return pl.DataFrame(
        {"timestamp": [start + timedelta(days=n) for n in range(days)], "spread": [1.0] * (days - 1) + [None]}
    )


@pytest.fixture
def registry(tmp_path: Path) -> DataRegistry:
    return DataRegistry(tmp_path / "registry.json", tmp_path / "data")


def _register(
    registry: DataRegistry, name: str, instrument: str = "CDX.NA.IG", tenor: str | None = "5Y", **options: object
) -> None:
    path = save_parquet(_frame(10), registry.data_directory / f"raw/{name}.parquet")
    registry.register_dataset(name, path, instrument, tenor, **options)  # type: ignore[arg-type]


def test_statistics_come_from_the_footer(registry: DataRegistry) -> None:
    _register(registry, "ig", metadata={"source": "x", "price": Decimal("1.10")})
    info = registry.get_dataset_info("ig")
    assert (info["instrument"], info["tenor"], info["row_count"]) == ("CDX.NA.IG", "5Y", 10)
    assert (info["start_date"], info["end_date"]) == ("2024-01-01T00:00:00", "2024-01-10T00:00:00")
    assert info["null_counts"] == {"timestamp": 0, "spread": 1}
    assert info["metadata"] == {"source": "x", "price": Decimal("1.10")}
    assert info["file_path"] == str(registry.data_directory / "raw/ig.parquet")
    assert info["size_bytes"] == os.path.getsize(info["file_path"])


def test_statistics_read_no_pages(registry: DataRegistry) -> None:
    path = save_parquet(_frame(10), registry.data_directory / "x.parquet")
    content = bytearray(path.read_bytes())
    metadata = pq.ParquetFile(path).metadata
    end = sum(metadata.row_group(0).column(n).total_compressed_size for n in range(2))
    content[4 : 4 + end] = b"\0" * end
    path.write_bytes(content)
    assert registry.register_dataset("x", path, "I").stats.row_count == 10


def test_a_folder_of_files_is_one_dataset(registry: DataRegistry) -> None:
    for month in (1, 2):
        save_parquet(_frame(5, datetime(2024, month, 1)), registry.data_directory / f"many/{month}.parquet")
    stats = registry.register_dataset("many", "many", "I").stats
    assert (stats.row_count, stats.files, stats.start_date, stats.end_date) == (
        10,
        2,
        "2024-01-01T00:00:00",
        "2024-02-05T00:00:00",
    )


def test_the_schema_hash_tells_names_types_and_order(registry: DataRegistry) -> None:
    frames = [_frame(3), _frame(9), _frame(3).select("spread", "timestamp"), _frame(3).cast({"spread": pl.Float32})]
    hashes = [
        registry.register_dataset(
            str(n), save_parquet(frame, registry.data_directory / f"{n}.parquet")
        ).stats.schema_hash
        for n, frame in enumerate(frames)
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


@pytest.mark.parametrize("content", [None, b"no parquet"])
def test_a_missing_or_damaged_file_is_registered_with_its_problem(
    registry: DataRegistry, content: bytes | None
) -> None:
    path = registry.data_directory / "x.parquet"
    if content:
        path.parent.mkdir()
        path.write_bytes(content)
    entry = registry.register_dataset("x", path, "I")
    assert (entry.stats.row_count, entry.stats.start_date) == (None, None)
    assert str(path) in entry.problem
    with pytest.raises(Exception, match=r"x\.parquet") as caught:
        registry.update_dataset_stats("x")
    assert isinstance(caught.value, FileNotFoundError) == (content is None)


def test_datasets_are_found_by_what_they_are(registry: DataRegistry) -> None:
    _register(registry, "ig5")
    _register(registry, "ig10", tenor="10Y", tags=["credit", "daily"])
    _register(registry, "vix", "VIX", None, table="t", tags=["daily"])
    assert registry.list_datasets() == ["ig10", "ig5", "vix"]
    assert registry.list_datasets(instrument="CDX.NA.IG") == ["ig10", "ig5"]
    assert registry.list_datasets(instrument="CDX") == []
    assert registry.list_datasets("CDX.NA.IG", "5Y") == ["ig5"]
    assert registry.list_datasets(tags=["daily"]) == ["ig10", "vix"]
    assert registry.list_datasets(tags=["daily", "credit"]) == ["ig10"]
    assert registry.list_datasets(table="t") == ["vix"]
    assert len(registry) == 3
    assert "datasets=3" in repr(registry)
    assert "vix" in registry


def test_an_answer_is_a_copy_to_the_bottom(registry: DataRegistry) -> None:
    _register(registry, "x", metadata={"a": {"b": 1}})
    first = registry.get_dataset_info("x")
    before = copy.deepcopy(first)
    first["metadata"]["a"]["b"] = 2
    first["tags"].append("y")
    assert registry.get_dataset_info("x") == before


def test_a_registry_is_kept(registry: DataRegistry) -> None:
    _register(registry, "x")
    again = DataRegistry(registry.registry_path, registry.data_directory)
    assert again.get_dataset_info("x") == registry.get_dataset_info("x")


def test_registering_again_replaces(registry: DataRegistry) -> None:
    _register(registry, "x", metadata={"a": 1})
    _register(registry, "x", "VIX")
    assert registry.get_dataset_info("x")["instrument"] == "VIX"
    assert registry.get_dataset_info("x")["metadata"] == {}


def test_statistics_are_refreshed_and_staleness_is_seen(registry: DataRegistry) -> None:
    _register(registry, "x")
    assert not registry.is_stale("x")
    save_parquet(_frame(30), registry.data_directory / "raw/x.parquet")
    assert registry.is_stale("x")
    assert registry.get_dataset_info("x")["row_count"] == 10
    registry.update_dataset_stats("x")
    info = registry.get_dataset_info("x")
    assert (info["row_count"], info["instrument"]) == (30, "CDX.NA.IG")
    assert info["last_updated"] is not None
    assert not registry.is_stale("x")


def test_a_dataset_lives_ages_and_is_found_by_it(registry: DataRegistry) -> None:
    _register(registry, "x")
    assert registry.set_status("x", "deprecated").status is Lifecycle.DEPRECATED
    assert registry.list_datasets(status="active") == []
    assert registry.list_datasets(status="deprecated") == ["x"]
    with pytest.raises(UsageError, match="active, deprecated, archived"):
        registry.set_status("x", "dead")


@pytest.mark.parametrize("delete_file", [False, True])
def test_removing_keeps_or_deletes_the_file(registry: DataRegistry, delete_file: bool) -> None:
    _register(registry, "x")
    registry.remove_dataset("x", delete_file=delete_file)
    assert registry.list_datasets() == []
    assert (registry.data_directory / "raw/x.parquet").exists() is not delete_file


def test_an_unknown_name_is_a_key_error_that_says_so(registry: DataRegistry) -> None:
    for call in (registry.get_dataset_info, registry.update_dataset_stats, registry.remove_dataset, registry.is_stale):
        with pytest.raises(KeyError, match="Dataset 'x' not found in registry"):
            call("x")


def test_a_file_outside_the_data_directory_is_registered_but_never_deleted(
    registry: DataRegistry, tmp_path: Path
) -> None:
    path = save_parquet(_frame(3), tmp_path / "elsewhere.parquet")
    registry.register_dataset("x", path, "I")
    with pytest.raises(UsageError, match="outside"):
        registry.remove_dataset("x", delete_file=True)
    assert path.exists()
    assert registry.list_datasets() == ["x"]


def test_the_data_may_move_with_the_registry(registry: DataRegistry, tmp_path: Path) -> None:
    _register(registry, "x")
    registry.data_directory.rename(tmp_path / "moved")
    moved = DataRegistry(registry.registry_path, tmp_path / "moved")
    assert not moved.is_stale("x")


def test_entries_come_back_from_dicts_and_unknown_keys_are_refused(registry: DataRegistry) -> None:
    _register(registry, "x", tags=["b", "a"])
    entry = registry.get_dataset_entry("x")
    assert DatasetEntry.from_dict(entry.to_dict()) == entry
    with pytest.raises(UsageError, match="colour"):
        DatasetEntry.from_dict({**entry.to_dict(), "colour": 1})


def test_what_lies_on_the_shelves_is_there_by_itself(tmp_path: Path) -> None:
    table = pl.DataFrame({"ts_event_ns": [1_700_000_000_000_000_000, 1_700_000_001_000_000_000], "price": [1.0, 2.0]})
    save_parquet(table, tmp_path / "bronze/futures/trades/symbol=ES/date=2023-11-14/hour=22/part-1.parquet")
    save_parquet(table, tmp_path / "gold/levels/signals/underlying=ES/date=2023-11-14/hour=22/part-1.parquet")
    save_parquet(table, tmp_path / "gold/training/good.parquet")
    save_parquet(table, tmp_path / "silver/features/v1/date=2023-11-14/signals.parquet")
    save_parquet(table, tmp_path / "silver/features/half_built/x.parquet")
    save_parquet(table, tmp_path / "gold/history/good/date=2023-11-14/x.parquet")
    (tmp_path / "silver/features/v1/manifest.yaml").write_text("version: v1\n")
    registry = DataRegistry.of_lake(tmp_path)
    names = ["bronze/futures/trades", "gold/levels/signals", "gold/training/good", "silver/features/v1"]
    assert registry.list_datasets() == names
    assert registry.list_datasets("ES") == names[:2]
    assert registry.list_datasets(table="futures.trades") == names[:1]
    info = registry.get_dataset_info(names[0])
    assert (info["row_count"], info["start_date"]) == (2, "2023-11-14T22:13:20+00:00")
    registry.set_status(names[0], "deprecated")
    assert registry.list_datasets() == names
    for name in names:
        with pytest.raises(UsageError):
            registry.remove_dataset(name, delete_file=True)
