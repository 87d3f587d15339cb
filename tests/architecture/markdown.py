"""Finds the commands in our documents that claim to work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MARK = "# tested"
_BLOCK = re.compile(r"^```sh\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ShellBlock:
    """A fenced `sh` block whose first line is the mark.

    Attributes:
        document: file it stands in.
        line: number of its first line.
        script: its text.
    """

    document: Path
    line: int
    script: str


def marked_blocks(document: Path) -> list[ShellBlock]:
    """The marked blocks of a document, in order. They run one after the other in one folder."""
    text = document.read_text(encoding="utf-8")
    return [
        ShellBlock(document, text.count("\n", 0, match.start("text")) + 1, match["text"])
        for match in _BLOCK.finditer(text)
        if match["text"].lstrip().startswith(MARK)
    ]
