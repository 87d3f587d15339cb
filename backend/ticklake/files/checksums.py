"""The checksum that the books of a lake keep of a file, as text."""

from __future__ import annotations

import google_crc32c


def crc32c_hex(content: bytes) -> str:
    """CRC-32C as eight lower-case hex digits."""
    return f"{google_crc32c.value(content):08x}"
