from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ticklake.base.errors import ConfigError, CorruptError, DiskError, OutOfRoomError, RetryableError
from ticklake.files.atomic import temp_beside
from ticklake.files.lease import StateFolder
from ticklake.testing.clock import ManualClock


def test_an_identity_is_made_once_and_every_start_counts(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    with StateFolder.open(str(folder)) as first:
        assert re.fullmatch(r"[0-9a-f]{8}", first.identity)
        assert first.epoch == 1
    with StateFolder.open(str(folder)) as second:
        assert (second.identity, second.epoch) == (first.identity, 2)
    assert sorted(path.name for path in folder.iterdir()) == ["EPOCH", "IDENTITY", "LOCK"]


def test_two_folders_have_two_identities(tmp_path: Path) -> None:
    with StateFolder.open(str(tmp_path / "a")) as first, StateFolder.open(str(tmp_path / "b")) as second:
        assert first.identity != second.identity


def test_a_second_opener_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with StateFolder.open(str(tmp_path), clock=ManualClock()):
        with pytest.raises(
            RetryableError, match=rf"process {os.getpid()} on .+, started 2024-12-16T14:30:00"
        ) as caught:
            StateFolder.open(str(tmp_path))
        assert "own state folder" in str(caught.value)
    with StateFolder.open(str(tmp_path)) as again:
        assert again.epoch == 2, "a refused start does not count"


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    hold = (
        "import sys; from ticklake.files.lease import StateFolder\n"
        "folder = StateFolder.open(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RetryableError, match=f"process {process.pid} "):
            StateFolder.open(str(tmp_path))
        process.kill()
        process.wait()
    with StateFolder.open(str(tmp_path)) as folder:
        assert folder.epoch == 2


def test_a_configured_writer_id_is_kept_and_may_not_change(tmp_path: Path) -> None:
    with StateFolder.open(str(tmp_path), writer_id="desk7") as folder:
        assert folder.identity == "desk7"
    with StateFolder.open(str(tmp_path)) as folder:
        assert folder.identity == "desk7"
    with pytest.raises(ConfigError, match="belongs to 'desk7'"):
        StateFolder.open(str(tmp_path), writer_id="desk8")
    with pytest.raises(ConfigError, match="a-z and 0-9"):
        StateFolder.open(str(tmp_path), writer_id="Desk 8")


def test_a_start_that_was_cut_short_does_not_block_the_next(tmp_path: Path) -> None:
    Path(temp_beside(tmp_path / "IDENTITY")).write_bytes(b"dead")
    Path(temp_beside(tmp_path / "EPOCH")).write_bytes(b"")
    with StateFolder.open(str(tmp_path), entropy=lambda count: b"\xab" * count) as folder:
        assert folder.identity == "abababab"


@pytest.mark.parametrize(("name", "content"), [("IDENTITY", b"../x\n"), ("IDENTITY", b""), ("EPOCH", b"many\n")])
def test_unreadable_facts_are_refused_and_the_lock_is_free_again(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    for _ in range(2):
        with pytest.raises(CorruptError, match=name):
            StateFolder.open(str(tmp_path))


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, OutOfRoomError), (errno.EIO, DiskError)])
def test_a_lock_whose_holder_could_not_be_written_is_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(kind, match="LOCK"):
            StateFolder.open(str(tmp_path))
    assert descriptors() == before
    with StateFolder.open(str(tmp_path)) as folder:
        assert folder.epoch == 1
