"""Level signals on the wire: one object with a list of levels, opened into one row per level."""

from __future__ import annotations

from collections.abc import Iterable

from ticklake.decode.opened import Json, Opened
from ticklake.decode.rejected import BadInputError, Reason, shown
from ticklake.schema.table import Column, TableSpec

_LEVEL = "levels[]."
_Tree = dict[str, "_Tree"]


def split_levels(document: Json) -> list[Json]:
    """One object per level, each as it could have come alone. Without levels: the object itself.

    Raises:
        BadInputError: `levels` is no list.
    """
    levels = document.get("levels")
    if levels is None:
        return [document]
    if not isinstance(levels, list):
        raise BadInputError(Reason.WRONG_TYPE, f"wants a list, got {shown(levels)}", "$.levels")
    if len(levels) <= 1:
        return [document]
    return [{**document, "levels": [level]} for level in levels]


class SignalOpener:
    """Opens objects with at most one level. Objects that are flat already, under the column names, are fine too."""

    def __init__(self, table: TableSpec) -> None:
        self._names = frozenset(table.by_name)
        wires = {column: column.wire or column.name for column in table.columns}
        self._level = [(c, wire.removeprefix(_LEVEL)) for c, wire in wires.items() if wire.startswith(_LEVEL)]
        self._top = [(c, wire) for c, wire in wires.items() if not wire.startswith(_LEVEL)]
        self._level_tree = _tree(wire for _, wire in self._level)

    def __call__(self, document: Json) -> Opened:
        """Open one object. Leaves it as it is.

        Raises:
            BadInputError: a part that must be an object is none, or a value is given both nested and flat.
        """
        values: Json = {}
        paths: dict[str, str] = {}
        quote = "spy" if document.get("es") is None and document.get("spy") is not None else "es"
        top = [(column, wire.replace("es.", f"{quote}.", 1)) for column, wire in self._top]
        _collect(document, top, "$", values, paths)
        rest = _rest(document, _tree(wire for _, wire in top))
        levels = rest.pop("levels", None)
        level = levels[0] if isinstance(levels, list) and levels else {}
        if not isinstance(level, dict):
            raise BadInputError(Reason.WRONG_TYPE, f"wants an object, got {shown(level)}", "$.levels[0]")
        _collect(level, self._level, "$.levels[0]", values, paths)
        extra = self._take_flat(rest, values, paths)
        unknown = _rest(level, self._level_tree)
        if unknown:
            extra["levels"] = [unknown]
        return Opened(values, paths, extra)

    def _take_flat(self, rest: Json, values: Json, paths: dict[str, str]) -> Json:
        """Move what lies flat under column names into `values`; give back what is left."""
        extra: Json = {}
        for key, value in rest.items():
            if key not in self._names:
                extra[key] = value
            elif value is not None:
                if key in values:
                    raise BadInputError(Reason.WRONG_TYPE, "is given twice, nested and flat", f"$.{key}")
                values[key] = value
                paths[key] = f"$.{key}"
        return extra


def _collect(node: Json, columns: Iterable[tuple[Column, str]], base: str, values: Json, paths: dict[str, str]) -> None:
    for column, wire in columns:
        value = _find(node, wire, base)
        if value is None:
            continue
        if column.scale != 1 and type(value) is int:
            value *= column.scale
        values[column.name] = value
        paths[column.name] = f"{base}.{wire}"


def _find(node: Json, wire: str, base: str) -> object:
    value: object = node
    for key in wire.split("."):
        if value is None:
            return None
        if not isinstance(value, dict):
            raise BadInputError(Reason.WRONG_TYPE, f"wants an object, got {shown(value)}", f"{base}.{wire}")
        value = value.get(key)
    return value


def _tree(wires: Iterable[str]) -> _Tree:
    tree: _Tree = {}
    for wire in wires:
        node = tree
        for key in wire.split("."):
            node = node.setdefault(key, {})
    return tree


def _rest(node: Json, known: _Tree) -> Json:
    """What `known` does not name, in its place."""
    rest: Json = {}
    for key, value in node.items():
        if key not in known:
            rest[key] = value
        elif known[key] and isinstance(value, dict):
            below = _rest(value, known[key])
            if below:
                rest[key] = below
    return rest
