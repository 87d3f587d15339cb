"""The refusal of a store that was opened for reading."""

from __future__ import annotations

from ticklake.files.errors import PersistentStoreError


class ReadOnlyError(PersistentStoreError):
    """The store was opened for reading. Open it again without read-only, if that is what you want."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the store is read-only, so {what} is refused; open it for writing")
