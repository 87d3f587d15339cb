"""One builder per version at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from ticklake.base.clock import Clock
from ticklake.base.errors import RetryableError
from ticklake.files.lease import FolderLock
from ticklake.files.local import LocalFiles
from ticklake.files.object_lock import held_object
from ticklake.files.object_path import ObjectPath
from ticklake.silver.folder import VersionFolder


@contextmanager
def hold_version(folder: VersionFolder, *, clock: Clock) -> Iterator[VersionFolder]:
    """Hold the version while the block runs; it is free again when the process ends, however that ends.

    Gives the folder to write to. In a bucket it refuses to go on once the version was lost, because this process stood
    still for longer than a lease; and a builder that was killed on another machine holds the version for that long.

    Raises:
        RetryableError: another builder holds it; the text names it.
        ConflictError: in a bucket, at the end: the version was lost on the way (a RetryableError).
        StoreUnavailableError: the store does not answer.
    """
    with ExitStack() as stack:
        try:
            if isinstance(folder.path, ObjectPath):
                folder = replace(folder, check_held=stack.enter_context(held_object(folder.path)))
            else:
                LocalFiles().make_folder(str(folder.path))
                stack.callback(FolderLock.acquire(str(folder.path), clock=clock).release)
        except RetryableError as error:
            holder = str(error).partition(" is in use by ")[2].partition(";")[0]
            if not holder:
                raise
            raise RetryableError(
                f"version {folder.version} is being built by {holder}; wait for it, or build under another version name"
            ) from error
        yield folder
