"""Order books on the wire: ten flat pairs a side, or a list of levels, best first."""

from __future__ import annotations

from ticklake.decode.opened import Json, Keys, Opened, open_flat
from ticklake.decode.rejected import BadInputError, Reason, shown
from ticklake.schema.bronze import BOOK_LEVELS

LEVEL_KEYS = ("bid_px", "bid_sz", "ask_px", "ask_sz")
"""Keys of one level in the list; level i holds the columns `bid_px_i` and so on."""


_PLACES = tuple(
    tuple((key, f"{key}_{level + 1}", f"$.levels[{level}].{key}") for key in LEVEL_KEYS) for level in range(BOOK_LEVELS)
)
"""Per level: key, column and path of its values."""

_PATHS = {name: path for places in _PLACES for _, name, path in places}


def open_book(document: Json, keys: Keys) -> Opened:
    """Open a book. Levels beyond those we keep, and unknown keys of levels, stay in `extra` under `levels`.

    Raises:
        BadInputError: `levels` is no list of objects, or repeats what is also there flat.
    """
    opened = open_flat(document, keys)
    levels = opened.extra.pop("levels", None)
    if levels is None:
        return opened
    if not isinstance(levels, list):
        raise BadInputError(Reason.WRONG_TYPE, f"wants a list, got {shown(levels)}", "$.levels")
    flat = _PATHS.keys() & opened.values
    rest = [_open_level(level, number, opened.values) for number, level in enumerate(levels)]
    if any(rest):
        opened.extra["levels"] = rest
    if flat or opened.paths:
        opened.paths = {**_PATHS, **{name: f"$.{name}" for name in flat}, **opened.paths}
    else:
        opened.paths = _PATHS
    return opened


def _open_level(level: object, number: int, values: Json) -> Json:
    if not isinstance(level, dict):
        raise BadInputError(Reason.WRONG_TYPE, f"wants an object, got {shown(level)}", f"$.levels[{number}]")
    if number >= BOOK_LEVELS:
        return level
    rest = dict(level)
    for key, name, path in _PLACES[number]:
        value = rest.pop(key, None)
        if value is None:
            continue
        if name in values:
            raise BadInputError(Reason.WRONG_TYPE, f"is given twice, also as {name}", path)
        values[name] = value
    return rest
