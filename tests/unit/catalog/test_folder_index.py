"""The index of a folder: what is asked for is decoded, what does not fit is made again."""

from __future__ import annotations

import os
from pathlib import Path

from ticklake.catalog.folder_index import RACY_NS, FolderIndex, Row

FIELDS = ("key", "tags", "count")
ROWS = {"a.json": Row(1, 2, 3, ["a", ["x"], None]), "b.json": Row(4, 5, 6, ["b", [], 7])}


def index() -> FolderIndex:
    return FolderIndex.of_rows(FIELDS, ROWS, folder_mtime_ns=10, made_ns=11)


def test_an_index_comes_back() -> None:
    again = FolderIndex.decode(index().encode(), FIELDS)
    assert again is not None
    assert (again.rows(), again.column("count")) == (ROWS, [None, 7])
    assert FolderIndex.of_rows(FIELDS, {}, folder_mtime_ns=0, made_ns=0).rows() == {}


def test_only_what_is_asked_for_is_decoded() -> None:
    again = FolderIndex.decode(index().encode(), FIELDS)
    assert again is not None
    again.column("key")
    assert set(again._decoded) == {"key"}


def test_another_format_other_fields_and_damage_are_no_index() -> None:
    content = index().encode()
    assert FolderIndex.decode(content, ("key", "tags")) is None
    assert FolderIndex.decode(content.replace(b"index/2", b"index/1"), FIELDS) is None
    for end in range(len(content)):
        assert FolderIndex.decode(content[:end], FIELDS) is None


def test_what_changed_within_the_coarsest_time_stamp_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12")
    stat = os.stat(path)
    row = Row(2, stat.st_mtime_ns, stat.st_ino, [])
    for made_ns, is_trusted in ((stat.st_mtime_ns + RACY_NS, False), (stat.st_mtime_ns + RACY_NS + 1, True)):
        found = FolderIndex.of_rows(FIELDS, {}, folder_mtime_ns=stat.st_mtime_ns, made_ns=made_ns)
        assert (found.is_same(row, stat), found.is_current(stat.st_mtime_ns)) == (is_trusted, is_trusted)
        assert not found.is_current(stat.st_mtime_ns + 1)
