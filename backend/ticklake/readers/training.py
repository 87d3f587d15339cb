"""Training sets as people ask for them. One read of the pointer decides; all else comes from an immutable version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from ticklake.base.errors import CorruptError, UsageError
from ticklake.catalog.training_sets import TrainingMetadata, read_metadata
from ticklake.files.engines import scan_files
from ticklake.files.place import Place

ROLES: Final = ("key", "feature", "label", "info")


def scan_training_set(
    root: Place,
    name: str,
    version: int | str | None = None,
    *,
    columns: Sequence[str] | None = None,
    roles: Sequence[str] | None = None,
) -> tuple[TrainingMetadata, pl.LazyFrame]:
    """The rows of one version, lazily, with its metadata: the two always belong together.

    Shape: one row per key, in order of event times; columns in the order of the manifest.

    Args:
        root: the data root.
        name: of the training set.
        version: number or label; the current one when None.
        columns: which columns, in this order.
        roles: columns of these roles (`key`, `feature`, `label`, `info`), in the order of the file.

    Raises:
        NoDataError: no such set or version.
        UsageError: columns and roles together, or one that does not exist.
        CorruptError: the file of the version is gone.
    """
    if columns is not None and roles is not None:
        raise UsageError("choose columns by their names or by their roles, not both; leave one out")
    metadata = read_metadata(root, name, version)
    path = root / metadata.data.path
    if not path.is_file():
        read_metadata(root, name, metadata.version)  # says so when retention took the version since
        raise CorruptError(f"{path} is gone, but {name} version {metadata.version} needs it; restore it from a copy")
    frame = scan_files([path])
    if roles is not None:
        wanted = set(columns_of_roles(metadata, roles))
        columns = [column for column in frame.collect_schema().names() if column in wanted]
    return metadata, _chosen(frame, columns, path)


def columns_of_roles(metadata: TrainingMetadata, roles: Sequence[str]) -> tuple[str, ...]:
    """The columns of some roles.

    Raises:
        UsageError: no such role.
    """
    known = dict(zip(ROLES, (metadata.keys, metadata.features, metadata.labels, metadata.info), strict=True))
    if unknown := [role for role in roles if role not in known]:
        raise UsageError(f"no role {unknown[0]!r}; choose from {', '.join(ROLES)}")
    return tuple(column for role in roles for column in known[role])


def _chosen(frame: pl.LazyFrame, columns: Sequence[str] | None, path: Place) -> pl.LazyFrame:
    if columns is None:
        return frame
    there = frame.collect_schema().names()
    if unknown := [column for column in columns if column not in there]:
        raise UsageError(f"{path} has no column {unknown[0]!r}; see `ticklake gold metadata`")
    return frame.select(list(columns))
