"""Stages that are not part of the package: from a Python file, or from an entry point `ticklake.stages`."""

from __future__ import annotations

import hashlib
import importlib.util
from importlib.abc import SourceLoader
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ticklake.base.errors import UsageError
from ticklake.silver.code_hash import source_file
from ticklake.silver.manifest import ExtraStage
from ticklake.silver.stage import AnyStage, Stage

GROUP: Final = "ticklake.stages"


class _FreshLoader(SourceLoader):
    """Runs the file as it is now: bytecode of a moment ago may have the same age and size as the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get_filename(self, fullname: str) -> str:
        return str(self._path)

    def get_data(self, path: str | bytes) -> bytes:
        return self._path.read_bytes()


def load_extra_stage(extra: ExtraStage) -> tuple[AnyStage, ExtraStage]:
    """The stage, and its manifest entry with the hash of its source as it is now.

    Raises:
        UsageError: no such file, entry point or stage in it; or its code does not run.
    """
    if extra.file:
        path = Path(extra.file).absolute()
        stage, source = _stage_in(_run_file(path), extra.name, str(path)), path
        place = str(path)
    else:
        stage, source = _from_entry_point(extra.name)
        place = ""
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    return stage, ExtraStage(extra.name, extra.after, place, sha256)


def _run_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"stage file {path} does not exist; correct `file` in the manifest")
    loader = _FreshLoader(path)
    spec = importlib.util.spec_from_file_location(f"ticklake_user_stage_{path.stem}", path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a file that ends the program would end it as if all were well
        raise UsageError(f"stage file {path} does not run: {type(error).__name__}: {error}; repair it") from error
    return module


def _stage_in(module: ModuleType, name: str, place: str) -> AnyStage:
    stages = [value for value in vars(module).values() if isinstance(value, Stage)]
    found = next((stage for stage in stages if stage.name == name), None)
    if found is None:
        known = ", ".join(sorted({stage.name for stage in stages})) or "no stage at all"
        raise UsageError(f"{place} defines no stage {name!r}; it has {known}: correct `name` in the manifest")
    return found


def _from_entry_point(name: str) -> tuple[AnyStage, Path]:
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        known = ", ".join(sorted(points)) or "none"
        raise UsageError(
            f"no entry point {name!r} in {GROUP!r} (installed: {known}); install its package, or give `file`"
        )
    loaded: Any = points[name].load()
    if not isinstance(loaded, Stage):
        raise UsageError(f"entry point {name!r} of {GROUP!r} is {loaded!r}, no Stage; correct its package")
    return loaded, source_file(loaded)
