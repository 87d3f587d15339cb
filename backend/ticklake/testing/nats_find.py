"""Which nats-server to run, and what it is able to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ticklake.base.errors import UnavailableError

BINARY_NAME = "nats-server"
BINARY_VARIABLE = "TICKLAKE_NATS_SERVER_BIN"
VERSION_MIN = (2, 10, 0)
"""Older servers know neither `sync_interval` nor consumers with several filter subjects."""

_SYSTEM_FOLDERS = (Path("/usr/sbin"), Path("/usr/local/sbin"))  # not on everybody's PATH
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A nats-server that answered `--version`.

    Attributes:
        path: the executable itself.
        version: (major, minor, patch).
    """

    path: Path
    version: tuple[int, int, int]


def find_server(binary: Path | None = None) -> ServerBinary:
    """The nats-server to run.

    Looks at `binary`; then at the variable `TICKLAKE_NATS_SERVER_BIN`; then beside the interpreter, where the extra
    `embedded` installs it; then on PATH; then in the system folders. The first that is named wins, even if it is bad:
    what a person asked for is not silently replaced.

    Raises:
        UnavailableError: there is none, it does not run, or it is older than `VERSION_MIN`.
    """
    named = binary or _named_by_environment()
    if named is not None:
        return _inspect(named)
    for path in _usual_places():
        if os.access(path, os.X_OK) and path.is_file():
            return _inspect(path)
    raise UnavailableError(
        f"no {BINARY_NAME} beside the interpreter, on PATH or in /usr/sbin; "
        f'install it with `pip install "ticklake[embedded]"` or name one in {BINARY_VARIABLE}'
    )


def _named_by_environment() -> Path | None:
    value = os.environ.get(BINARY_VARIABLE)  # noqa: TID251 - names a tool of this machine, not a setting of the lake
    return Path(value) if value else None


def _usual_places() -> list[Path]:
    places = [Path(sys.executable).parent / BINARY_NAME]
    on_path = shutil.which(BINARY_NAME)
    if on_path is not None:
        places.append(Path(on_path))
    return places + [folder / BINARY_NAME for folder in _SYSTEM_FOLDERS]


@cache
def _inspect(path: Path) -> ServerBinary:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"{path} does not run ({error}); name another one in {BINARY_VARIABLE}") from error
    found = _VERSION.search(answer.stdout)
    if found is None:
        raise UnavailableError(f"{path} says {answer.stdout.strip()!r}, no version; is it a {BINARY_NAME}?")
    version = (int(found[1]), int(found[2]), int(found[3]))
    if version < VERSION_MIN:
        raise UnavailableError(
            f"{path} is version {_dotted(version)}, needed is {_dotted(VERSION_MIN)}; "
            'install a newer one with `pip install "ticklake[embedded]"`'
        )
    return ServerBinary(path, version)


def _dotted(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))
