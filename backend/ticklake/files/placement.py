"""What the lane asks of a disk beyond `Files`: whether two folders lie on the same one, because a link cannot cross."""

from __future__ import annotations

from typing import Protocol

from ticklake.files.protocol import Files


class PlacedFiles(Files, Protocol):
    """Files that know which disk a folder lies on."""

    def same_disk(self, first: str, second: str) -> bool:
        """Whether a file in one folder can be linked into the other. Both folders exist."""
        ...
