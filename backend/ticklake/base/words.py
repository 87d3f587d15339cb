"""PURE: numbers and names of things, as a sentence says them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

NAMES_MAX: Final = 12  # more than that nobody reads


def count(number: int, word: str) -> str:
    """`1 file`, `2 files`, `1,234 files`; the plural is the word with an s."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def names_near(name: str, names: Iterable[str]) -> str:
    """`did you mean x?` when names look alike, else `there are: a, b`, at most a dozen."""
    known = sorted(names)
    if near := get_close_matches(name, known, n=3):
        return f"did you mean {', '.join(near)}?"
    more = f" and {len(known) - NAMES_MAX} more" if len(known) > NAMES_MAX else ""
    return f"there are: {', '.join(known[:NAMES_MAX]) or 'none at all'}{more}"
