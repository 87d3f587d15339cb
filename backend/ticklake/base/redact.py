"""What must not leave the process: secrets in addresses, headers, keys and prose, and values under telling names.

Patterns find what looks like a secret, whoever wrote the text. What does not look like one (a password in a sentence)
only its value finds: `base.logs` also hides the secrets of the settings by value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "**********"
LOOKED_AT_CHARS_MAX: Final = 4_000  # a secret that begins in the part of a text that is shown ends well within
TRACEBACK_CHARS_MAX: Final = 16_000
SECRET_CHARS_MIN: Final = 4  # hiding shorter ones by value would hide half of the log

_TELLING = (
    r"password|passwd|passphrase|pwd|token|secret|creds|credential|seed|api[-_]?key|access[-_]?key|private[-_]?key"
    r"|authorization|signature|cookie|jwt"
)
_TELLING_NAME = re.compile(_TELLING, re.I)
_HARMLESS_ENDS = ("_file", "_files", "_path")

_USER_INFO = re.compile(r"(?P<keep>[A-Za-z][A-Za-z0-9+.-]{0,30}://)[^/?#\s\"<>]*@")
_VALUE_TO = r"[^\s\"'\\<>&,;)}\]]+"
_PATTERNS: Final = (
    # Key files and credentials files; a cut one goes on as long as it may be one.
    re.compile(
        r"(?P<keep>-----BEGIN [A-Z0-9 ]{0,40}(?:PRIVATE KEY|NKEY SEED|JWT)-----)"
        r"(?:.{0,8000}?(?=-----END)|[A-Za-z0-9+/=_.\s\\-]*)",
        re.S,
    ),
    _USER_INFO,
    # Headers: the rest of the line, because schemes put the secret behind commas and spaces.
    re.compile(
        r"(?P<keep>(?<![\w-])(?:proxy-)?(?:authorization|cookie|set-cookie)[\"']?\s{0,3}[:=]\s{0,3}[\"']?)[^\r\n\"'\\]+",
        re.I,
    ),
    re.compile(r"(?P<keep>(?<!\w)(?:bearer|AWS4-HMAC-SHA256)\s{1,3})[^\r\n\"'\\]+", re.I),
    # What stores answer: <AWSAccessKeyId>, <StringToSign>, ...
    re.compile(rf"(?P<keep><\w{{0,30}}(?:{_TELLING}|StringToSign|CanonicalRequest)\w{{0,30}}>)[^<]+", re.I),
    # name=value and name: value, quoted or not; also query parameters such as X-Amz-Signature.
    re.compile(
        rf"(?P<keep>(?<![\w.-])(?P<name>[\w.-]{{0,60}}?(?:{_TELLING})[\w.-]{{0,30}})(?:\\?[\"'])?\s{{0,3}}[:=]\s{{0,3}})"
        rf"(?:\\?\"(?:[^\"\\]|\\.)*\"?|\\?'(?:[^'\\]|\\.)*'?|{_VALUE_TO})",
        re.I,
    ),
    re.compile(r"(?P<keep>(?<![A-Za-z0-9])S[ACNOUX])[A-Z2-7]{20,}"),  # nkey seeds
    re.compile(r"(?P<keep>(?<![A-Za-z0-9_-])eyJ)[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}"),  # JSON web tokens
    re.compile(r"(?P<keep>(?<![A-Za-z0-9])A[KS]IA)[A-Z0-9]{8,}"),  # AWS access keys
)


def redact_url(text: str) -> str:
    """`text` with the user-info of every address in it masked.

    Works on one URL, a comma list of URLs, and on prose with URLs inside. The mask goes up to the last `@`
    before the path, so a password that holds an `@` does not leak its second half.
    """
    return _USER_INFO.sub(rf"\g<keep>{MASK}@", text)


def redact_text(text: str, *, hidden: Iterable[str] = ()) -> str:
    """`text` with everything masked that is a secret or looks like one.

    Args:
        text: any; the time it takes grows with its length.
        hidden: texts to mask wherever they stand, as `spellings` gives them.
    """
    for secret in hidden:
        text = text.replace(secret, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(_mask, text)
    return text


def redact_traceback(text: str, *, hidden: Iterable[str] = ()) -> str:
    """A traceback without secrets: the frames at its beginning and the error at its end, whose text may be huge."""
    half, margin = TRACEBACK_CHARS_MAX // 2, LOOKED_AT_CHARS_MAX
    if len(text) <= TRACEBACK_CHARS_MAX:
        return redact_text(text, hidden=hidden)
    head = redact_text(text[: half + margin], hidden=hidden)[:half]  # the margin holds what the cut would halve
    tail = redact_text(text[-half - margin :], hidden=hidden)[-half:]
    return f"{head}\n...\n{tail}"


def spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Each secret as it may stand in a text: itself, in a URL, in quotes. Longest first; short ones are left out."""
    found: set[str] = set()
    for secret in secrets:
        if len(secret) >= SECRET_CHARS_MIN:
            found |= {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def is_secret_name(name: str) -> bool:
    """Whether a value under `name` must be masked. Names of files that hold secrets are no secrets."""
    return _TELLING_NAME.search(name) is not None and not name.lower().endswith(_HARMLESS_ENDS)


def _mask(match: re.Match[str]) -> str:
    found = match.groupdict()
    if "name" in found and not is_secret_name(found["name"]):
        return match[0]
    at = "@" if match.re is _USER_INFO else ""
    return f"{found['keep']}{MASK}{at}"
