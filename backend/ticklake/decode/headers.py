"""The raw header block of a message: what it says about the payload. Tolerates any bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

JSON = "application/json"
NDJSON = "application/x-ndjson"
ARROW_STREAM = "application/vnd.apache.arrow.stream"

_CONTENT_TYPE = b"content-type"
_SCHEMA = b"ticklake-schema"


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """What the headers say about the payload.

    Attributes:
        content_type: media type in lower case, without parameters; JSON when the headers do not say.
        schema: `Ticklake-Schema`, None when the headers do not say.
    """

    content_type: str = JSON
    schema: str | None = None


def mention_format(blocks: Iterable[bytes]) -> bool:
    """Whether any block may carry a header we read. False is certain, True only likely: cheap for many blocks."""
    joined = b"\n".join(blocks).lower()
    return _CONTENT_TYPE in joined or _SCHEMA in joined


def read_format(block: bytes | None) -> PayloadFormat:
    """What a block says. The first of repeated headers counts; lines that are no header are passed over."""
    found: dict[bytes, str] = {}
    for line in (block or b"").split(b"\n")[1:]:
        name, colon, value = line.partition(b":")
        name = name.strip().lower()
        if colon and name in (_CONTENT_TYPE, _SCHEMA):
            found.setdefault(name, value.strip().decode("utf-8", "replace"))
    content_type = found.get(_CONTENT_TYPE, "").partition(";")[0].strip().lower()
    return PayloadFormat(content_type or JSON, found.get(_SCHEMA) or None)
