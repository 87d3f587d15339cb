"""Checks of this machine: interpreter, libraries, disk, clock, limits."""

from __future__ import annotations

import math
import os
import platform
import resource
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Final

import google_crc32c

from ticklake.base.clock import Clock, format_time
from ticklake.base.settings import Settings
from ticklake.base.version import __version__
from ticklake.cli.finding import Finding, Grade, grade
from ticklake.cli.place import nearest
from ticklake.files.filesystem import filesystem_kind
from ticklake.files.local import LocalFiles
from ticklake.schema.session import table_warning

_LIBRARIES: Final = ("pyarrow", "polars", "duckdb", "nats-py", "msgspec", "uvloop")
_SYNCS: Final = 200
_SYNC_TIME_MAX_S: Final = 2.0
_SYNC_BYTES: Final = 4096
_SYNC_P99_MAX_MS: Final = 50.0
_OPEN_FILES_MIN: Final = 1024
_BUILT_NS: Final = 1_735_689_600 * 10**9  # 2025-01-01: before this program existed


def check_machine(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """All checks that need no network."""
    yield Finding("ticklake", Grade.OK, f"{__version__}, Python {platform.python_version()} at {sys.prefix}")
    yield Finding("libraries", Grade.OK, ", ".join(f"{name} {library_version(name)}" for name in _LIBRARIES))
    yield grade(
        "checksums",
        f"crc32c in {google_crc32c.implementation}",
        when=google_crc32c.implementation != "c",
        next_step="install a google-crc32c wheel with the C code; the pure Python one is a thousand times slower",
    )
    yield _check_clock(clock)
    yield _check_sessions(clock)
    yield _check_open_files()
    state_dir = settings.writer_state_dir()
    for name, folder in (("data_root", settings.data_root), ("state_dir", state_dir)):
        if not isinstance(folder, Path):
            continue
        yield _check_writable(name, folder)
        yield _check_room(name, folder, settings.disk.min_free_bytes)
    yield _check_file_system(state_dir)
    yield _check_sync(state_dir, clock)


def nearest_folder(path: Path) -> Path:
    """The folder itself, or the closest parent that is one and that we may look at."""
    return next(folder for folder in (path, *path.parents) if os.path.isdir(folder))  # noqa: PTH112, no error where we may not look


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def _check_clock(clock: Clock) -> Finding:
    now_ns = clock.wall_ns()
    return grade(
        "clock",
        format_time(now_ns),
        when=now_ns < _BUILT_NS,
        grade=Grade.FAIL,
        next_step="set the clock (NTP): times of rows and partitions come from it",
    )


def _check_sessions(clock: Clock) -> Finding:
    warning = table_warning(datetime.fromtimestamp(clock.wall_ns() / 1e9, UTC).date())
    return grade(
        "exchange sessions",
        warning or "the table reaches far enough",
        when=warning is not None,
        next_step="update ticklake: features of later days cannot be built without the table",
    )


def _check_open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return grade(
        "open files",
        f"limit {soft} of {hard}",
        when=soft != resource.RLIM_INFINITY and soft < _OPEN_FILES_MIN,
        next_step=f"raise it (ulimit -n, LimitNOFILE=) to {_OPEN_FILES_MIN} or more",
    )


def _check_writable(name: str, folder: Path) -> Finding:
    existing = nearest(folder)
    if not existing.is_dir():
        return Finding(
            f"{name} writable", Grade.FAIL, f"{existing} is a file", f"set {name} to a folder, or move the file"
        )
    return grade(
        f"{name} writable",
        str(folder) if existing == folder else f"{folder} (will be made in {existing})",
        when=not os.access(existing, os.W_OK | os.X_OK),
        grade=Grade.FAIL,
        next_step=f"give this user the right to write to {existing}, or set {name}",
    )


def _check_room(name: str, folder: Path, min_free_bytes: int) -> Finding:
    free_bytes = LocalFiles().free_bytes(str(nearest_folder(folder)))
    return grade(
        f"{name} room",
        f"{free_bytes / 2**30:.1f} GiB free",
        when=free_bytes < min_free_bytes,
        grade=Grade.FAIL,
        next_step=f"free space: intake pauses below disk.min_free_bytes = {min_free_bytes}",
    )


def _check_file_system(folder: Path) -> Finding:
    kind = filesystem_kind(str(folder))
    return grade(
        "state_dir file system",
        f"{kind.name} {kind.warning}".strip(),
        when=bool(kind.warning),
        next_step="put state_dir on a local disk that outlives the container and the machine's memory",
    )


def _check_sync(folder: Path, clock: Clock) -> Finding:
    """Time of one append plus fdatasync, the step every ack waits for."""
    existing = nearest_folder(folder)
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding("fdatasync", Grade.FAIL, "not measured", f"cannot write to {existing}")
    times_ms: list[float] = []
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=existing) as place:
        file = LocalFiles().create(f"{place}/probe")
        try:
            start_s = clock.monotonic_s()
            while len(times_ms) < _SYNCS and clock.monotonic_s() - start_s < _SYNC_TIME_MAX_S:
                before_s = clock.monotonic_s()
                file.write([bytes(_SYNC_BYTES)])
                file.sync()
                times_ms.append((clock.monotonic_s() - before_s) * 1000)
        finally:
            file.close()
    p50_ms, p99_ms = percentile(times_ms, 0.5), percentile(times_ms, 0.99)
    return grade(
        "fdatasync",
        f"p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms ({len(times_ms)} syncs of {_SYNC_BYTES} bytes)",
        when=p99_ms > _SYNC_P99_MAX_MS,
        next_step="acks wait for this disk: take a faster one, or raise wal.sync_interval_ms so that more share a sync",
    )
