"""Values as JSON files at paths of your choice: `save_json`, `load_json`. Types survive; see `files.documents`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import Enum
from typing import Any

from ticklake.files.atomic import replace
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.errors import NotStoredError
from ticklake.files.place import Place, place_of


def save_json(
    data: Any,
    path: str | os.PathLike[str],
    indent: int | None = 2,
    sort_keys: bool = True,
    *,
    plain: bool = False,
) -> Place:
    """Write a value to a JSON file, over an older one, whole or not at all. Makes missing folders.

    Args:
        data: dicts, lists, text, numbers, and the types listed in `files.documents`.
        path: the file.
        indent: spaces per level; None for one line.
        sort_keys: objects in the order of their keys.
        plain: JSON without type tags, for people and other programs; times come back as text.

    Returns:
        the absolute path.

    Raises:
        UsageError: a value of an unsupported type; nothing is written.
        OutOfRoomError: free some room and call again; an older file is untouched.
        DiskError: the disk failed.
    """
    place = place_of(path)
    replace(place, encode_document(data, plain=plain, indent=indent, sort_keys=sort_keys))
    return place


def load_json(path: str | os.PathLike[str], *, enums: Iterable[type[Enum]] = ()) -> Any:
    """The value of a JSON file, with the types it was saved with.

    Args:
        path: the file.
        enums: classes that may occur and whose modules may not be imported yet.

    Raises:
        NotStoredError: no such file (a FileNotFoundError).
        JsonDamagedError: no JSON (a json.JSONDecodeError).
        UnreadableError: a type tag that this program does not know.
    """
    try:
        content = place_of(path).read_bytes()
    except FileNotFoundError as error:
        raise NotStoredError(f"{os.fspath(path)} does not exist; check the path", path=path) from error
    return decode_document(content, path=os.fspath(path), enums=enums)
