"""A lock and a log in a bucket whose store does wrong: what was cut short does not stand in the way for ever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ticklake.base.errors import CorruptError
from ticklake.files.atomic import write_new
from ticklake.files.object_answer import StoreUnavailableError
from ticklake.files.object_lock import held_object, locked_object
from ticklake.files.object_log import append_object_line, object_lines_size, read_object_lines
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import place_of
from ticklake.testing.fault_proxy import Fault, FaultProxy
from ticklake.testing.s3_server import S3Server


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3_server.port) as proxy:
        yield proxy


@pytest.fixture
def place(bucket: ObjectPath, s3_server: S3Server, proxy: FaultProxy) -> ObjectPath:
    """`bucket` again, behind the proxy."""
    found = place_of(str(bucket), access=s3_server.access_at(proxy.url))
    assert isinstance(found, ObjectPath)
    return found / "books"


def lose_the_creation(proxy: FaultProxy) -> None:
    """The store makes the lock, and nobody hears of it."""
    proxy.script(Fault.RESET, part=".lock-books")
    proxy.script(Fault.LOST, part=".lock-books", times=3)


def test_a_lock_whose_creation_was_never_answered_can_be_held_again_at_once(
    place: ObjectPath, proxy: FaultProxy
) -> None:
    lose_the_creation(proxy)
    with pytest.raises(StoreUnavailableError), held_object(place):
        pass
    assert proxy.is_spent
    assert len(list((place.parent / ".lock-books").glob("*.json"))) == 1, "it is there, and says that it is ours"
    with held_object(place) as check:
        check()


def test_a_lock_whose_creation_was_never_answered_is_waited_for_by_nobody(place: ObjectPath, proxy: FaultProxy) -> None:
    lose_the_creation(proxy)
    with pytest.raises(StoreUnavailableError), locked_object(place):
        pass
    with locked_object(place, lease_s=1e9):  # by waiting it would never be ours
        assert len(list((place.parent / ".lock-books").glob("*.json"))) == 2


def test_a_log_that_lost_a_line_is_named_and_takes_none(bucket: ObjectPath) -> None:
    log = bucket / "log.jsonl"
    for number in (1, 3):  # by another process: this one has never seen its end
        write_new(log / f"{number:010d}", b"line\n")
    for call in (
        lambda: append_object_line(log, b"four"),
        lambda: object_lines_size(log),
        lambda: read_object_lines(log),
    ):
        with pytest.raises(CorruptError, match="0000000002 is gone"):
            call()
    assert [each.name for each in log.glob("*")] == ["0000000001", "0000000003"]
