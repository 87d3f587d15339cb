"""The manifest of a complete version: the request, its columns, and what was true when it was built."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version as library_version
from typing import Final

import msgspec

from ticklake.base.version import __version__
from ticklake.silver.manifest import Built, Manifest
from ticklake.silver.recipe import Recipe
from ticklake.silver.record import DateRecord, DateStatus

_LIBRARIES: Final = ("numpy", "polars", "pyarrow")


def built_manifest(recipe: Recipe, records: Mapping[str, DateRecord], *, certificate_passed: bool) -> Manifest:
    """The manifest with `columns` and `built`; holds nothing of time or machine."""
    files = {file.path: file for record in records.values() for file in record.inputs}
    sessions = {day: record for day, record in records.items() if record.status is not DateStatus.CLOSED}
    built = Built(
        code_version=__version__,
        code_hash=recipe.code_hash,
        manifest_hash=recipe.manifest_hash,
        schema_hash=recipe.schema_hash,
        libraries={name: library_version(name) for name in _LIBRARIES},
        rows={day: record.rows for day, record in records.items()},
        warmup={day: record.warmup for day, record in sessions.items()},
        inputs=[file for _, file in sorted(files.items())],
        certificate_passed=certificate_passed,
    )
    return msgspec.structs.replace(recipe.manifest, columns=recipe.column_entries, built=built)
