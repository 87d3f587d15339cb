"""Partition values as folder names and back: `BTC/USD` <-> `BTC%2FUSD`.

A folder name must be harmless on every disk, glob and engine, and two values must never share one. Letters, digits and
`.`, `_`, `-` stay, except that a name does not start with one of the three signs. Every other byte of the UTF-8 text
becomes %XX, which readers decode. Nothing is normalised: two spellings of one letter (NFC and NFD) stay two values.
Folders that differ only in case stay apart wherever the file system keeps case, as those of Linux and S3 do.

Three names cannot come from a value, because `_` is encoded in front and `~` everywhere: null, empty, and `h~` with a
hash, used where the encoded name would exceed 120 bytes (file systems allow 255, and an S3 key 1,024 in all). A hash
cannot be decoded: the value itself stays in the row's data column.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import unquote

from ticklake.base.errors import UsageError

NULL_TOKEN = "__HIVE_DEFAULT_PARTITION__"  # noqa: S105 - a folder name; every engine reads it as null
EMPTY_TOKEN = "__empty__"  # noqa: S105 - a folder name
HASH_PREFIX = "h~"
TOKEN_BYTES_MAX = 120
"""Longest encoded value; leaves room for the column name below the 255 bytes of a folder name."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_UNSAFE = re.compile(rb"^[._-]|[^A-Za-z0-9._-]")


def encode_value(value: str | None) -> str:
    """The folder text of a value: at most 120 bytes of ASCII, different for different values."""
    if value is None:
        return NULL_TOKEN
    if not value:
        return EMPTY_TOKEN
    if len(value) <= TOKEN_BYTES_MAX and _PLAIN.fullmatch(value):
        return value
    raw = value.encode("utf-8")
    token = _UNSAFE.sub(lambda byte: b"%%%02X" % byte[0][0], raw).decode("ascii")
    if len(token) > TOKEN_BYTES_MAX:
        return HASH_PREFIX + hashlib.sha256(raw).hexdigest()[:32]
    return token


def decode_value(token: str) -> str | None:
    """The value of a folder text. A hash stays as it is (`is_hashed`): the value is in the rows."""
    if token == NULL_TOKEN:
        return None
    if token == EMPTY_TOKEN:
        return ""
    return unquote(token, errors="strict")


def is_hashed(token: str) -> bool:
    """Whether the folder text is a hash of a long value rather than the value."""
    return token.startswith(HASH_PREFIX)


def partition_folder(values: Mapping[str, str | None]) -> str:
    """`{"symbol": "ES", "date": "2024-12-16"}` -> `symbol=ES/date=2024-12-16`, in the order given."""
    return "/".join(f"{name}={encode_value(value)}" for name, value in values.items())


def parse_folder(folder: str) -> dict[str, str | None]:
    """The values of a partition folder, outermost first.

    Raises:
        UsageError: a part is no `name=value`; the folder is none of ours.
    """
    values: dict[str, str | None] = {}
    for part in folder.strip("/").split("/"):
        name, sign, token = part.partition("=")
        if not name or not sign or not token or name in values:
            raise UsageError(f"{folder!r}: {part!r} is no partition folder (name=value); move it out of the table")
        try:
            values[name] = decode_value(token)
        except UnicodeDecodeError as error:
            raise UsageError(f"{folder!r}: {part!r} does not decode to UTF-8; move it out of the table") from error
    return values
