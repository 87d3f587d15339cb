"""NATS subjects as text and back: a subject is bytes, mostly but not always UTF-8, and none may be lost."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

_LONE = re.compile("[\udc80-\udcff]")


def subject_text(subject: bytes) -> str:
    """The subject as text. `%` and every byte that is no UTF-8 become %XX, so that `subject_bytes` gives it back."""
    text = subject.replace(b"%", b"%25").decode("utf-8", "surrogateescape")
    return _LONE.sub(lambda lone: f"%{ord(lone[0]) - 0xDC00:02X}", text)


def subject_bytes(text: str) -> bytes:
    """The bytes `subject_text` was given."""
    return unquote_to_bytes(text)
