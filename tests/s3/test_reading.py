"""A lake in a bucket gives the rows that the same lake on a disk gives, and says so when it cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.integration.real_lake import RealLake, wire_trade
from tests.integration.small_lake import TABLES, SmallLake, at, trade
from tests.s3.uploaded import SYMBOLS, Twins, make_twins, upload

from ticklake.base.errors import CorruptError, NoDataError, UsageError
from ticklake.files.object_answer import Answer, StoreUnavailableError
from ticklake.files.object_path import ObjectPath
from ticklake.files.object_store import ObjectStore
from ticklake.files.s3_access import S3Access
from ticklake.readers.lake import Lake, open_lake
from ticklake.readers.listing import ForeignEntryError, TornFileError
from ticklake.readers.quarantine import find_rejected, list_rejected
from ticklake.testing.s3_server import S3Server

_SUBJECT = "market.futures.trades"


@pytest.fixture(scope="module")
def twins(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Twins:
    return make_twins(tmp_path_factory.mktemp("twins"), s3_server.place("twins/env=prod"))


@pytest.fixture
def requests(twins: Twins) -> Iterator[Counter[str]]:
    """What is asked of the store, and answered: a busy store may have to be asked again."""
    counted: Counter[str] = Counter()
    store = twins.bucket.store
    store.observe = lambda operation, result, _seconds: counted.update([operation] if result == "ok" else [])
    yield counted
    store.observe = lambda _operation, _result, _seconds: None


_READS: dict[str, Callable[[Lake], Any]] = {
    "all": lambda lake: lake.scan("futures.trades").collect().sort("stream_seq"),
    "range": lambda lake: lake.scan("futures.trades", start=at(13.5), end=at(14.5)).collect().sort("stream_seq"),
    "symbol": lambda lake: lake.scan("futures.trades", symbol="ES", as_datetime=True).collect().sort("stream_seq"),
    "symbol and day": lambda lake: lake.scan("futures.trades", symbol="ES", date="2024-12-17").collect(),
    "symbol and hour": lambda lake: (
        lake.scan("futures.trades", symbol=["ES", "*"], start="2024-12-16T14:00", end="2024-12-16T14:01")
        .collect()
        .sort("stream_seq")
    ),
    "nothing that day": lambda lake: lake.scan("futures.trades", date="2020-01-01").collect(),
    "columns": lambda lake: lake.scan("crypto.trades", columns=["price", "symbol"]).collect(),
    "front month": lambda lake: lake.bronze.read_futures_trades("ES", "2024-12-17"),
    "dates": lambda lake: lake.bronze.get_available_dates(),
    "dates of a symbol": lambda lake: lake.bronze.get_available_dates(partition_value="BTC/USD"),
    "latest": lambda lake: lake.bronze.get_latest_date(),
    "warm-up": lambda lake: lake.bronze.get_warmup_dates("2024-12-18", 1),
    "signals": lambda lake: lake.gold.read_level_signals("ES", "2024-12-16", as_datetime=True),
    "dates of signals": lambda lake: lake.gold.get_available_dates(),
    "no dates": lambda lake: lake.bronze.get_available_dates("options.trades"),
    "tables": lambda lake: lake.tables(),
    "files": lambda lake: [(file.folder, file.size_bytes) for file in lake.files("futures.trades")],
    "sql": lambda lake: lake.sql("SELECT * FROM futures.trades ORDER BY stream_seq"),
    "sql pruned": lambda lake: lake.sql(
        "SELECT symbol, count(*) AS n FROM futures.trades WHERE symbol IN ('..', 'a=b', '%41') GROUP BY ALL ORDER BY 1"
    ),
    "sql without files": lambda lake: lake.sql("SELECT * FROM options.trades"),
    "sql over two tables": lambda lake: lake.sql(
        "SELECT count(*) FROM futures.trades AS t JOIN crypto.trades AS c ON t.stream_seq <> c.stream_seq"
    ),
}


@pytest.mark.parametrize("what", _READS)
def test_bucket_and_disk_read_alike(twins: Twins, what: str) -> None:
    ours, theirs = _READS[what](twins.stored), _READS[what](twins.local)
    if isinstance(theirs, pl.DataFrame):
        assert ours.schema == theirs.schema
        assert ours.equals(theirs)
    else:
        assert ours == theirs


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_hostile_value_opens_its_own_object(twins: Twins, symbol: str) -> None:
    contract = f"c{symbol}"
    frame = twins.stored.scan("futures.trades", symbol=symbol, start=at(14), end=at(14) + 1).collect()
    assert contract in frame["contract"].to_list()
    assert frame.filter(pl.col("contract") == contract).height == 1
    if len(symbol) < 100:  # the folder of a longer one is a hash
        assert set(frame["symbol"]) == {symbol}


def test_an_hour_costs_a_few_listings_and_no_object(twins: Twins, requests: Counter[str]) -> None:
    lake = twins.stored
    lake.scan("futures.trades", symbol="ES", start="2024-12-16T14:00", end="2024-12-16T15:00")
    assert requests == {"list": 4}  # the table, the symbol, the day, the hour
    requests.clear()
    assert len(lake.files("futures.trades")) > 20
    assert requests == {"list": 1}


def test_sql_opens_only_what_the_partitions_leave(twins: Twins, requests: Counter[str]) -> None:
    frame = twins.stored.sql("SELECT sum(price) AS p FROM futures.trades WHERE symbol = 'BTC/USD'")
    assert frame.item() == 6000.0
    assert requests == {"list": 1, "get": 2}  # one object for the schema, one for the answer


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_parquet('{root}/**/*.parquet')",
        "SELECT * FROM read_blob('{root}/catalog/ledger/0123abcd-market_data/000000000001.json')",
        "SELECT * FROM glob('{root}/**')",
        "SELECT * FROM read_text('https://example.com/')",
        "COPY (SELECT 1) TO '{root}/x.parquet'",
        "SET threads = 1",
    ],
)
def test_sql_reads_the_tables_and_nothing_else(twins: Twins, query: str) -> None:
    with pytest.raises(UsageError):
        twins.stored.sql(query.format(root=twins.bucket) + (" , futures.trades" if "FROM" in query else ""))


def test_no_data_empty_unreadable_and_unreachable_are_four_outcomes(bucket: ObjectPath, tmp_path: Path) -> None:
    lake = open_lake(bucket, tables=TABLES)
    with pytest.raises(NoDataError, match=f"no file below {bucket}"):
        lake.scan("futures.trades")
    small = SmallLake(tmp_path / "lake")
    [path] = small.add("futures.trades", [trade(at(14))])
    upload(small.root, bucket)
    with pytest.raises(NoDataError, match="NQ"):
        lake.scan("futures.trades", symbol="NQ")
    assert lake.scan("futures.trades", date="2020-01-01").collect().is_empty()
    assert lake.bronze.read("futures.trades").height == 1
    stored = bucket / path.relative_to(small.root).as_posix()
    for content, problem in ((b"", "empty"), (b"PAR1", "cut"), (bytes(500), "footer")):
        stored.store.put(stored.key, content)
        with pytest.raises(TornFileError, match=f"{stored.name}.*{problem}"):
            lake.bronze.read("futures.trades")
        with pytest.raises(CorruptError, match=stored.name):
            lake.sql("SELECT sum(price) FROM futures.trades")


def test_a_damaged_page_is_named_by_both_engines(bucket: ObjectPath, tmp_path: Path) -> None:
    small = SmallLake(tmp_path / "lake")
    small.add("futures.trades", [trade(at(13))])
    [path] = small.add("futures.trades", [trade(at(14), price=6000.0 + step) for step in range(500)])
    upload(small.root, bucket)
    content = path.read_bytes()
    stored = bucket / path.relative_to(small.root).as_posix()
    stored.store.put(stored.key, content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])
    lake = open_lake(bucket, tables=TABLES)
    with pytest.raises(TornFileError, match=stored.name):
        lake.bronze.read("futures.trades")
    with pytest.raises(TornFileError, match=stored.name):
        lake.sql("SELECT * FROM futures.trades")


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("part.parquet", "outside the partition folders"),
        ("symbol=ES/part.parquet", "outside the partition folders"),
        ("symbol=ES/day=3/part.parquet", "`date=...` belongs here"),
        ("symbol=ES/date=2024-12-16/hour=25/part.parquet", "no UTC hour"),
        ("symbol=ES/date=2024-12-16/hour=14/copy/part.parquet", "a folder where only data files belong"),
    ],
)
def test_what_we_never_put_there_is_named(bucket: ObjectPath, tmp_path: Path, key: str, says: str) -> None:
    small = SmallLake(tmp_path / "lake")
    small.add("futures.trades", [trade(at(14))])
    upload(small.root, bucket)
    foreign = bucket / "bronze/futures/trades" / key
    foreign.store.put(foreign.key, b"x" * 100)
    lake = open_lake(bucket, tables=TABLES)
    for read in (
        lambda: lake.scan("futures.trades"),
        lambda: lake.scan("futures.trades", symbol="ES", start=at(14), end=at(15)),
    ):
        with pytest.raises(ForeignEntryError, match=says):
            read()


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"secret_key": "wrong"}, Answer.DENIED), ({"endpoint": "http://127.0.0.1:9"}, Answer.UNKNOWN)],
)
def test_a_store_that_does_not_answer_is_no_empty_lake(
    bucket: ObjectPath, change: dict[str, str], reason: Answer
) -> None:
    known = bucket.store.access
    access = S3Access(**{**_facts(known), **change})
    lake = open_lake(ObjectPath(ObjectStore(bucket.store.bucket, access), bucket.key), tables=TABLES)
    for read in (
        lambda: lake.scan("futures.trades"),
        lambda: lake.bronze.get_available_dates(),
        lambda: lake.sql("SELECT * FROM futures.trades"),
        lambda: lake.verify(),
    ):
        with pytest.raises(StoreUnavailableError) as caught:
            read()
        assert caught.value.reason is reason
        assert "lake-secret" not in str(caught.value)


def test_a_store_that_goes_away_during_a_question_is_said_so(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    works, calls = ObjectStore.get_range, Counter[str]()

    def fails_once(self: ObjectStore, key: str, start: int, length: int) -> bytes:
        calls[key] += 1
        if calls.total() == 5:  # and is back when somebody looks for the culprit
            raise StoreUnavailableError(f"{key}: gone", reason=Answer.UNKNOWN)
        return works(self, key, start, length)

    monkeypatch.setattr(ObjectStore, "get_range", fails_once)
    with pytest.raises(StoreUnavailableError, match="gone"):
        twins.stored.sql("SELECT sum(price) FROM futures.trades")


def test_an_emptied_folder_holds_no_data(bucket: ObjectPath, tmp_path: Path) -> None:
    small = SmallLake(tmp_path / "lake")
    small.add("futures.trades", [trade(at(14)), trade(at(14, day=1))])
    upload(small.root, bucket)
    lake = open_lake(bucket, tables=TABLES)
    assert lake.bronze.get_available_dates() == ["2024-12-16", "2024-12-17"]
    first, second = lake.files("futures.trades")
    assert first.stored is not None
    first.stored.unlink()
    assert lake.bronze.get_available_dates() == ["2024-12-17"]
    assert lake.bronze.read("futures.trades", "ES", "2024-12-16").is_empty()
    assert second.stored is not None
    second.stored.unlink()
    assert lake.tables() == []
    assert not second.stored.parent.exists()
    with pytest.raises(NoDataError):
        lake.scan("futures.trades")


def test_rejected_input_is_listed_and_shown(bucket: ObjectPath, tmp_path: Path) -> None:
    real = RealLake(tmp_path)
    real.append([wire_trade(at(14)), (_SUBJECT, b"no json"), (_SUBJECT, b'{"symbol": 5}')])
    real.commit()
    real.close()
    upload(real.root, bucket)
    ours, theirs = list_rejected(bucket), list_rejected(real.root)
    assert ours == theirs
    assert len(ours) == 2
    assert find_rejected(bucket, ours[0].id) == theirs[0]
    assert open_lake(bucket, tables=TABLES).sql("SELECT count(*) FROM quarantine").item() == 2


def _facts(access: S3Access) -> dict[str, Any]:
    return {name: getattr(access, name) for name in ("endpoint", "region", "access_key", "secret_key")}
