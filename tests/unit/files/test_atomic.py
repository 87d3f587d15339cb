"""Promises of `files.atomic`."""

import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from ticklake.base.errors import DiskError, UsageError
from ticklake.files import atomic
from ticklake.files.errors import AlreadyStoredError, OutsideRootError, PersistentStoreError, Reason


def _names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_write_new_makes_parents_and_leaves_no_temp_file(tmp_path: Path) -> None:
    atomic.write_new(tmp_path / "a/b/c.json", b"one")
    assert (tmp_path / "a/b/c.json").read_bytes() == b"one"
    assert _names(tmp_path / "a/b") == ["c.json"]


def test_write_new_never_overwrites(tmp_path: Path) -> None:
    atomic.write_new(tmp_path / "c", b"one")
    with pytest.raises(AlreadyStoredError) as caught:
        atomic.write_new(tmp_path / "c", b"two")
    assert isinstance(caught.value, FileExistsError)
    assert isinstance(caught.value, PersistentStoreError)
    assert caught.value.reason is Reason.TAKEN
    assert (tmp_path / "c").read_bytes() == b"one"
    assert _names(tmp_path) == ["c"]


def test_replace_gives_the_new_content_and_leaves_no_temp_file(tmp_path: Path) -> None:
    atomic.replace(tmp_path / "c", b"one")
    atomic.replace(tmp_path / "c", b"two")
    assert (tmp_path / "c").read_bytes() == b"two"
    assert _names(tmp_path) == ["c"]


def test_a_failed_replace_leaves_the_old_content_and_no_temp_file(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(DiskError, match="rename"):
        atomic.replace(tmp_path / "taken", b"x")
    assert _names(tmp_path) == ["taken"]


def test_a_folder_that_was_removed_behind_our_back_is_made_again(tmp_path: Path) -> None:
    for _ in range(2):
        atomic.replace(tmp_path / "f/c", b"one")
        atomic.append_line(tmp_path / "g/log", b"one")
        for path in ("f/c", "g/log"):
            (tmp_path / path).unlink()
            (tmp_path / path).parent.rmdir()


def test_publish_file_gives_a_foreign_writers_file_its_name(tmp_path: Path) -> None:
    temp = atomic.temp_beside(tmp_path / "f/c.parquet")
    Path(temp).write_bytes(b"by a library")
    atomic.publish_file(temp, tmp_path / "f/c.parquet")
    assert (tmp_path / "f/c.parquet").read_bytes() == b"by a library"
    assert _names(tmp_path / "f") == ["c.parquet"]


def test_remove_says_whether_there_was_a_file(tmp_path: Path) -> None:
    atomic.replace(tmp_path / "c", b"")
    assert atomic.remove(tmp_path / "c")
    assert not atomic.remove(tmp_path / "c")


def test_append_line_returns_where_the_line_starts(tmp_path: Path) -> None:
    assert [atomic.append_line(tmp_path / "f/log", line) for line in (b"ab", b"", b"c")] == [0, 3, 4]
    assert (tmp_path / "f/log").read_bytes() == b"ab\n\nc\n"


def test_a_line_feed_in_a_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        atomic.append_line(tmp_path / "log", b"a\nb")
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("whole", [b"", b"one\n", b"x" * 70_000 + b"\n"])
@pytest.mark.parametrize("torn", [b"t", b"torn" * 40_000])
def test_a_torn_last_line_is_moved_aside_before_the_next(tmp_path: Path, whole: bytes, torn: bytes) -> None:
    (tmp_path / "log").write_bytes(whole + torn)
    atomic.append_line(tmp_path / "log", b"next")
    assert (tmp_path / "log").read_bytes() == whole + b"next\n"
    assert (tmp_path / f".torn-log-{len(whole)}").read_bytes() == torn


def _append_many(path: str, writer: int) -> None:
    for number in range(100):
        atomic.append_line(path, f"{writer} {number} ".encode() + b"x" * (number * 100))


def test_eight_processes_append_without_losing_or_mixing_lines(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(str(tmp_path / "log"), writer)) for writer in range(8)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(60)
    assert [process.exitcode for process in writers] == [0] * 8
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert sorted(lines) == sorted(f"{w} {n} ".encode() + b"x" * (n * 100) for w in range(8) for n in range(100))


def test_locked_lets_one_in_at_a_time(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count() -> None:
        for _ in range(25):
            with atomic.locked(counter):
                atomic.replace(counter, str(int(counter.read_text()) + 1).encode())

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.read_text() == "100"


HOSTILE = [
    "../x",
    "a/b",
    "*",
    "\0",
    "x" * 300,
    "BTC/USD",
    "BTCUSD",
    "😀",
    "\u00e9",
    "e\u0301",
    "",
    ".",
    "..",
    ".tmp-1",
    "-",
    "%2F",
    "a=b",
    "~",
    "h~0",
    "__empty__",
    "\n",
    "a\\b",
    "CON",
]


def test_safe_names_of_hostile_texts_stay_apart_and_come_back(tmp_path: Path) -> None:
    names = [atomic.safe_name(text) for text in HOSTILE]
    assert len({name.lower() for name in names}) == len(HOSTILE)
    for text, name in zip(HOSTILE, names, strict=True):
        assert atomic.raw_name(name) == (None if len(text) == 300 else text)
        path = atomic.inside(tmp_path, name)
        atomic.write_new(path, text.encode())
        assert path.parent == tmp_path
    assert _names(tmp_path) == sorted(names)


def test_a_text_that_is_no_text_is_refused() -> None:
    with pytest.raises(UsageError, match="surrogate"):
        atomic.safe_name("\ud800")


@pytest.mark.parametrize("part", ["..", "../x", "a/../b", "/etc", "", ".", "a//b", "a/./b", "a\0b"])
def test_no_name_leaves_the_root(tmp_path: Path, part: str) -> None:
    with pytest.raises(OutsideRootError):
        atomic.inside(tmp_path, "ok", part)


def test_no_link_leaves_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to(root / "real")
    (root / "self").symlink_to(root)
    assert atomic.inside(root, "in/x") == root / "real/x"
    for name in ("out", "self"):
        with pytest.raises(OutsideRootError):
            atomic.inside(root, name)
