"""A PostgreSQL server of our own: fresh cluster, Unix socket only, gone with the test."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

_START_S = 120


@dataclass(slots=True)
class PostgresServer:
    dsn: str
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def fresh_schema(self) -> str:
        return f"ticklake_{next(self._numbers)}"


def _binary(name: str) -> str | None:
    """Debian keeps the server's programs off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


def _require_parts() -> tuple[str, str]:
    initdb, pg_ctl = _binary("initdb"), _binary("pg_ctl")
    lacking = [] if initdb and pg_ctl else ["the Debian package postgresql"]
    if importlib.util.find_spec("psycopg") is None:
        lacking.append("psycopg (extra postgres)")
    if lacking:
        text = f"no PostgreSQL here: {' and '.join(lacking)} missing"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    assert initdb
    assert pg_ctl
    return initdb, pg_ctl


@contextmanager
def start_server() -> Iterator[PostgresServer]:
    """Runs as `nobody` where the tests run as root, because the server refuses to."""
    initdb, pg_ctl = _require_parts()
    # A socket's path has at most 107 bytes, and another user must reach it: pytest's folders are neither.
    with tempfile.TemporaryDirectory(prefix="tl-pg-") as text:
        base = Path(text)
        user = None
        if os.geteuid() == 0:
            user = "nobody"
            shutil.chown(base, user)
        base.chmod(0o755)
        data = base / "data"

        def run(*command: str) -> None:
            subprocess.run(
                command,
                user=user,
                cwd=base,
                check=True,
                capture_output=True,
                timeout=_START_S,
                extra_groups=[] if user else None,
            )

        run(initdb, "-D", str(data), "-U", "ticklake", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        options = f"-k {base} -c listen_addresses='' -c fsync=off -c max_connections=40"
        run(pg_ctl, "-D", str(data), "-o", options, "-l", str(base / "log"), "-w", "start")
        try:
            yield PostgresServer(f"host={base} user=ticklake dbname=postgres")
        finally:
            run(pg_ctl, "-D", str(data), "-m", "immediate", "-w", "stop")
