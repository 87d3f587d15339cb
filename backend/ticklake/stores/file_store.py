"""The data store in files: `FileDataStore`.

Five folders, one per aspect; each part's module describes its files:

- `prices/symbol=AAPL/timeframe=1d/2026-01.parquet`
- `fundamentals/AAPL/{event time}~{known time}~{hash}.json` and `fundamentals/AAPL/facts.parquet`
- `events/2026-01-05.jsonl`
- `state/value_strategy/00000042.json`
- `audit/decisions/2026-01-05.jsonl`, `audit/orders/...`
"""

from __future__ import annotations

import os
from typing import Final

from ticklake.base.clock import Clock, SystemClock
from ticklake.files.place import place_of
from ticklake.files.trees import make_folder
from ticklake.stores.audit import FileAudit
from ticklake.stores.bars import FileBars
from ticklake.stores.data_store import ComposedDataStore
from ticklake.stores.events import FileEvents
from ticklake.stores.fundamentals import FileFundamentals
from ticklake.stores.fundamentals_files import FileFacts
from ticklake.stores.state import VERSIONS_KEPT, FileState

FOLDERS: Final = ("prices", "fundamentals", "events", "state", "audit/decisions", "audit/orders")


class FileDataStore(ComposedDataStore):
    """Bars, fundamentals, events, state and audit below one folder; any number of threads and processes may share it.

    Attributes:
        base_path: the folder, absolute.
    """

    def __init__(
        self,
        base_path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        state_versions_kept: int = VERSIONS_KEPT,
    ) -> None:
        """Open the store; makes the folders that are missing.

        Args:
            base_path: the folder, such as `DATA_ROOT/records`.
            clock: stamps states and audit lines; the machine's by default.
            state_versions_kept: how many versions of a state stay.

        Raises:
            DiskError: the folders cannot be made.
        """
        self.base_path = place_of(base_path)
        clock = clock or SystemClock()
        for name in FOLDERS:
            make_folder(self.base_path / name)
        super().__init__(
            bars=FileBars(self.base_path / "prices"),
            fundamentals=FileFundamentals(self.base_path / "fundamentals", clock=clock),
            facts=FileFacts(self.base_path / "fundamentals"),
            events=FileEvents(self.base_path / "events"),
            state=FileState(self.base_path / "state", clock=clock, versions_kept=state_versions_kept),
            audit=FileAudit(self.base_path / "audit", clock=clock),
        )
