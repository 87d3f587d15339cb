"""How the tests of this folder lay things into a bucket, and borrow tests that were written for a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticklake.files.atomic import replace
from ticklake.files.object_path import ObjectPath
from ticklake.files.side_by_side import side_by_side
from ticklake.testing.s3_server import S3Server


def upload(folder: Path, place: ObjectPath) -> None:
    """Every file below a folder, under the same names."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    side_by_side(lambda path: replace(place / str(path.relative_to(folder)), path.read_bytes()), files)


def let_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give places the two methods of `Path` by which tests spoil files."""
    monkeypatch.setattr(ObjectPath, "write_bytes", replace, raising=False)
    monkeypatch.setattr(ObjectPath, "write_text", lambda place, text: replace(place, text.encode()), raising=False)


def let_reach(server: S3Server, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Let this process and its children find the store by their environment, with a cache of their own."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(home))
