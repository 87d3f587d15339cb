"""PURE: where a Delta log may lie, and how it names the files of the lake.

Never in the table's own folder: an engine that reads plain Parquet would meet the log there, and one that writes Delta
would vacuum, compact and append among the lake's files. A log elsewhere reaches them by hard links, which every reader
understands, or, where there are none (on object stores), by absolute URIs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from ticklake.base.errors import UsageError
from ticklake.readers.delta_files import TableFile
from ticklake.readers.relation import Relation

FOLDER: Final = "delta"
"""Below the data root, beside the tiers: it holds the logs that were given no other place."""

_HELD: Final = ("bronze", "silver", "gold", "quarantine", "catalog", "records", "_state", "_staging")


@dataclass(frozen=True, slots=True)
class DeltaPlace:
    """Where one table's files and its log lie, and how the log names the files.

    Attributes:
        data_root: the lake: an absolute folder, or a URI without a slash at its end.
        uri: root of the Delta table, in the same form.
        relation: the table.
        is_linked: whether the log's own folder holds hard links to the files; otherwise it names them by absolute URIs.
    """

    data_root: str
    uri: str
    relation: Relation
    is_linked: bool

    def address(self, file: TableFile) -> str:
        """How the log names a file: below its own root, or by absolute URI."""
        if self.is_linked:
            return file.below
        root = f"file://{self.data_root}" if is_local(self.data_root) else self.data_root
        return f"{root}/{file.path}"


def find_delta_place(data_root: str, relation: Relation, to: str | None, *, absolute: bool) -> DeltaPlace:
    """Where the log goes. `to` None: `{data_root}/delta/{table}`.

    Raises:
        UsageError: a log must not lie there.
    """
    data_root = _normal(data_root)
    uri = _normal(to) if to is not None else f"{data_root}/{FOLDER}/{relation.name}"
    inside = uri[len(data_root) + 1 :].partition("/")[0]
    if f"{data_root}/".startswith(f"{uri}/") or (uri.startswith(f"{data_root}/") and inside in _HELD):
        raise UsageError(f"{uri}: a Delta log there would mix with the lake's own files; choose a folder of its own")
    is_linked = is_local(data_root) and is_local(uri) and not absolute
    if is_local(uri) and "%" in uri:
        raise UsageError(f"{uri}: Delta readers take `%` in a folder's name for an escape; choose another with --to")
    if not is_linked and "#" in data_root:
        raise UsageError(f"{data_root}: a URI cannot hold `#`; leave --absolute out, or move the lake")
    if is_local(data_root) and not is_local(uri):
        raise UsageError(f"{uri}: readers there could not reach files below {data_root}; choose a folder of this disk")
    return DeltaPlace(data_root, uri, relation, is_linked)


def is_local(place: str) -> bool:
    """Whether it is a folder of this machine and no URI."""
    return "://" not in place


def _normal(place: str) -> str:
    """A folder, absolute; or a URI without the slash at its end."""
    local = unquote(place.removeprefix("file://")) if place.startswith("file://") else place
    if not is_local(local):
        return place.rstrip("/")
    return os.path.normpath(Path(local).expanduser().absolute())
