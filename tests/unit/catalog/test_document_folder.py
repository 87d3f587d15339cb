"""Promises of a folder of documents and its index."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from ticklake.catalog.document_folder import DocumentFolder
from ticklake.files.errors import AlreadyStoredError, ConflictError, NotStoredError, UnreadableError

HOSTILE = ["../x", "a/b", "*", "\0", "x" * 300, "BTC/USD", "BTCUSD", "😀", "\u00e9", "e\u0301", ".", "..", "-rf"]


def _open(folder: Path) -> DocumentFolder:
    return DocumentFolder(folder / "things", form="test.thing/1", fields=("colour",))


def test_documents_come_back_with_a_revision(tmp_path: Path) -> None:
    things = _open(tmp_path)
    assert things.create("a", {"colour": "red"})["revision"] == 1
    assert things.put("a", {"colour": "blue"})["revision"] == 2
    assert things.get("a") == {"format": "test.thing/1", "key": "a", "revision": 2, "colour": "blue"}
    with pytest.raises(AlreadyStoredError):
        things.create("a", {})
    with pytest.raises(NotStoredError):
        things.get("b")


def test_a_change_based_on_an_old_revision_is_refused(tmp_path: Path) -> None:
    things = _open(tmp_path)
    things.create("a", {"colour": "red"})
    things.change("a", lambda old: {**old, "colour": "blue"}, revision=1)
    with pytest.raises(ConflictError, match="revision 2"):
        things.change("a", lambda old: {**old, "colour": "green"}, revision=1)
    assert things.get("a")["colour"] == "blue"


def test_hostile_keys_stay_apart_and_inside(tmp_path: Path) -> None:
    things = _open(tmp_path)
    for key in HOSTILE:
        things.create(key, {"colour": key})
    assert things.keys() == sorted(HOSTILE)
    assert [things.get(key)["colour"] for key in HOSTILE] == HOSTILE
    assert {path.name for path in tmp_path.iterdir()} == {"things", "things.index", ".lock-things"}
    assert len(list((tmp_path / "things").iterdir())) == len(HOSTILE)


@pytest.mark.parametrize("damage", ["missing", "junk", "old"])
def test_the_index_is_made_anew_when_it_is_missing_damaged_or_stale(tmp_path: Path, damage: str) -> None:
    things = _open(tmp_path)
    things.create("a", {"colour": "red"})
    things.create("b", {"colour": "red"})
    assert len(things.rows()) == 2
    index = tmp_path / "things.index"
    old = index.read_bytes()
    things.put("a", {"colour": "blue"})
    things.delete("b")
    things.rows()
    {"missing": index.unlink, "junk": lambda: index.write_bytes(b"{"), "old": lambda: index.write_bytes(old)}[damage]()
    assert _open(tmp_path).rows() == [{"key": "a", "colour": "blue"}]


def test_a_settled_index_is_used_without_opening_documents(tmp_path: Path) -> None:
    things = _open(tmp_path)
    things.create("a", {"colour": "red"})
    past = time.time_ns() - 10_000_000_000
    for path in (tmp_path / "things/a.json", tmp_path / "things"):
        os.utime(path, ns=(past, past))
    assert things.rows() == [{"key": "a", "colour": "red"}]
    (tmp_path / "things/a.json").write_bytes(b"edited in place, which the module says is not seen")
    assert _open(tmp_path).rows() == [{"key": "a", "colour": "red"}]
    with pytest.raises(UnreadableError, match=r"a\.json"):
        things.rebuild()


def test_a_foreign_document_is_named(tmp_path: Path) -> None:
    things = _open(tmp_path)
    things.create("a", {})
    (tmp_path / "things/b.json").write_bytes(b'{"format": "other/1"}')
    with pytest.raises(UnreadableError, match=r"b\.json"):
        things.rows()


def _count(folder: str, worker: int) -> None:
    things = DocumentFolder(Path(folder) / "things", form="test.thing/1", fields=("colour",))
    for number in range(40):
        things.change("shared", lambda old: {**old, "count": old["count"] + 1})
        things.create(f"{worker}-{number}", {"colour": worker})
        if number % 10 == 0:
            assert len(things.rows()) > number


def test_eight_processes_lose_no_update(tmp_path: Path) -> None:
    things = _open(tmp_path)
    things.create("shared", {"count": 0})
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_count, args=(str(tmp_path), worker)) for worker in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert things.get("shared")["count"] == 320
    assert things.get("shared")["revision"] == 321
    assert len(things.rows()) == 321
