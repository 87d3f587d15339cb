"""Documents that differ in nothing but their scalars, cut open by the text between them.

Feeds write every message with one template: the same keys, in the same order, with the same spaces. The text around the
scalars of the first document is the layout. Where each further document repeats that text byte for byte, it is valid
JSON with the same keys exactly when its scalars are valid JSON scalars, so only those need a parser: a whole column of
them goes through one cast. Measured on trades: less than half the CPU of a native JSON reader. Anything unusual
declines, and that reader decides.

Commas are the scalars' separators: a document whose strings hold commas does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Path = tuple[str | int, ...]
"""Keys and list places that lead to a scalar."""

_PART_DOCUMENTS: Final = 8_192  # bounds what is in memory twice
_SCALARS_MAX: Final = 256
_NUMBER_BYTES_MAX: Final = 32  # longer ones are somebody's joke
_INTEGER_BYTES: Final = b"0123456789-"
_DECIMAL_BYTES: Final = _INTEGER_BYTES + b"."
_UNQUOTED: Final = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
_COMMA, _ZERO, _NINE, _MINUS, _POINT, _SPACE = b",09-. "
_TOKEN = re.compile(rb'[ \t\r\n]*("[^"\\\x00-\x1f]*"|[-+.0-9A-Za-z]+|[{}\[\]:,])')


class NoLayoutError(Exception):
    """The documents are not all of one layout, or a scalar is not what its column needs. Nothing is wrong yet."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The text between the scalars.

    Attributes:
        literals: the text before the first scalar, between two, and behind the last: one more than there are scalars.
            The quotes of a string belong to them.
        paths: where each scalar stands.
        texts: which scalars are strings.
    """

    literals: tuple[bytes, ...]
    paths: tuple[Path, ...]
    texts: tuple[bool, ...]


def learn_layout(document: bytes) -> Layout:
    """The layout of a valid JSON document.

    Raises:
        NoLayoutError: it has none we can use: repeated keys, escapes, empty lists, hardly a scalar.
    """
    literals: list[bytes] = []
    paths: list[Path] = []
    texts: list[bool] = []
    place: list[str | int] = []  # one entry per open object or list: its current key or index
    key: bytes | None = None
    at = behind = 0
    while at < len(document):
        token = _TOKEN.match(document, at)
        if token is None:
            if not document[at:].strip():
                break
            raise NoLayoutError("a token that needs a JSON reader")
        at, word = token.end(), token[1]
        if word == b"{":
            place.append("")
            key = None
        elif word == b"[":
            place.append(0)
        elif word in (b"}", b"]"):
            place.pop()
        elif word == b",":
            if isinstance(place[-1], int):
                place[-1] += 1
            else:
                place[-1] = ""
        elif word == b":":
            if key is None:
                raise NoLayoutError("no key before a colon")
            place[-1], key = _text(key), None
        elif place and place[-1] == "" and key is None:
            key = word[1:-1]
            if not key:
                raise NoLayoutError("an empty key")
        else:
            is_text = word.startswith(b'"')
            literals.append(document[behind : token.start(1) + is_text])
            behind = at - is_text
            paths.append(tuple(place))
            texts.append(is_text)
    if not paths or len(paths) > _SCALARS_MAX or len(set(paths)) < len(paths):
        raise NoLayoutError("no scalars, too many, or a repeated key")
    literals.append(document[behind:])
    return Layout(tuple(literals), tuple(paths), tuple(texts))


def read_columns(layout: Layout, documents: pa.Array, types: Mapping[Path, pa.DataType]) -> dict[Path, pa.Array]:
    """The scalars of all documents, by path.

    Args:
        layout: of the first of them.
        documents: binary without nulls; each ends as the layout does.
        types: what the scalar of each path must be: an integer, floating or string type, or bool.

    Raises:
        NoLayoutError: a document has another layout, or a scalar is no JSON scalar of its type.
    """
    parts = [
        _read_part(layout, documents.slice(start, _PART_DOCUMENTS), types)
        for start in range(0, len(documents), _PART_DOCUMENTS)
    ]
    return {path: pa.concat_arrays([part[path] for part in parts]) for path in layout.paths}


def _read_part(layout: Layout, documents: pa.Array, types: Mapping[Path, pa.DataType]) -> dict[Path, pa.Array]:
    pieces, per_document = _cut(layout, documents)
    count = len(documents)
    firsts = np.arange(0, count * per_document, per_document, dtype=np.int32)
    around = firsts[:, None] + np.arange(0, per_document, 2, dtype=np.int32)
    found = _bytes(pieces.take(_indices(around)))
    wanted = np.frombuffer(b"".join(layout.literals), np.uint8)
    if len(found) != count * len(wanted) or not (found.reshape(count, -1) == wanted).all():
        raise NoLayoutError("another text between the scalars")
    columns: dict[Path, pa.Array] = {}
    for wire, paths in _by_wire_type(layout, types).items():
        places = np.array([2 * layout.paths.index(path) + 1 for path in paths], np.int32)
        values = pieces.take(_indices(places[:, None] + firsts))  # column by column, all in one
        values = _strings(values) if wire == pa.string() else _scalars(values, wire)
        for number, path in enumerate(paths):
            columns[path] = _fit(values.slice(number * count, count), types[path])
    return columns


def _by_wire_type(layout: Layout, types: Mapping[Path, pa.DataType]) -> dict[pa.DataType, list[Path]]:
    """Which scalars are read together, and as what."""
    together: dict[pa.DataType, list[Path]] = {}
    for path, is_text in zip(layout.paths, layout.texts, strict=True):
        kind = types[path]
        if is_text != pa.types.is_string(kind):
            raise NoLayoutError("text for a number, or a number for text")
        wire = pa.int64() if pa.types.is_integer(kind) else kind
        together.setdefault(wire, []).append(path)
    return together


def _fit(values: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return values if values.type == kind else values.cast(kind)
    except pa.ArrowInvalid as error:
        raise NoLayoutError("a number that does not fit its column") from error


def _cut(layout: Layout, documents: pa.Array) -> tuple[pa.Array, int]:
    """All documents as pieces, literal and scalar in turn, without copying; and how many pieces a document has.

    Judged by commas and lengths alone: whether a literal is what it should be is for the caller to see.
    """
    count, scalars = len(documents), len(layout.paths)
    _, offsets, content = documents.buffers()
    marks = np.frombuffer(offsets, np.int32, count + 1, documents.offset * 4)
    start, end = int(marks[0]), int(marks[-1])
    content = content.slice(start, end - start)
    marks = marks - start
    inner = [literal.count(b",") for literal in layout.literals]
    if inner != [0, *[1] * (scalars - 1), 0]:
        raise NoLayoutError("a comma that does not stand between two scalars")
    found = np.flatnonzero(np.frombuffer(content, np.uint8) == _COMMA)
    if len(found) != count * (scalars - 1):
        raise NoLayoutError("commas in strings, or another number of scalars")
    commas = found.reshape(count, scalars - 1)
    per_document = 2 * scalars + 1
    cuts = np.empty((count, per_document), np.int64)
    cuts[:, 0] = marks[:-1]
    for number in range(scalars):
        before, behind = layout.literals[number], layout.literals[number + 1]
        cuts[:, 2 * number + 1] = (
            marks[:-1] + len(before) if number == 0 else commas[:, number - 1] + (len(before) - before.index(b","))
        )
        cuts[:, 2 * number + 2] = (
            marks[1:] - len(behind) if number == scalars - 1 else commas[:, number] - behind.index(b",")
        )
    bounds = np.append(cuts.ravel(), end - start)
    if (bounds[1:] < bounds[:-1]).any():
        raise NoLayoutError("scalars shorter than nothing")
    buffers = [None, pa.py_buffer(bounds.astype(np.int32)), content]
    return pa.Array.from_buffers(pa.binary(), count * per_document, buffers), per_document


def _strings(values: pa.Array) -> pa.Array:
    content = _bytes(values)
    raw = content.tobytes()
    if b'"' in raw or b"\\" in raw or (len(content) and content.min() < _SPACE):
        raise NoLayoutError("a string with quotes, escapes or control bytes")
    try:
        return values.cast(pa.string())  # checks that it is UTF-8
    except pa.ArrowInvalid as error:
        raise NoLayoutError("a string that is no UTF-8") from error


def _scalars(values: pa.Array, wire: pa.DataType) -> pa.Array:
    if not any(is_kind(wire) for is_kind in _UNQUOTED):
        raise NoLayoutError(f"{wire} needs a JSON reader")
    if b"null" in _bytes(values).tobytes():
        is_there = pc.not_equal(values, b"null")
        if not is_there.false_count:
            raise NoLayoutError("no number, although it holds the letters of null")
        nulls = pa.nulls(len(values), wire)
        there = values.filter(is_there)
        return pc.replace_with_mask(nulls, is_there, _scalars(there, wire)) if len(there) else nulls
    if pa.types.is_boolean(wire):
        is_true = pc.equal(values, b"true")
        if not pc.all(pc.or_(is_true, pc.equal(values, b"false"))).as_py():
            raise NoLayoutError("neither true nor false")
        return is_true
    _require_numbers(values, _INTEGER_BYTES if pa.types.is_integer(wire) else _DECIMAL_BYTES)
    return _fit(values.cast(pa.string()), wire)


def _require_numbers(values: pa.Array, allowed: bytes) -> None:
    """Numbers as JSON writes them, exponents aside. The cast that follows refuses a second sign or point."""
    content = _bytes(values)
    starts = np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, values.offset * 4)
    lengths = np.diff(starts)
    if content.tobytes().translate(None, allowed):
        raise NoLayoutError("not a plain number")
    if lengths.min() < 1 or lengths.max() > _NUMBER_BYTES_MAX:
        raise NoLayoutError("a number of no or very many digits")
    starts = starts - starts[0]
    padded = np.append(content, np.array([_SPACE, _SPACE], np.uint8))
    first, last = padded[starts[:-1]], padded[starts[1:] - 1]
    is_negative = first == _MINUS
    if (is_negative & (lengths == 1)).any() or (last > _NINE).any() or (last < _ZERO).any():
        raise NoLayoutError("a number that does not end in a digit")
    leads = starts[:-1] + is_negative  # where the digits begin
    lead, second = padded[leads], padded[leads + 1]
    digits = lengths - is_negative
    if (lead < _ZERO).any() or ((lead == _ZERO) & (digits > 1) & (second != _POINT)).any():
        raise NoLayoutError("a number with leading zeros or without leading digit")


def _indices(numbers: npt.NDArray[Any]) -> pa.Array:
    flat = np.ascontiguousarray(numbers, np.int32)
    return pa.Array.from_buffers(pa.int32(), flat.size, [None, pa.py_buffer(flat)])


def _bytes(values: pa.Array) -> npt.NDArray[np.uint8]:
    """The bytes of all values, one behind the other."""
    _, offsets, content = values.buffers()
    marks = np.frombuffer(offsets, np.int32, len(values) + 1, values.offset * 4)
    start, end = int(marks[0]), int(marks[-1])
    if content is None or start == end:
        return np.empty(0, np.uint8)
    return np.frombuffer(content, np.uint8, end - start, start)


def _text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise NoLayoutError("a key that is no UTF-8") from error
