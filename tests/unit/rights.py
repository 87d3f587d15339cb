"""A folder that everybody may read and this process may not write, also where the tests run as root."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65534


@contextmanager
def folder_of_another_user(fill: Callable[[Path], None], *, files: int = 0o444) -> Iterator[Path]:
    """Fill a folder, then be a user who may only read it, and its files as these modes say, until the block ends.

    Not below `tmp_path`: only the user who runs the tests may enter that.
    """
    user = os.geteuid()
    with tempfile.TemporaryDirectory(prefix="ticklake-rights-") as name:
        folder = Path(name)
        fill(folder)
        _set_modes(folder, files=files, folders=0o555)
        if user == 0:
            os.seteuid(_NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(user)
            _set_modes(folder, files=0o644, folders=0o755)


def _set_modes(folder: Path, *, files: int, folders: int) -> None:
    folder.chmod(0o755)
    for path in [*folder.rglob("*"), folder]:
        path.chmod(folders if path.is_dir() else files)
