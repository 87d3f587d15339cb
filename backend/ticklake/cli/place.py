"""Options that say where the lake lies, shared by the commands that look at it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ticklake.base.settings import load_settings
from ticklake.readers.lake import Lake, open_lake

DataOption = Annotated[
    Path | None, typer.Option("--data", "--data-root", help="Folder of the lake [default: TICKLAKE_DATA_ROOT]")
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", "--state-dir", help="Folder of the log [default: TICKLAKE_STATE_DIR, else DATA/_state]"),
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the lake and its state lie."""

    data_root: Path
    state_dir: Path | None

    def open(self) -> Lake:
        """The lake there."""
        return open_lake(self.data_root)


def find_place(data: Path | None = None, state: Path | None = None) -> Place:
    """From the options, else from the settings.

    Raises:
        ConfigError: the settings are wrong.
    """
    settings = load_settings(data_root=data, state_dir=state)
    return Place(Path(settings.data_root), settings.state_dir)
