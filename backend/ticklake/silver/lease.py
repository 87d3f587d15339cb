"""One builder per version at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ticklake.base.clock import Clock
from ticklake.base.errors import RetryableError
from ticklake.files.lease import FolderLock
from ticklake.files.local import LocalFiles
from ticklake.silver.folder import VersionFolder


@contextmanager
def hold_version(folder: VersionFolder, *, clock: Clock) -> Iterator[None]:
    """Hold the version while the block runs; it is free again when the process ends, however that ends.

    Raises:
        RetryableError: another builder holds it; the text names it.
    """
    LocalFiles().make_folder(str(folder.path))
    try:
        lock = FolderLock.acquire(str(folder.path), clock=clock)
    except RetryableError as error:
        holder = str(error).partition(" is in use by ")[2].partition(";")[0] or "another process"
        raise RetryableError(
            f"version {folder.version} is being built by {holder}; wait for it, or build under another version name"
        ) from error
    try:
        yield
    finally:
        lock.release()
