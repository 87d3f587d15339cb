"""One suite for the real disk and the simulated one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path

import pytest

from ticklake.base.errors import DiskError, OutOfRoomError
from ticklake.files.local import LocalFiles
from ticklake.files.placement import PlacedFiles
from ticklake.testing.disk import CrashDisk


@pytest.fixture(params=["local", "crash"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[PlacedFiles, str]]:
    if request.param == "local":
        yield LocalFiles(), str(tmp_path)
    else:
        yield CrashDisk(), "/disk"


def test_bytes_come_back_as_they_were_appended(place: tuple[PlacedFiles, str]) -> None:
    files, root = place
    file = files.create(f"{root}/a")
    file.write([b"one", b"", b"two"])
    file.write([])
    file.write([b"three"])
    file.sync()
    file.truncate(6)
    file.write([b"!"])
    file.close()
    file.close()
    assert files.read(f"{root}/a") == files.load(f"{root}/a") == b"onetwo!"
    assert files.load(f"{root}/a").readonly
    assert files.size_bytes(f"{root}/a") == 7


def test_more_parts_than_one_call_may_take_arrive_in_order(place: tuple[PlacedFiles, str]) -> None:
    files, root = place
    parts = [b"%d," % number for number in range(3000)]
    file = files.create(f"{root}/a")
    file.write(parts)
    file.close()
    assert files.read(f"{root}/a") == b"".join(parts)


def test_a_large_file_that_cannot_be_read_to_its_end_is_an_error_and_no_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)

    def shortened(descriptor: int, size_bytes: int, **how: int) -> mmap:
        content = mmap(descriptor, size_bytes, **how)
        os.truncate(tmp_path / "a", 0)  # from here on its pages are where a disk cannot be read
        return content

    monkeypatch.setattr("ticklake.files.local.mmap", shortened)
    with pytest.raises(DiskError, match=r"read .*/a: "):
        LocalFiles().load(str(tmp_path / "a"))


@pytest.mark.parametrize("what", ["an old kernel", "files that cannot be mapped"])
def test_where_a_file_cannot_be_mapped_and_read_ahead_it_is_copied(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> mmap:
        raise OSError(errno.ENODEV, "No such device")

    (tmp_path / "a").write_bytes(b"content")
    if what == "an old kernel":
        monkeypatch.setattr("ticklake.files.local._POPULATE_READ", 9_999)  # no call that this one knows, either
    else:
        monkeypatch.setattr("ticklake.files.local.mmap", refused)
    content = LocalFiles().load(str(tmp_path / "a"))
    assert (content, content.readonly, type(content.obj)) == (b"content", True, bytes)


def test_a_taken_name_is_refused(place: tuple[PlacedFiles, str]) -> None:
    files, root = place
    files.create(f"{root}/a").close()
    files.create(f"{root}/b").close()
    with pytest.raises(FileExistsError):
        files.create(f"{root}/a")
    with pytest.raises(FileExistsError):
        files.link(f"{root}/a", f"{root}/b")


def test_a_missing_name_is_told_apart_from_an_empty_file(place: tuple[PlacedFiles, str]) -> None:
    files, root = place
    files.create(f"{root}/empty").close()
    assert files.read(f"{root}/empty") == files.load(f"{root}/empty") == b""
    for action in (files.read, files.load, files.size_bytes, files.unlink):
        with pytest.raises(FileNotFoundError):
            action(f"{root}/missing")
    with pytest.raises(FileNotFoundError):
        files.link(f"{root}/missing", f"{root}/other")
    with pytest.raises(FileNotFoundError):
        files.create(f"{root}/no/folder")
    assert files.list(f"{root}/missing") == []
    assert not files.exists(f"{root}/missing")


def test_a_linked_file_outlives_its_first_name(place: tuple[PlacedFiles, str]) -> None:
    files, root = place
    files.make_folder(f"{root}/x/y/z")
    file = files.create(f"{root}/a")
    file.write([b"content"])
    files.link(f"{root}/a", f"{root}/x/y/z/b")
    files.unlink(f"{root}/a")
    assert files.read(f"{root}/x/y/z/b") == b"content"
    assert files.list(root) == ["x"]
    assert files.exists(f"{root}/x/y")
    file.close()


def test_a_folder_comes_and_goes_and_comes_again(place: tuple[PlacedFiles, str]) -> None:
    files, root = place
    for _ in range(2):
        files.make_folder(f"{root}/x")
        files.make_folder(f"{root}/x")
        files.create(f"{root}/x/a").close()
        with pytest.raises(DiskError):
            files.remove_folder(f"{root}/x")
        files.unlink(f"{root}/x/a")
        files.sync_folder(f"{root}/x")
        files.remove_folder(f"{root}/x")
        assert not files.exists(f"{root}/x")


def test_names_come_sorted_and_room_is_known(place: tuple[PlacedFiles, str]) -> None:
    files, root = place
    for name in ("b", "a", "c"):
        files.create(f"{root}/{name}").close()
    assert files.list(root) == ["a", "b", "c"]
    assert files.free_bytes(root) > 0
    assert files.same_disk(root, root)


def test_a_missing_folder_cannot_be_synced(place: tuple[PlacedFiles, str]) -> None:
    files, root = place
    with pytest.raises(DiskError, match="missing"):
        files.sync_folder(f"{root}/missing")


# -- the real disk alone: what system calls may do ------------------------------------------------------------------


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writev, calls = os.writev, []

    def seven_bytes_at_most(descriptor: int, views: list[memoryview]) -> int:
        calls.append(len(views))
        return writev(descriptor, [b"".join(views)[:7]])

    monkeypatch.setattr(os, "writev", seven_bytes_at_most)
    content = [bytes([number]) * number for number in range(40)]
    file = LocalFiles().create(f"{tmp_path}/a")
    file.write(content)
    file.close()
    assert (tmp_path / "a").read_bytes() == b"".join(content)
    assert len(calls) > 100


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, OutOfRoomError),
        (errno.EDQUOT, OutOfRoomError),
        (errno.EIO, DiskError),
        (errno.EROFS, DiskError),
        (errno.EFBIG, DiskError),
    ],
)
def test_failed_writes_are_sorted_by_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "writev", fail)
    file = LocalFiles().create(f"{tmp_path}/a")
    with pytest.raises(kind, match=os.strerror(number)):
        file.write([b"x"])
    file.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EINTR])
def test_every_failed_sync_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    files = LocalFiles()
    file = files.create(f"{tmp_path}/a")
    monkeypatch.setattr(os, "fdatasync", fail)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskError):
        file.sync()
    with pytest.raises(DiskError):
        files.sync_folder(str(tmp_path))
    file.close()


def test_a_new_process_syncs_the_name_of_a_folder_it_did_not_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalFiles().make_folder(f"{tmp_path}/x/y")
    synced: list[str] = []
    plain = LocalFiles.sync_folder
    monkeypatch.setattr(LocalFiles, "sync_folder", lambda self, folder: (synced.append(folder), plain(self, folder)))
    files = LocalFiles()
    files.make_folder(f"{tmp_path}/x/y")
    assert synced[-2:] == [str(tmp_path), f"{tmp_path}/x"]
    count = len(synced)
    files.make_folder(f"{tmp_path}/x/y")
    assert len(synced) == count, "once per process is enough"


def test_files_are_not_for_everybody(tmp_path: Path) -> None:
    files = LocalFiles()
    files.make_folder(f"{tmp_path}/x")
    files.create(f"{tmp_path}/x/a").close()
    assert (tmp_path / "x").stat().st_mode & 0o007 == 0
    assert (tmp_path / "x" / "a").stat().st_mode & 0o137 == 0


def test_a_link_across_disks_is_a_disk_error(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    files = LocalFiles()
    if not other.is_dir() or files.same_disk(str(tmp_path), str(other)):
        pytest.skip("no second disk here")
    files.create(f"{tmp_path}/a").close()
    with pytest.raises(DiskError, match="link"):
        files.link(f"{tmp_path}/a", f"{other}/ticklake-test-{os.getpid()}")


def test_a_folder_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    files = LocalFiles()
    files.make_folder(f"{tmp_path}/lake/a")
    shutil.rmtree(tmp_path / "lake")
    files.make_folder(f"{tmp_path}/lake/b/c")
    assert (tmp_path / "lake/b/c").is_dir()


def test_a_folder_removed_by_hand_is_noticed_even_when_it_is_asked_for_itself(tmp_path: Path) -> None:
    files = LocalFiles()
    files.make_folder(f"{tmp_path}/lake/a")
    shutil.rmtree(tmp_path / "lake")
    files.make_folder(f"{tmp_path}/lake/a")
    assert (tmp_path / "lake/a").is_dir()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_folder_that_cannot_be_opened_for_lack_of_descriptors_may_be_synced_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    files = LocalFiles()
    with monkeypatch.context() as short:
        short.setattr(os, "open", fail)
        with pytest.raises(OutOfRoomError, match="nothing was lost"):
            files.sync_folder(str(tmp_path))
    files.sync_folder(str(tmp_path))
