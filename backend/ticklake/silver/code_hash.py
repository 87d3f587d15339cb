"""A hash of the code that shapes the data: stages, what they import that shapes data, and the machinery."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from ticklake.silver.stage import AnyStage

_ROOMS: Final = ("ticklake.silver", "ticklake.schema", "ticklake.readers.frontmonth")
_PACKAGE: Final = Path(__file__).parents[1]
_MACHINERY: Final = (
    "ticklake.silver.pipeline",
    "ticklake.silver.encode",
    "ticklake.silver.inputs",
    "ticklake.lake.parquet",
)


def code_hash(stages: Iterable[AnyStage]) -> str:
    """sha256 over the sources of the stages, of what shapes data among what they import, and of the machinery.

    Followed are imports of `ticklake.silver` and `ticklake.schema`, of the choice of the front month, and, from a stage
    of yours, of modules that lie beside it: in its folder, or in its package. They are read as they are now; a process
    that imported such a module before it was changed must be started again to run the new one.

    Only code counts: comments and layout do not (the syntax tree is hashed), docstrings do, and where a file lies does
    not.
    """
    digest = hashlib.sha256()
    for fingerprint in sorted(_read(path).fingerprint for path in hashed_files(stages)):
        digest.update(fingerprint.encode())
    return digest.hexdigest()


def hashed_files(stages: Iterable[AnyStage]) -> set[Path]:
    """The source files that `code_hash` looks at."""
    found: set[Path] = set()
    todo = [source_file(stage) for stage in stages]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += _followed(path, _read(path).imports)
    return found | {path for path in map(_file_of, _MACHINERY) if path is not None}


def source_file(stage: AnyStage) -> Path:
    """The file that defines the function of a stage."""
    function: Any = stage.run
    while isinstance(function, partial):
        function = function.func
    return Path(inspect.getfile(function))


@dataclass(frozen=True, slots=True)
class Code:
    """What counts of one source file: a hash of its name and code, and what it imports, modules or names in them."""

    fingerprint: str
    imports: tuple[str, ...]


Parsed = dict[str, Code]
"""What was found in sources, by the sha256 of name and content: it holds in any process of the same Python."""

_parsed: Parsed = {}


def parsed_sources() -> Parsed:
    """All that this process has parsed; a process that it starts may `remember` it and parse nothing again."""
    return dict(_parsed)


def remember(parsed: Parsed) -> None:
    """Take over what another process has parsed."""
    _parsed.update(parsed)


def _read(path: Path) -> Code:
    source = path.read_bytes()
    key = hashlib.sha256(path.name.encode() + b"\0" + source).hexdigest()
    if key not in _parsed:
        tree = ast.parse(source)
        fingerprint = hashlib.sha256(f"{path.name}\0{ast.dump(tree)}".encode()).hexdigest()
        _parsed[key] = Code(fingerprint, _imports(tree))
    return _parsed[key]


def _imports(tree: ast.Module) -> tuple[str, ...]:
    """As written, with the dots of a relative import."""
    names: list[str] = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = "." * node.level + node.module
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.ImportFrom):
            names += ["." * node.level + alias.name for alias in node.names]
    return tuple(names)


def _statements(parent: ast.AST) -> Iterator[ast.AST]:
    """Every statement below, at any depth; expressions, nine in ten nodes of a tree, hold none."""
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        below = getattr(parent, block, ())
        for node in below if isinstance(below, list) else ():
            yield node
            yield from _statements(node)


def _followed(path: Path, imports: Iterable[str]) -> list[Path]:
    """The files of those imports that shape data."""
    found = [_file_of(name) for name in imports if name.startswith(_ROOMS)]
    if not path.is_relative_to(_PACKAGE):
        found += [_beside(path, name) for name in imports if name.partition(".")[0] != _PACKAGE.name]
    return [file for file in found if file is not None]


def _beside(path: Path, name: str) -> Path | None:
    """The file of a module that lies in the folder of `path`, or in its package; None when it lies elsewhere."""
    module = name.lstrip(".")
    base = path.parent
    for _ in range(len(name) - len(module) - 1):
        base = base.parent
    while module == name and (base / "__init__.py").is_file():  # absolute: named from the folder of the package
        base = base.parent
    stem = base.joinpath(*module.split("."))
    return next((file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.is_file()), None)


@cache
def _file_of(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # `from module import name`: the name is no module
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None
