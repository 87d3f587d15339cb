"""The run registry: start, show life, end; find runs by what they ran; notice those that died."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import UsageError
from ticklake.catalog.artifact_ref import ArtifactRef
from ticklake.catalog.document_folder import Document, DocumentFolder
from ticklake.catalog.environment import ProcessMark, read_code_version, read_environment
from ticklake.catalog.inputs import fix_input
from ticklake.catalog.run_record import RunInput, RunRecord, RunStatus, is_crashed
from ticklake.files.atomic import remove, replace, safe_name
from ticklake.files.errors import ConflictError, NotStoredError, UnreadableError
from ticklake.files.place import place_of
from ticklake.files.side_by_side import run_for

FORM: Final = "ticklake.run/1"
HEARTBEAT_TIMEOUT_S: Final = 300.0  # a run on another machine that is silent so long counts as crashed
_FIELDS: Final = (
    "kind", "status", "started_at", "ended_at", "setup_id", "rule_version", "parent", "host", "pid",
    "process_started_ms", "heartbeat_ns",
)  # fmt: skip
_ENDS: Final = frozenset({RunStatus.FINISHED, RunStatus.FAILED, RunStatus.CRASHED})


class RunRegistry:
    """Runs by id below `{root}/catalog/runs`. Any number of processes may use one registry; no update is lost."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        heartbeat_timeout_s: float = HEARTBEAT_TIMEOUT_S,
    ) -> None:
        """Use the registry of a data root, made with the first run.

        Args:
            root: the data root.
            clock: stamps starts, signs of life and ends.
            heartbeat_timeout_s: how long a run on another machine may be silent before it counts as crashed.
        """
        self.root = place_of(root)
        self._clock = clock or SystemClock()
        self._timeout_s = heartbeat_timeout_s
        self._folder = DocumentFolder(self.root / "catalog/runs", form=FORM, fields=_FIELDS, clock=self._clock)
        self._beats = self.root / "catalog/heartbeats"

    def register_run(
        self,
        kind: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        inputs: Iterable[str | os.PathLike[str] | RunInput] = (),
        setup_id: str | None = None,
        rule_version: str | None = None,
        parent: str | None = None,
        run_id: str | None = None,
        code_folder: str | os.PathLike[str] = ".",
    ) -> str:
        """Record that a run starts in this process; gives its id.

        Args:
            kind: what runs, such as `backtest`.
            parameters: what it was told; types as in `files.documents`.
            inputs: files and folders it reads, hashed now; or inputs that were hashed before.
            setup_id: which setup.
            rule_version: which version of its rules.
            parent: id of the run that starts this one.
            run_id: an id of your own; made from kind, time and chance when None.
            code_folder: whose git commit to record.

        Raises:
            AlreadyStoredError: the id is taken.
            NotStoredError: an input, or the parent run, does not exist.
            UsageError: a parameter of a type that cannot be kept, or an empty kind.
        """
        if not kind or run_id == "":
            raise UsageError("a run needs a kind, and an id that is not empty")
        if parent is not None and not self._folder.has(parent):
            raise NotStoredError(f"parent run {parent!r} is not registered; register it first")
        now_ns = self._clock.wall_ns()
        mark, code = ProcessMark.of_this_process(), read_code_version(Path(code_folder))
        run_id = run_id or f"{kind}-{_time(now_ns):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        record = RunRecord(
            run_id=run_id, kind=kind, status=RunStatus.RUNNING, started_at=_time(now_ns).isoformat(), host=mark.host,
            pid=mark.pid, process_started_ms=mark.started_ms, heartbeat_ns=now_ns, parameters=dict(parameters or {}),
            inputs=tuple(item if isinstance(item, RunInput) else fix_input(self.root, item) for item in inputs),
            commit=code.commit, dirty=code.dirty, environment=read_environment(), parent=parent, setup_id=setup_id,
            rule_version=rule_version,
        )  # fmt: skip
        self._folder.create(run_id, _body(record))
        return run_id

    @contextmanager
    def run(self, kind: str, **details: Any) -> Iterator[str]:
        """Register a run, finish it when the block ends, fail it when the block raises; see `register_run`."""
        run_id = self.register_run(kind, **details)
        try:
            yield run_id
        except BaseException as error:
            self.fail(run_id, f"{type(error).__name__}: {error}")
            raise
        self.finish(run_id)

    def heartbeat(self, run_id: str) -> None:
        """Show that a run lives; needed only for runs that are watched from another machine.

        Raises:
            NotStoredError: no such run.
        """
        if not self._folder.has(run_id):
            raise _unknown(run_id)
        replace(self._beats / safe_name(run_id), f"{self._clock.wall_ns()}\n".encode())

    def finish(self, run_id: str, outcome: Mapping[str, Any] | None = None) -> RunRecord:
        """Record that a run came to its end.

        Raises:
            NotStoredError: no such run.
            ConflictError: it has ended already, another way.
        """
        return self._end(run_id, RunStatus.FINISHED, {"outcome": dict(outcome or {})})

    def fail(self, run_id: str, error: str | BaseException) -> RunRecord:
        """Record that a run gave up, and why. Raises as `finish`."""
        text = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else error
        return self._end(run_id, RunStatus.FAILED, {"error": text})

    def attach_artifact(self, run_id: str, ref: ArtifactRef) -> RunRecord:
        """Record that a run saved an artifact. Attaching one twice changes nothing. Raises NotStoredError."""

        def edit(old: Document) -> Document:
            kept = [item for item in old["artifacts"] if item["id"] != ref.id or item["path"] != ref.path]
            return {**old, "artifacts": [*kept, ref.to_dict()]}

        return self._change(run_id, edit)

    def attach_dataset(self, run_id: str, name: str) -> RunRecord:
        """Record that a run made a dataset of the registry. Raises NotStoredError."""
        return self._change(run_id, lambda old: {**old, "datasets": sorted({*old["datasets"], name})})

    def get_run(self, run_id: str) -> RunRecord:
        """The record of a run; a run that died shows as crashed.

        Raises:
            NotStoredError: no such run.
        """
        try:
            return self._record(self._folder.get(run_id))
        except NotStoredError as error:
            raise _unknown(run_id) from error

    def find_runs(
        self,
        *,
        kind: str | None = None,
        status: RunStatus | str | None = None,
        setup_id: str | None = None,
        rule_version: str | None = None,
        parent: str | None = None,
        limit: int | None = None,
    ) -> list[RunRecord]:
        """The runs that match everything given, newest first.

        Raises:
            UsageError: no such status.
        """
        if status is not None and status not in list(RunStatus):
            raise UsageError(f"no status {status!r}; choose one of {', '.join(RunStatus)}")
        wanted = {"kind": kind, "setup_id": setup_id, "rule_version": rule_version, "parent": parent}
        rows = [row for row in self._folder.rows() if all(row[key] == value for key, value in wanted.items() if value)]
        if status is not None:
            rows = [row for row in rows if self._status(row) == status]
        rows.sort(key=lambda row: (row["started_at"], row["key"]), reverse=True)
        found = run_for(self.root)(self._found, [row["key"] for row in rows[:limit]])
        return [run for run in found if run is not None]

    def mark_crashed(self) -> list[str]:
        """Write down which runs died without saying so; gives their ids."""
        dead = [row["key"] for row in self._folder.rows() if row["status"] == RunStatus.RUNNING and self._is_dead(row)]
        for run_id in dead:
            self._end(run_id, RunStatus.CRASHED, {"error": "the process ended without a word"})
        return dead

    def _found(self, run_id: str) -> RunRecord | None:
        """The record, None when retention removed it since it was listed."""
        try:
            return self.get_run(run_id)
        except NotStoredError:
            return None

    def _end(self, run_id: str, status: RunStatus, details: Mapping[str, Any]) -> RunRecord:
        def edit(old: Document) -> Document:
            if old["status"] in _ENDS and old["status"] != status:
                raise ConflictError(
                    f"run {run_id!r} is {old['status']} already; start a new run instead of changing it"
                )
            ended = _time(self._clock.wall_ns()).isoformat()
            return {**old, **details, "status": status.value, "ended_at": ended, "heartbeat_ns": self._beat_ns(old)}

        record = self._change(run_id, edit)
        remove(self._beats / safe_name(run_id))
        return record

    def _change(self, run_id: str, edit: Any) -> RunRecord:
        try:
            return self._record(self._folder.change(run_id, edit))
        except NotStoredError as error:
            raise _unknown(run_id) from error

    def _record(self, document: Document) -> RunRecord:
        values = {key: value for key, value in document.items() if key not in ("format", "key")}
        return RunRecord(**{
            **values,
            "status": self._status(document),
            "heartbeat_ns": self._beat_ns(document),
            "inputs": tuple(RunInput(**item) for item in values["inputs"]),
            "artifacts": tuple(ArtifactRef.from_dict(item) for item in values["artifacts"]),
            "datasets": tuple(values["datasets"]),
        })  # fmt: skip

    def _status(self, row: Mapping[str, Any]) -> RunStatus:
        written = RunStatus(row["status"])
        return RunStatus.CRASHED if written is RunStatus.RUNNING and self._is_dead(row) else written

    def _is_dead(self, row: Mapping[str, Any]) -> bool:
        mark = ProcessMark(row["host"], row["pid"], row["process_started_ms"])
        age_s = (self._clock.wall_ns() - self._beat_ns(row)) / 1e9
        return is_crashed(alive=mark.is_alive(), heartbeat_age_s=age_s, timeout_s=self._timeout_s)

    def _beat_ns(self, row: Mapping[str, Any]) -> int:
        if row["status"] in _ENDS:
            return int(row["heartbeat_ns"])  # its end holds the last one
        path = self._beats / safe_name(row["key"])
        try:
            return max(int(row["heartbeat_ns"]), int(path.read_bytes()))
        except FileNotFoundError:
            return int(row["heartbeat_ns"])
        except ValueError as error:
            raise UnreadableError(f"{path} holds no time; remove it, the run shows life again", path=path) from error


def _body(record: RunRecord) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in RunRecord.__slots__}
    values["status"] = record.status.value
    values["inputs"] = [asdict(item) for item in record.inputs]
    values["artifacts"] = [item.to_dict() for item in record.artifacts]
    values["datasets"] = list(record.datasets)
    return values


def _time(wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns / 1e9, UTC)


def _unknown(run_id: str) -> NotStoredError:
    return NotStoredError(f"run {run_id!r} is not registered; see `ticklake runs ls`")
