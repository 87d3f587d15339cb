"""Where the files under test lie, and the programs that check them. A missing program is a failure, not a skip."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = ROOT / "docker-compose.yml"
TIMEOUT_S = 200.0

_DEBIAN = {
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
    "kubectl": "kubernetes-client",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}


def need(name: str) -> str:
    """Path of a program: beside this interpreter, or on PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        source = f"apt-get install {_DEBIAN[name]}" if name in _DEBIAN else "pip install -e '.[test]'"
        pytest.fail(f"the program {name} is not installed: {source}")
    return found


def run(*command: object, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a checker; what it said becomes the text of the failure."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=TIMEOUT_S, check=False, **options
    )
    if check and done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def compose() -> dict[str, Any]:
    """`docker-compose.yml` as data, merge keys resolved."""
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return document
