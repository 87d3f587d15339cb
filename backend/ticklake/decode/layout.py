"""The text between the scalars of a document: what all documents of a feed share.

Feeds write every message with one template: the same keys, in the same order, with the same spaces. The text around the
scalars of the first document is the layout. Where each further document repeats that text byte for byte, it is valid
JSON with the same keys exactly when its scalars are valid JSON scalars, so only those need to be read: see `cut`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

Path = tuple[str | int, ...]
"""Keys and list places that lead to a scalar."""

_SCALARS_MAX: Final = 256
_TOKEN = re.compile(rb'[ \t\r\n]*("[^"\\\x00-\x1f]*"|[-+.0-9A-Za-z]+|[{}\[\]:,])')


class NoLayoutError(Exception):
    """The documents are not all of one layout, or a scalar is not what its column needs. Nothing is wrong yet."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The text between the scalars.

    Attributes:
        literals: the text before the first scalar, between two, and behind the last: one more than there are scalars.
            The quotes of a string belong to them.
        paths: where each scalar stands.
        texts: which scalars are strings.
    """

    literals: tuple[bytes, ...]
    paths: tuple[Path, ...]
    texts: tuple[bool, ...]


def learn_layout(document: bytes) -> Layout:
    """The layout of a valid JSON document.

    Raises:
        NoLayoutError: it has none we can use: repeated keys, escapes, empty lists, hardly a scalar.
    """
    literals: list[bytes] = []
    paths: list[Path] = []
    texts: list[bool] = []
    place: list[str | int] = []  # one entry per open object or list: its current key or index
    key: bytes | None = None
    at = behind = 0
    word = b""
    while at < len(document):
        token = _TOKEN.match(document, at)
        if token is None:
            if not document[at:].strip():
                break
            raise NoLayoutError("a token that needs a JSON reader")
        before, at, word = word, token.end(), token[1]
        if word == b"{":
            place.append("")
            key = None
        elif word == b"[":
            place.append(0)
        elif word in (b"}", b"]"):
            if before in (b"{", b"["):
                raise NoLayoutError("an empty object or list: a place without a scalar")
            place.pop()
        elif word == b",":
            if isinstance(place[-1], int):
                place[-1] += 1
            else:
                place[-1] = ""
        elif word == b":":
            if key is None:
                raise NoLayoutError("no key before a colon")
            place[-1], key = _text(key), None
        elif place and place[-1] == "" and key is None:
            key = word[1:-1]
            if not key:
                raise NoLayoutError("an empty key")
        else:
            is_text = word.startswith(b'"')
            literals.append(document[behind : token.start(1) + is_text])
            behind = at - is_text
            paths.append(tuple(place))
            texts.append(is_text)
    if not paths or len(paths) > _SCALARS_MAX or len(set(paths)) < len(paths):
        raise NoLayoutError("no scalars, too many, or a repeated key")
    literals.append(document[behind:])
    return Layout(tuple(literals), tuple(paths), tuple(texts))


def _text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise NoLayoutError("a key that is no UTF-8") from error
