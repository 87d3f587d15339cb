"""Second names of data files below a Delta table's own folder: hard links, so nothing is copied.

A table with its log beside linked files can be moved, vacuumed or deleted without a byte of the lake being touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ticklake.base.errors import DiskError, UsageError
from ticklake.files.atomic import sort_error
from ticklake.files.local import FOLDER_MODE, LocalFiles


class DeltaLinks:
    """The linked files of one Delta table on a local disk."""

    def __init__(self, *, data_root: str, table_root: str) -> None:
        self._files = LocalFiles()
        self._data_root = data_root
        self._table_root = table_root

    def prepare(self) -> None:
        """Make the table's folder.

        Raises:
            UsageError: it lies on another disk than the lake, where no link can reach.
            DiskError: it cannot be made.
        """
        self._files.make_folder(self._table_root)
        if not self._files.same_disk(self._data_root, self._table_root):
            raise UsageError(
                f"{self._table_root} lies on another disk than {self._data_root}, and a hard link cannot cross; "
                "choose a folder on the lake's disk, or pass --absolute"
            )

    def missing(self, belows: Iterable[str]) -> list[str]:
        """Those of the paths below the table's folder that have no file there."""
        return [below for below in belows if not self._files.exists(f"{self._table_root}/{below}")]

    def link(self, files: Mapping[str, str]) -> None:
        """Link files. Done twice is done. Not synced: a link that a power cut takes is found missing and made again.

        Args:
            files: path below the table's folder -> path relative to the data root.

        Raises:
            FileNotFoundError: a data file is gone.
            DiskError: stop; the next call goes on.
        """
        for folder in dict.fromkeys(f"{self._table_root}/{below}".rpartition("/")[0] for below in files):
            try:
                Path(folder).mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            except OSError as error:
                raise sort_error(error, "mkdir", folder) from error
        for below, path in files.items():
            self._link(f"{self._data_root}/{path}", f"{self._table_root}/{below}")

    def unlink(self, paths: Iterable[str]) -> None:
        """Let go of files whose data is retired, so that their room is free. Missing links are fine."""
        for below in paths:
            target = f"{self._table_root}/{below}"
            if self._files.exists(target):
                self._files.unlink(target)

    def _link(self, source: str, target: str) -> None:
        try:
            self._files.link(source, target)
        except FileExistsError:
            if Path(source).samefile(target):
                return
            self._files.unlink(target)  # of a lake that was restored from a copy; the log does not name it yet
            self._files.link(source, target)


def sync_commits(table_root: str, versions: Iterable[int]) -> None:
    """Make commits of a log on a local disk survive a power cut: the Delta writer itself does not sync.

    Raises:
        DiskError: the log may lose them; the next export then commits them again.
    """
    folder = f"{table_root}/_delta_log"
    for version in versions:
        path = f"{folder}/{version:020d}.json"
        try:
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise DiskError(f"fsync {path}: {error.strerror}; check the disk, then export again") from error
    LocalFiles().sync_folder(folder)
