"""What a failed system call tells the caller to do; the file system refuses a user for real."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.rights import folder_of_another_user

from ticklake.base.errors import AccessRefusedError, ConfigError, DiskError, OutOfRoomError
from ticklake.files import atomic
from ticklake.files.local import LocalFiles
from ticklake.files.os_errors import sort_error


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """With one file, `old`."""
    with folder_of_another_user(lambda folder: (folder / "old").touch()) as folder:
        yield folder


@pytest.mark.parametrize(
    "action", ["write_new", "replace", "append_line", "remove", "locked", "create", "unlink", "link"]
)
def test_who_may_not_write_is_told_which_right_is_missing(closed_folder: Path, action: str) -> None:
    files, new, old = LocalFiles(), closed_folder / "new", closed_folder / "old"
    calls = {
        "write_new": lambda: atomic.write_new(new, b"x"),
        "replace": lambda: atomic.replace(old, b"x"),
        "append_line": lambda: atomic.append_line(new, b"x"),
        "remove": lambda: atomic.remove(old),
        "locked": lambda: atomic.locked(old).__enter__(),
        "create": lambda: files.create(str(new)),
        "unlink": lambda: files.unlink(str(old)),
        "link": lambda: files.link(str(old), str(new)),
    }
    with pytest.raises(
        AccessRefusedError, match=f"give user {os.geteuid()} the right to write {closed_folder}"
    ) as caught:
        calls[action]()
    assert caught.value.exit_code == ConfigError.exit_code == 78


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.EACCES, AccessRefusedError, 78),
        (errno.EPERM, AccessRefusedError, 78),
        (errno.EROFS, AccessRefusedError, 78),
        (errno.ENOSPC, OutOfRoomError, 74),
        (errno.EMFILE, OutOfRoomError, 74),
        (errno.EIO, DiskError, 74),
    ],
)
def test_errors_are_sorted_by_what_to_do(number: int, kind: type[DiskError | OutOfRoomError], code: int) -> None:
    found = sort_error(OSError(number, os.strerror(number)), "rename", "/lake/a")
    assert (type(found), found.exit_code) == (kind, code)


def test_who_may_not_read_is_told_so() -> None:
    found = sort_error(PermissionError(errno.EACCES, "Permission denied"), "read", "/lake/a")
    assert "the right to read /lake/a" in str(found)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EIO])
def test_a_failed_sync_is_of_the_disk_whatever_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    temp = atomic.temp_beside(tmp_path / "a")
    Path(temp).write_bytes(b"rows")
    file = LocalFiles().create(f"{tmp_path}/b")
    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(os, "fdatasync", fail)
    calls = (
        file.sync,
        lambda: LocalFiles().sync_folder(str(tmp_path)),
        lambda: atomic.publish_file(temp, tmp_path / "a"),
        lambda: atomic.replace(tmp_path / "c", b"x"),
    )
    for call in calls:
        with pytest.raises(DiskError) as caught:
            call()
        assert caught.value.exit_code == 74
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
