"""A message opened up: one value per column, and what is left over. Here the flat layout, where keys are names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ticklake.schema.table import Column

Json = dict[str, object]
"""A decoded JSON object."""


Keys = tuple[tuple[str, str, str | None], ...]
"""Per column: its name, the key the wire prefers, and the other one it may use."""


@dataclass(slots=True)
class Opened:
    """One row before its values are checked.

    Attributes:
        values: column name -> value as found; columns that were not found, or found null, are absent.
        paths: column name -> JSON path, where it is not the preferred one.
        extra: what no column takes, in its original place; empty when nothing.
    """

    values: Json = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    extra: Json = field(default_factory=dict)


def flat_keys(columns: Iterable[Column]) -> Keys:
    """The keys of columns that lie flat in the object."""
    return tuple((column.name, column.keys[0], (*column.keys[1:], None)[0]) for column in columns)


def open_flat(document: Json, keys: Keys) -> Opened:
    """Open an object whose keys are wire names or column names. Leaves the object as it is."""
    values: Json = {}
    paths: dict[str, str] = {}
    rest = dict(document)
    for name, key, other in keys:
        value = rest.pop(key, None)
        if value is None and other is not None:
            value = rest.pop(other, None)
            if value is not None:
                paths[name] = f"$.{other}"
        if value is not None:
            values[name] = value
    return Opened(values, paths, rest)
