"""Values as JSON text and back, without losing their types.

JSON knows text, numbers, booleans, null, lists and objects with text keys. Those are written as they are. Everything
else becomes an object with the key `$type`, which `decode_document` turns back:

    datetime, date, time, timedelta   {"$type": "datetime", "value": "2024-10-25T14:30:00+00:00"}; naive stays naive, a
                                      named zone is kept beside it; timedelta as [days, seconds, microseconds]
    Decimal, UUID, Path, bytes        text; bytes as base64; a path is turned back into one of this machine's kind
    float NaN and infinities          {"$type": "float", "value": "nan"}: JSON has no such numbers
    Enum                              {"$type": "enum", "class": "package.module:Colour", "name": "RED"}
    tuple, set, frozenset             {"$type": "tuple", "value": [...]}; sets in the order of their text
    dict with other keys              {"$type": "dict", "value": [[key, value], ...]}; also one that has `$type` itself
    numpy scalars and arrays          {"$type": "numpy", "dtype": "<f8", "shape": [3], "value": base64 of the C order}
    pandas Timestamp and NaT          {"$type": "timestamp", "ns": ..., "zone": ...}, {"$type": "nat"}

An enum class is looked up among `enums` and the modules already imported; decoding imports nothing and runs no code of
the document. numpy and pandas are needed only where such values occur. Anything else is refused,
never turned into text.

The plain mode writes JSON for people and other programs, without tags and one way: times as ISO text, Decimal, UUID and
Path as text, bytes as base64, enums as their value, sets, tuples and arrays as lists, dataclasses as objects, NaN and
infinities as null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import Enum
from typing import Any

from ticklake.base.errors import UsageError
from ticklake.files.document_plain import plain_value
from ticklake.files.document_tags import tag_value, untag_value
from ticklake.files.errors import UnreadableError


class JsonDamagedError(UnreadableError, json.JSONDecodeError):
    """The text is no JSON. Restore the file; the position says where it breaks."""

    def __init__(self, text: str, doc: str = "", pos: int = 0, *, path: str = "") -> None:
        json.JSONDecodeError.__init__(self, text, doc, pos)
        UnreadableError.__init__(self, text, path=path)


def encode_document(
    value: Any,
    *,
    plain: bool = False,
    indent: int | None = 2,
    sort_keys: bool = False,
) -> bytes:
    """The value as UTF-8 JSON with a final line feed; without one when `indent` is None (one line, for logs).

    Args:
        value: see the module for the types that are kept.
        plain: JSON without tags, for people; does not come back as it was.
        indent: spaces per level, None for one line.
        sort_keys: objects in the order of their keys, otherwise in their own.

    Raises:
        UsageError: a value of an unsupported type, a cycle, or two keys that become the same text.
    """
    try:
        tree = plain_value(value) if plain else tag_value(value)
        text = json.dumps(
            tree, indent=indent, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False,
            separators=(",", ":") if indent is None else None,
        )  # fmt: skip
    except RecursionError as error:
        raise UsageError("the value holds itself, or is nested too deep for JSON; flatten it") from error
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate: only an escape can carry it
        content = json.dumps(tree, indent=indent, sort_keys=sort_keys, allow_nan=False).encode("ascii")
    return content if indent is None else content + b"\n"


def decode_document(content: bytes, *, path: str = "document", enums: Iterable[type[Enum]] = ()) -> Any:
    """The value of a document, tagged or plain.

    Args:
        content: what `encode_document` gave, or any JSON.
        path: named in errors.
        enums: classes that may occur and whose modules may not be imported yet.

    Raises:
        JsonDamagedError: no JSON (a json.JSONDecodeError).
        UnreadableError: a tag that this program does not know, or whose value makes no sense.
    """
    try:
        text = content.decode("utf-8")
        tree = json.loads(text)
    except UnicodeDecodeError as error:
        raise JsonDamagedError(f"{path}: no UTF-8 text ({error}); restore the file", path=path) from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise JsonDamagedError(
            f"{path}: no JSON at {place} ({error.msg}); restore the file", path=path, doc=error.doc, pos=error.pos
        ) from error
    except RecursionError as error:
        raise UnreadableError(f"{path}: nested too deep to read; restore the file", path=path) from error
    return untag_value(tree, path=path, enums=tuple(enums))
