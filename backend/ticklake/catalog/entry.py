"""What the registry knows about one dataset. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from ticklake.base.errors import UsageError


class Lifecycle(StrEnum):
    """Whether a dataset should still be used."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class FrameStats:
    """What the footers of a dataset's Parquet files say. None means that no footer tells.

    Attributes:
        start_date: earliest value of the time column, ISO text, UTC where it has a zone.
        end_date: latest one.
        row_count: rows of all files.
        files: how many files.
        size_bytes: of all files.
        schema_hash: the same for equal column names and types in the same order; 16 hex digits.
        null_counts: column -> nulls.
        file_mtime_ns: youngest modification time of the files, UTC ns.
    """

    start_date: str | None = None
    end_date: str | None = None
    row_count: int | None = None
    files: int | None = None
    size_bytes: int | None = None
    schema_hash: str | None = None
    null_counts: Mapping[str, int] | None = None
    file_mtime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """One registered dataset.

    Attributes:
        name: unique in the registry.
        instrument: what it is about, such as `CDX.NA.IG`; None for a table of many.
        tenor: such as `5Y`.
        table: the lake table it is, or belongs to.
        tags: words to find it by.
        file_path: file or folder of Parquet files; relative to the data directory when it lies below it.
        status: whether it should still be used.
        registered_at: UTC, ISO text.
        last_updated: when the statistics were last read again.
        stats: from the footers.
        problem: why there are no statistics; empty when there are.
        metadata: whatever else the owner wants to keep.
    """

    name: str
    instrument: str | None
    file_path: str
    registered_at: str
    tenor: str | None = None
    table: str | None = None
    tags: tuple[str, ...] = ()
    status: Lifecycle = Lifecycle.ACTIVE
    last_updated: str | None = None
    stats: FrameStats = field(default_factory=FrameStats)
    problem: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The entry as one flat dict, statistics beside the rest."""
        flat = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "stats"}
        flat["status"], flat["tags"] = self.status.value, list(self.tags)
        flat["metadata"] = dict(self.metadata)
        return {**flat, **asdict(self.stats)}

    @classmethod
    def from_dict(cls, flat: Mapping[str, Any]) -> Self:
        """The entry of a dict.

        Raises:
            UsageError: unknown or missing keys.
        """
        of_stats = {item.name for item in fields(FrameStats)}
        own = {item.name for item in fields(cls)} - {"stats"}
        unknown = sorted(set(flat) - of_stats - own)
        missing = sorted({"name", "instrument", "file_path", "registered_at"} - set(flat))
        if unknown or missing:
            raise UsageError(
                f"no dataset entry: unknown {', '.join(unknown) or 'nothing'}, missing "
                f"{', '.join(missing) or 'nothing'}; see DatasetEntry"
            )
        values = {name: flat[name] for name in own & set(flat)}
        values["tags"] = tuple(flat.get("tags", ()))
        values["status"] = Lifecycle(flat.get("status", Lifecycle.ACTIVE))
        return cls(**values, stats=FrameStats(**{name: flat[name] for name in of_stats & set(flat)}))
