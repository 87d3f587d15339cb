"""Options that say where the lake lies, shared by the commands that look at it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ticklake.base.settings import load_settings
from ticklake.files.place import Place, lake_place
from ticklake.readers.lake import Lake, open_lake

DataOption = Annotated[  # text: a path would fold the slashes of an address
    str | None,
    typer.Option(
        "--data",
        "--data-root",
        metavar="PLACE",
        help="The lake: a folder, or s3://bucket/prefix [default: TICKLAKE_DATA_ROOT]",
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", "--state-dir", help="Folder of the log [default: TICKLAKE_STATE_DIR, else DATA/_state]"),
]


@dataclass(frozen=True, slots=True)
class LakePlace:
    """Where the lake and its state lie."""

    data_root: Place
    state_dir: Path | None

    def open(self) -> Lake:
        """The lake there."""
        return open_lake(self.data_root)


def find_place(data: str | None = None, state: Path | None = None) -> LakePlace:
    """From the options, else from the settings.

    Raises:
        ConfigError: the settings are wrong, or the client of object stores is missing.
    """
    settings = load_settings(data_root=data, state_dir=state)
    return LakePlace(lake_place(settings), settings.state_dir)
