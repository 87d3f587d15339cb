"""Options that say where the lake lies, shared by the commands that look at it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ticklake.base.errors import ConfigError, NoDataError, UsageError
from ticklake.base.settings import load_settings
from ticklake.files.place import Place, lake_place
from ticklake.readers.lake import Lake, open_lake

DataOption = Annotated[  # text: a path would fold the slashes of an address
    str | None,
    typer.Option(
        "--data",
        "--data-root",
        metavar="PLACE",
        help="The lake: a folder, or s3://bucket/prefix. \\[default: TICKLAKE_DATA_ROOT]",
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", "--state-dir", help="Folder of the log. \\[default: TICKLAKE_STATE_DIR, else DATA/_state]"),
]


@dataclass(frozen=True, slots=True)
class LakePlace:
    """Where the lake and its state lie."""

    data_root: Place
    state_dir: Path | None

    def open(self) -> Lake:
        """The lake there."""
        return open_lake(self.data_root)


def find_place(data: str | None = None, state: Path | None = None, *, make: bool = False) -> LakePlace:
    """From the options, else from the settings.

    Args:
        data: the data root.
        state: the folder of the log.
        make: the command makes the lake where there is none.

    Raises:
        ConfigError: the settings are wrong, or the client of object stores is missing.
        UsageError: the data root that `data` names is a file, or lies below one; a ConfigError from the settings.
        NoDataError: there is no such folder (a bucket is not asked).
    """
    settings = load_settings(data_root=data, state_dir=state)
    root = lake_place(settings)
    if isinstance(root, Path):
        check_folder(root, is_option=data is not None)
        if not make and not root.is_dir():
            raise NoDataError(
                f"no lake at {root}; check --data or TICKLAKE_DATA_ROOT, mount the volume, or make a lake with "
                "`ticklake serve`"
            )
    return LakePlace(root, settings.state_dir)


def check_folder(folder: Path, *, is_option: bool) -> None:
    """A folder, or one that can be made.

    Raises:
        UsageError: it is a file or lies below one, and an option names it.
        ConfigError: the same, and it comes from the settings.
    """
    there = nearest(folder)
    if not there.is_dir():
        kind = UsageError if is_option else ConfigError
        raise kind(f"data root {folder}: {there} is a file, not a folder; name a folder, or s3://bucket/prefix")


def nearest(path: Path) -> Path:
    """The path itself, or the closest parent that exists."""
    return next(one for one in (path, *path.parents) if os.path.lexists(one))


@contextmanager
def shelf(folder: Place) -> Iterator[Place]:
    """A folder of the lake to read; while there is none yet, an empty one in its place, and a line on stderr."""
    if folder.is_dir():
        yield folder
        return
    typer.echo(f"nothing stored yet below {folder}", err=True)
    with tempfile.TemporaryDirectory(prefix="ticklake-") as empty:
        yield Path(empty)
