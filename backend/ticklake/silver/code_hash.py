"""A hash of the code that shapes the data: stages, what they import of ours, and the machinery that runs them."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
from collections.abc import Iterable
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
    seen = {source_file(stage) for stage in stages}
    todo = sorted(seen)
    while todo:
        for path in _imports(todo.pop().read_bytes()):
            if path not in seen:
                seen.add(path)
                todo.append(path)
    seen |= {path for path in map(_file_of, _MACHINERY) if path is not None}
    digest = hashlib.sha256()
    for fingerprint in sorted(_fingerprint(path.name, path.read_bytes()) for path in seen):
        digest.update(fingerprint.encode())
    return digest.hexdigest()


def source_file(stage: AnyStage) -> Path:
    """The file that defines the function of a stage."""
    function: Any = stage.run
    while isinstance(function, partial):
        function = function.func
    return Path(inspect.getfile(function))


@cache
def _fingerprint(name: str, source: bytes) -> str:
    return hashlib.sha256(f"{name}\0{ast.dump(ast.parse(source))}".encode()).hexdigest()


@cache
def _imports(source: bytes) -> tuple[Path, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    wanted = [name for name in names if name.startswith(_ROOMS)]
    return tuple(found for found in map(_file_of, wanted) if found is not None)


def _file_of(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # `from module import name`: the name is no module
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None
