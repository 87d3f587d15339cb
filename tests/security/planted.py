"""Every setting that can hold a secret, found in the settings themselves, and a place for each where a leak shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ticklake.base.settings import Settings

_ADDRESS_NAMES = ("url", "endpoint", "dsn", "uri")
_NOT_SECRET_FILES = ("config",)


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """A setting that can hold a secret.

    Attributes:
        key: with `__` for the dot, `nats__password`.
        kind: `value` (a SecretStr), `file` (the secret is in the file), `address` (the secret is user-info).
    """

    key: str
    kind: str

    @property
    def secret(self) -> str:
        """The value planted there; nothing else in the world contains it."""
        return f"PLANTED-{self.key.replace('__', '-')}-s3cr3t"


def secret_places() -> list[SecretPlace]:
    """All of them. A new setting is among them by its type or its name, without a word here."""
    return [SecretPlace(key, kind) for key, field in _fields(Settings, "") if (kind := _kind(key, field))]


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{prefix}{name}__")
        else:
            yield f"{prefix}{name}", field


def _kind(key: str, field: FieldInfo) -> str:
    name = key.rpartition("__")[2]
    if "SecretStr" in str(field.annotation):
        return "value"
    if name.endswith(_ADDRESS_NAMES):
        return "address"
    is_file = "Path" in str(field.annotation) and name not in _NOT_SECRET_FILES
    return "file" if is_file and (name.endswith("_file") or name == "tls_key") else ""


def leaks(folder: Path, secrets: list[str], *, apart_from: set[Path]) -> list[str]:
    """Files below `folder` that hold one of the secrets, in clear, percent-encoded or as base64 would show it."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in apart_from:
            content = path.read_bytes()
            found += [f"{path.relative_to(folder)}: {secret}" for secret in secrets if secret.encode() in content]
    return found
