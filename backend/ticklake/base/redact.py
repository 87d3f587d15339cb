"""What must not leave the process: passwords in addresses and values under telling names."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "**********"

_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s]*@")
_TELLING_NAME = re.compile(
    r"password|passwd|passphrase|token|secret|creds|credential|seed|api_?key|authorization", re.I
)


def redact_url(text: str) -> str:
    """`text` with the user-info of every address in it masked.

    Works on one URL, a comma list of URLs, and on prose with URLs inside. The mask goes up to the last `@`
    before the path, so a password that holds an `@` does not leak its second half.
    """
    return ",".join(_USER_INFO.sub(rf"\g<scheme>{MASK}@", part) for part in text.split(","))


def is_secret_name(name: str) -> bool:
    """Whether a value under `name` must be masked. Names of files that hold secrets are no secrets."""
    return _TELLING_NAME.search(name) is not None and not name.endswith(("_file", "_files", "_path"))
