"""A small file, whole and synced, through `Files`: for books whose writer gives the file its name afterwards."""

from __future__ import annotations

from ticklake.files.protocol import Files


def write_synced(files: Files, path: str, content: bytes) -> None:
    """A new file with this content, synced. Its name is durable after `sync_folder` of its folder, not before.

    Raises:
        FileExistsError: the name is taken.
        OutOfRoomError: a part of it may be there: unlink it, then try again.
        DiskError: stop.
    """
    file = files.create(path)
    try:
        file.write([content])
        file.sync()
    finally:
        file.close()
