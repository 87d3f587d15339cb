"""The catalog of one lake: which tables are declared, which datasets and runs there are, and what came from what."""

from __future__ import annotations

import os
from functools import cached_property

from ticklake.catalog.artifacts import ArtifactStore
from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.lineage import Lineage
from ticklake.catalog.provenance import RunProvenance
from ticklake.catalog.rules import RuleRegistry
from ticklake.catalog.runs import RunRegistry
from ticklake.files.place import place_of
from ticklake.schema.lookup import TableCatalog


class LakeCatalog:
    """One face for the registries of a lake. Nothing is made before something is written.

    Attributes:
        data_root: of the lake, absolute.
        tables: the declared tables.
    """

    def __init__(self, data_root: str | os.PathLike[str], tables: TableCatalog) -> None:
        self.data_root = place_of(data_root)
        self.tables = tables

    @cached_property
    def datasets(self) -> DataRegistry:
        """What there is, registered or found by its folder."""
        return DataRegistry.of_lake(self.data_root)

    @cached_property
    def runs(self) -> RunRegistry:
        """What was executed, with which inputs and code, and how it ended."""
        return RunRegistry(self.data_root)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """Files that runs save, by kind and name."""
        return ArtifactStore(self.data_root)

    @cached_property
    def rules(self) -> RuleRegistry:
        """Versions of rules."""
        return RuleRegistry(self.data_root)

    @cached_property
    def provenance(self) -> RunProvenance:
        """Snapshots by which a run can be repeated."""
        return RunProvenance(self.data_root)

    @property
    def lineage(self) -> Lineage:
        """Where things come from, as recorded now."""
        return Lineage(self.data_root)

    def __repr__(self) -> str:
        return f"LakeCatalog({str(self.data_root)!r}, {len(self.tables)} tables)"
