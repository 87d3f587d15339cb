"""Promises of files in a bucket, on a real store: never overwritten, whole or absent, one holder, a place a line."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ticklake.files.atomic import append_line, locked, publish_file, read_lines, remove, replace, temp_beside, write_new
from ticklake.files.errors import AlreadyStoredError, ConflictError, NotStoredError
from ticklake.files.object_answer import Answer, StoreUnavailableError
from ticklake.files.object_lock import locked_object
from ticklake.files.object_path import ObjectPath
from ticklake.files.object_store import ConditionalWritesError, ObjectStore, prove_conditional_writes
from ticklake.files.place import place_of
from ticklake.files.s3_access import S3Access
from ticklake.testing.s3_server import S3Server

HOSTILE = ["symbol=BTC%2FUSD", "symbol=%2E%2E", "symbol=%2A", "p q+é&a=b?c#d", "x" * 200]


def test_a_new_object_is_never_overwritten(bucket: ObjectPath) -> None:
    write_new(bucket / "a", b"first")
    with pytest.raises(AlreadyStoredError):
        write_new(bucket / "a", b"second")
    with pytest.raises(AlreadyStoredError):  # the same words, but somebody else's
        write_new(bucket / "a", b"first")
    assert (bucket / "a").read_bytes() == b"first"


def test_one_of_eight_racers_wins(bucket: ObjectPath) -> None:
    def race(number: int) -> bool:
        try:
            write_new(bucket / "one", b"same words")
        except AlreadyStoredError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(race, range(8))) == 1


def test_the_same_commit_twice_is_one(bucket: ObjectPath) -> None:
    bucket.store.create((bucket / "part").key, b"rows")
    bucket.store.create((bucket / "part").key, b"rows")
    with pytest.raises(AlreadyStoredError):
        bucket.store.create((bucket / "part").key, b"rowz")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_come_back_as_they_were(bucket: ObjectPath, name: str) -> None:
    write_new(bucket / "folder" / name / "file", b"x")
    assert [path.name for path in (bucket / "folder").iterdir()] == [name]
    assert (bucket / "folder" / name / "file").read_bytes() == b"x"
    assert [path.key for path in bucket.rglob("file")] == [(bucket / "folder" / name / "file").key]


def test_a_place_reads_like_a_path(bucket: ObjectPath) -> None:
    with pytest.raises(NotStoredError):
        list((bucket / "d").iterdir())
    assert not (bucket / "d").exists()
    write_new(bucket / "d" / "one.json", b"12345")
    write_new(bucket / "d" / "sub" / "two.json", b"")
    place = bucket / "d"
    assert (place.is_dir(), place.is_file(), place.exists()) == (True, False, True)
    assert [each.name for each in place.iterdir()] == ["one.json", "sub"]
    assert [each.name for each in place.glob("*.json")] == ["one.json"]
    assert [each.name for each in place.glob("sub/*.json")] == ["two.json"]
    assert (place / "one.json").stat().st_size == 5
    assert (place / "sub" / "two.json").relative_to(bucket).parts == ("d", "sub", "two.json")
    assert place_of(str(place), access=bucket.store.access) == place
    replace(place / "one.json", b"new")
    assert (place / "one.json").read_text() == "new"
    assert remove(place / "one.json")
    assert not remove(place / "one.json")


def test_a_path_travels_without_its_keys(
    bucket: ObjectPath, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    frozen = pickle.dumps(bucket / "a")
    assert b"lake-secret" not in frozen
    assert pickle.loads(frozen) == bucket / "a"


def test_a_file_of_another_library_is_published(bucket: ObjectPath) -> None:
    temp = temp_beside(bucket / "table.parquet")
    Path(temp).write_bytes(b"rows")
    publish_file(temp, bucket / "table.parquet", overwrite=False)
    assert (bucket / "table.parquet").read_bytes() == b"rows"
    assert not Path(temp).exists()


def test_every_appended_line_has_its_place(bucket: ObjectPath) -> None:
    path = bucket / "log.jsonl"

    def write(number: int) -> int:
        return append_line(path, b"the same words" if number % 2 else f"{number:05d}".encode())

    with ThreadPoolExecutor(8) as pool:
        starts = list(pool.map(write, range(60)))
    content = read_lines(path)
    assert len(content.splitlines()) == 60
    assert content.splitlines().count(b"the same words") == 30
    assert sorted(starts) == [sum(map(len, content.splitlines(keepends=True)[:number])) for number in range(60)]


def test_a_lock_has_one_holder(bucket: ObjectPath) -> None:
    inside, most, turns = 0, 0, 0
    guard = threading.Lock()

    def work(_: int) -> None:
        nonlocal inside, most, turns
        with locked(bucket / "books"):
            with guard:
                inside += 1
                most = max(most, inside)
                turns += 1
            with guard:
                inside -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(24)))
    assert (most, turns) == (1, 24)
    assert len(list((bucket / ".lock-books").glob("*.json"))) <= 2


def test_a_dead_holder_is_succeeded_and_learns_of_it(bucket: ObjectPath) -> None:
    place = bucket / "books"
    silent = locked_object(place, renew_s=1000.0)  # gives no sign of life
    with pytest.raises(ConflictError), silent, locked_object(place, lease_s=0.3):
        pass


def test_the_probe_believes_this_store_and_not_one_that_overwrites(bucket: ObjectPath) -> None:
    prove_conditional_writes(bucket.store, (bucket / "probe").key, keep=False)
    assert not (bucket / "probe").exists()
    careless = ObjectStore(bucket.store.bucket, bucket.store.access)
    careless._try_create = lambda key, content, _marks: careless.put(key, content)  # type: ignore[method-assign,func-returns-value]
    with pytest.raises(ConditionalWritesError, match="overwrote"):
        prove_conditional_writes(careless, (bucket / "probe").key, keep=False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"secret_key": "wrong"}, Answer.DENIED), ({"endpoint": "http://127.0.0.1:9"}, Answer.UNKNOWN)],
)
def test_a_store_that_does_not_let_us_in_says_why(bucket: ObjectPath, change: dict[str, str], reason: Answer) -> None:
    access = bucket.store.access
    facts = {
        "endpoint": access.endpoint,
        "region": access.region,
        "access_key": access.access_key,
        "secret_key": access.secret_key,
    }
    store = ObjectStore(bucket.store.bucket, S3Access(**{**facts, **change}))
    for call in (lambda: store.create("k", b""), lambda: store.get("k"), lambda: store.list_folder("k")):
        with pytest.raises(StoreUnavailableError) as caught:
            call()
        assert caught.value.reason is reason
        assert "lake-secret" not in str(caught.value)
