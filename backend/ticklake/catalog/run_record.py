"""What is known about one run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ticklake.catalog.artifact_ref import ArtifactRef


class RunStatus(StrEnum):
    """How far a run came. `crashed` is found out by looking, unless it was written down."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class RunInput:
    """A file or folder that a run read, as it was then.

    Attributes:
        path: as given; relative to the data root when it lies below it.
        files: 1, or the Parquet and other files below a folder.
        bytes: of all files.
        sha256: of the file; for a folder of the names and hashes of its files.
    """

    path: str
    files: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One execution.

    Attributes:
        run_id: unique.
        kind: such as `backtest`, `silver_build`, `promotion`.
        status: see `RunStatus`.
        started_at: UTC, ISO text.
        ended_at: the same; None while it runs.
        heartbeat_ns: last sign of life, UTC ns.
        parameters: what it was told.
        inputs: what it read.
        commit: of the code; None outside git.
        dirty: whether the code differed from the commit.
        environment: Python, machine, libraries.
        parent: run that started it.
        setup_id: which setup it ran.
        rule_version: which version of its rules.
        artifacts: what it saved.
        datasets: names of the datasets it made.
        outcome: what it reported at its end.
        error: why it failed.
        host: where it runs.
        pid: as which process.
        process_started_ms: tells the process from a later one with the same number.
        revision: counts the changes of this record.
    """

    run_id: str
    kind: str
    status: RunStatus
    started_at: str
    host: str
    pid: int
    process_started_ms: int
    heartbeat_ns: int
    ended_at: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[RunInput, ...] = ()
    commit: str | None = None
    dirty: bool | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    parent: str | None = None
    setup_id: str | None = None
    rule_version: str | None = None
    artifacts: tuple[ArtifactRef, ...] = ()
    datasets: tuple[str, ...] = ()
    outcome: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    revision: int = 1


def is_crashed(*, alive: bool | None, heartbeat_age_s: float, timeout_s: float) -> bool:
    """Whether a run that says `running` has come to an end without saying so.

    Args:
        alive: whether its process runs; None when that cannot be known from here.
        heartbeat_age_s: since its last sign of life.
        timeout_s: how long a run on another machine may be silent.
    """
    return heartbeat_age_s > timeout_s if alive is None else not alive
