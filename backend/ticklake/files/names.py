"""Names that come from people: made harmless as file names, and kept below a root folder."""

from __future__ import annotations

import os
from pathlib import Path

from ticklake.base.errors import UsageError
from ticklake.files.errors import OutsideRootError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.schema.partition import decode_value, encode_value, is_hashed


def safe_name(text: str) -> str:
    """A file-name part for any text: at most 120 ASCII bytes, different for different texts, harmless everywhere.

    Percent-encoding as for partition values, so `BTC/USD` and `BTCUSD`, NFC and NFD, `..` and NUL all stay apart.
    Longer names become a hash (`h~...`): keep the text itself in the document.

    Raises:
        UsageError: the text is no valid Unicode.
    """
    try:
        return encode_value(text)
    except UnicodeEncodeError as error:
        raise UsageError(f"{text!r} is no valid text (a lone surrogate); pass a name that can be written") from error


def raw_name(name: str) -> str | None:
    """The text of a `safe_name`; None when it is a hash and the text is in the document only."""
    return None if is_hashed(name) else decode_value(name)


def inside(root: str | os.PathLike[str], *parts: str | os.PathLike[str]) -> Place:
    """`root/part/...` as an absolute path that provably lies below `root`.

    Links are followed, also that of the root itself: the result has none, and may be in another spelling than `root`.

    Args:
        root: a folder; need not exist.
        parts: relative names; may hold `/`.

    Raises:
        OutsideRootError: a part is absolute, empty, has `.` or `..` or NUL, or a link leads out of the root.
    """
    base = os.fspath(root) if isinstance(root, ObjectPath) else os.path.realpath(root)
    for part in parts:
        text = os.fspath(part)
        if not text or text.startswith("/") or "\0" in text or {"", ".", ".."} & set(text.rstrip("/").split("/")):
            raise OutsideRootError(
                f"{text!r} does not name a place below {base}; use a relative name without `.`, `..` and NUL", path=text
            )
    if isinstance(root, ObjectPath):
        return root.joinpath(*parts)
    path = os.path.join(base, *[os.fspath(part) for part in parts])
    real = os.path.realpath(path)
    if real != base and not real.startswith(base.rstrip("/") + "/"):
        raise OutsideRootError(f"{path} is a link that leads to {real}, outside {base}; remove the link", path=path)
    if parts and real == base:
        raise OutsideRootError(f"{path} is a link to {base} itself; remove the link", path=path)
    return Path(real)
