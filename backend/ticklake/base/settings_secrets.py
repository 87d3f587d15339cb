"""The secrets that the settings hold, so that they can be hidden wherever they turn up."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr

from ticklake.base.redact import is_secret_name


def secret_values(settings: BaseModel) -> frozenset[str]:
    """Every secret in `settings`: secret fields of all groups, user-info of addresses, telling keys of user tables."""
    return frozenset(text for text in _values("", settings) if text)


def _values(name: str, value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for key in type(value).model_fields:
            yield from _values(key, getattr(value, key))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(str(key), inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _values(name, inner)
    elif isinstance(value, str):
        if is_secret_name(name):
            yield value
        yield from _user_info(value)


def _user_info(text: str) -> Iterator[str]:
    """Passwords and tokens of the addresses in a comma list; user names beside a password are no secrets."""
    for address in text.split(","):
        _, scheme, rest = address.partition("://")
        info, at, _ = rest.partition("/")[0].rpartition("@")
        if scheme and at:
            user, colon, password = info.partition(":")
            secret = password if colon else user
            yield from (secret, unquote(secret))
