"""What is known about a saved file: enough to find it again and to prove that it is the same. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

from ticklake.base.errors import UsageError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place

_MEDIA_TYPES: Final = {
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
    "csv": "text/csv",
    "png": "image/png",
    "jpg": "image/jpeg",
    "svg": "image/svg+xml",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
    "zip": "application/zip",
    "pdf": "application/pdf",
}


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """A saved file.

    Attributes:
        id: `{file name without suffix}__{kind}__{first 12 hex digits of the hash}`; new content, new id.
        kind: what it is, such as `signals`, `backtest_results`.
        path: relative to the root of the store.
        format: `parquet`, `json`, `csv`, `png`, ... ; `bin` when the name does not tell.
        media_type: for programs that show it.
        bytes: its size.
        sha256: of the whole file, 64 hex digits.
        created_at: UTC, ISO text.
        meta: whatever the caller wants to find again: run_id, setup_id, symbol, period.
    """

    id: str
    kind: str
    path: str
    format: str
    media_type: str
    bytes: int
    sha256: str
    created_at: str
    meta: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As a dict for documents."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """From its dict.

        Raises:
            UsageError: unknown or missing keys.
        """
        names = {item.name for item in fields(cls)}
        if set(values) - names or names - {"meta"} - set(values):
            raise UsageError(
                f"no artifact reference: expected {', '.join(sorted(names))}; got {', '.join(sorted(values))}"
            )
        return cls(**values)


def format_of(filename: str) -> str:
    """The format that a file name tells."""
    return Path(filename).suffix.lstrip(".").lower() or "bin"


def media_type_of(form: str) -> str:
    """The media type of a format."""
    return _MEDIA_TYPES.get(form, "application/octet-stream")


def hash_bytes(content: bytes) -> str:
    """SHA-256 as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def hash_file(path: Place) -> str:
    """SHA-256 of a file, read in pieces. Raises FileNotFoundError."""
    if isinstance(path, ObjectPath):
        return hash_bytes(path.read_bytes())
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
