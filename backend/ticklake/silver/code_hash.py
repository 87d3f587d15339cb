"""A hash of the code that shapes the data: stages, what they import of ours, and the machinery that runs them."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from ticklake.silver.stage import AnyStage

_ROOMS: Final = ("ticklake.silver", "ticklake.schema")
_MACHINERY: Final = (
    "ticklake.silver.pipeline",
    "ticklake.silver.encode",
    "ticklake.silver.inputs",
    "ticklake.lake.parquet",
)


def code_hash(stages: Iterable[AnyStage]) -> str:
    """sha256 over the sources of the stages, of every `silver` and `schema` module they import, and of the machinery.

    Only code counts: comments and layout do not (the syntax tree is hashed), docstrings do.
    """
    code = {path: _read(path) for path in {source_file(stage) for stage in stages}}
    todo = list(code.values())
    while todo:
        for path in map(_file_of, todo.pop().imports):
            if path is not None and path not in code:
                code[path] = _read(path)
                todo.append(code[path])
    code |= {path: _read(path) for path in map(_file_of, _MACHINERY) if path is not None and path not in code}
    digest = hashlib.sha256()
    for fingerprint in sorted(module.fingerprint for module in code.values()):
        digest.update(fingerprint.encode())
    return digest.hexdigest()


def source_file(stage: AnyStage) -> Path:
    """The file that defines the function of a stage."""
    function: Any = stage.run
    while isinstance(function, partial):
        function = function.func
    return Path(inspect.getfile(function))


@dataclass(frozen=True, slots=True)
class _Code:
    """What counts of one source file: a hash of its name and code, and what it imports of ours, modules or names."""

    fingerprint: str
    imports: tuple[str, ...]


def _read(path: Path) -> _Code:
    return _parse(path.name, path.read_bytes())


@cache
def _parse(name: str, source: bytes) -> _Code:
    tree = ast.parse(source)
    fingerprint = hashlib.sha256(f"{name}\0{ast.dump(tree)}".encode()).hexdigest()
    return _Code(fingerprint, _imports(tree))


def _imports(tree: ast.Module) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.startswith(_ROOMS))


@cache
def _file_of(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # `from module import name`: the name is no module
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None
