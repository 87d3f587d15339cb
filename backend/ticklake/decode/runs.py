"""A layout as runs: text that is equally long in every document, up to a scalar that is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from ticklake.decode.layout import Layout, NoLayoutError, Path
from ticklake.decode.windows import WORD, WORD_BYTES, Words

_LEAD_BYTES: Final = 24  # the most digits of a fixed number, as whole words that end with it
_LONG_BYTES: Final = 16  # numbers from here on are times and ids: a sample shows their length


@dataclass(frozen=True, slots=True)
class Fixed:
    """A scalar in the text of a run.

    Attributes:
        path: where it stands.
        start: its first byte in the run.
        length: of its bytes.
        is_text: a string, else an integer.
    """

    path: Path
    start: int
    length: int
    is_text: bool


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of every document, and the scalar behind it.

    Attributes:
        template: what the window of the run holds, as words; the first word of the scalar behind it is in it, too.
        mask: its bits that are the same in every document.
        lead: how many bytes of the window lie before the run.
        length: of the text in bytes, fixed scalars included.
        fixed: the scalars in it.
        then: path of the scalar behind it; None at the end of the document.
        is_text: whether that one is a string.
        mark: the byte that follows it.
    """

    template: Words
    mask: Words
    lead: int
    length: int
    fixed: tuple[Fixed, ...]
    then: Path | None
    is_text: bool
    mark: int


def find_runs(layout: Layout, samples: Sequence[bytes], types: Mapping[Path, pa.DataType]) -> list[Run]:
    """The runs of a layout.

    Args:
        layout: of the documents.
        samples: some of them: strings and long integers that are equally long in all of these are taken for fixed.
            Without samples nothing is.
        types: of the scalars.

    Raises:
        NoLayoutError: a sample has another layout.
    """
    scalars = [_scalars(layout, sample) for sample in samples]
    runs: list[Run] = []
    text, mask, fixed = b"", b"", list[Fixed]()
    for number, literal in enumerate(layout.literals):
        text += literal
        mask += b"\xff" * len(literal)
        if number == len(layout.paths):
            runs.append(_run(text, mask, fixed, None, is_text=False, mark=0))
            break
        path, is_text = layout.paths[number], layout.texts[number]
        lengths = {len(found[number]) for found in scalars}
        length = min(lengths, default=0)
        if len(lengths) == 1 and (is_text or (length >= _LONG_BYTES and pa.types.is_integer(types[path]))):
            fixed.append(Fixed(path, len(text), length, is_text))
            text += bytes(length)
            mask += bytes(length)
        else:
            mark = layout.literals[number + 1][0]
            runs.append(_run(text, mask, fixed, path, is_text=is_text, mark=mark))
            text, mask, fixed = b"", b"", []
    return runs


def _run(text: bytes, mask: bytes, fixed: Sequence[Fixed], then: Path | None, *, is_text: bool, mark: int) -> Run:
    lead = 0 if all(scalar.is_text for scalar in fixed) else _LEAD_BYTES
    size = (-(-(lead + len(text)) // WORD_BYTES) + (then is not None)) * WORD_BYTES
    template, bits = (np.frombuffer((bytes(lead) + part).ljust(size, b"\0"), WORD) for part in (text, mask))
    return Run(template, bits, lead, len(text), tuple(fixed), then, is_text, mark)


def _scalars(layout: Layout, document: bytes) -> list[bytes]:
    """The scalars of one document, strings without their quotes."""
    found: list[bytes] = []
    at = 0
    for number, literal in enumerate(layout.literals):
        if not document.startswith(literal, at):
            raise NoLayoutError("another text between the scalars of a sample")
        at += len(literal)
        if number < len(layout.paths):
            end = document.find(layout.literals[number + 1][:1], at)
            if end < 0:
                raise NoLayoutError("a sample that ends early")
            found.append(document[at:end])
            at = end
    return found
