"""Snapshots of runs: enough to repeat one, and to prove that the data are still those it saw."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ticklake.base.clock import Clock, SystemClock
from ticklake.catalog.artifact_ref import ArtifactRef, hash_file
from ticklake.catalog.artifacts import FOLDER, ArtifactStore
from ticklake.catalog.environment import read_code_version, read_environment
from ticklake.catalog.inputs import fix_input
from ticklake.files.atomic import inside, safe_name
from ticklake.files.documents import decode_document
from ticklake.files.errors import NotStoredError, UnreadableError
from ticklake.files.place import place_in

KIND: Final = "run_snapshot"
_KEYS: Final = ("run_id", "setup_id", "rule_version", "data_hash", "inputs", "git_commit_hash", "env", "timestamp")

PathText = str | os.PathLike[str]


class RunProvenance:
    """Snapshots below `{root}/catalog/artifacts/run_snapshot`, one per run."""

    def __init__(self, root: PathText, *, clock: Clock | None = None) -> None:
        """Use the snapshots of a data root."""
        self._clock = clock or SystemClock()
        self._store = ArtifactStore(root, clock=self._clock)

    def create_snapshot(
        self,
        run_id: str,
        setup_id: str,
        rule_version: str,
        data_path: PathText | Iterable[PathText] | None = None,
        data_range: Any = None,
        meta: Mapping[str, Any] | None = None,
        *,
        code_folder: PathText = ".",
    ) -> ArtifactRef:
        """Fix what a run sees. One snapshot per run: a second one is refused.

        Args:
            run_id: whose snapshot.
            setup_id: which setup.
            rule_version: which version of its rules.
            data_path: file, folder, or several of them; hashed now.
            data_range: which part of the data, as the run understands it.
            meta: whatever else to keep.
            code_folder: whose git commit to record.

        Raises:
            AlreadyStoredError: the run has a snapshot.
            NotStoredError: the data do not exist.
        """
        paths = [data_path] if isinstance(data_path, str | os.PathLike) else list(data_path or ())
        stamp = datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC)
        inputs = [fix_input(self._store.root, path) for path in paths]
        code = read_code_version(Path(code_folder))
        snapshot = {
            "run_id": run_id, "setup_id": setup_id, "rule_version": rule_version,
            "data_hash": inputs[0].sha256 if inputs else "none", "inputs": [asdict(item) for item in inputs],
            "data_range": data_range, "git_commit_hash": code.commit, "git_dirty": code.dirty,
            "env": read_environment(), "timestamp": stamp.isoformat(), "meta": dict(meta or {}),
        }  # fmt: skip
        details = {"run_id": run_id, "setup_id": setup_id, "rule_version": rule_version}
        return self._store.save_json(snapshot, KIND, _filename(run_id), overwrite=False, meta=details)

    def load_snapshot(self, run_id: str) -> dict[str, Any]:
        """The snapshot of a run.

        Raises:
            NotStoredError: it has none (a FileNotFoundError).
            UnreadableError: it is damaged.
        """
        path = inside(self._store.root, FOLDER, KIND, safe_name(_filename(run_id)))
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise NotStoredError(f"run {run_id!r} has no snapshot; create one when it starts", path=path) from error
        snapshot = decode_document(content, path=str(path))
        if not isinstance(snapshot, dict) or any(key not in snapshot for key in _KEYS) or snapshot["run_id"] != run_id:
            raise UnreadableError(f"{path} is no snapshot of run {run_id!r}; restore it", path=path)
        return snapshot

    def verify_data_hash(self, run_id: str, file_path: PathText) -> bool:
        """Whether a file is, byte for byte, one that the run saw. False also when it is gone, or no data were fixed.

        Raises:
            NotStoredError: the run has no snapshot.
        """
        known = {item["sha256"] for item in self.load_snapshot(run_id)["inputs"]}
        place = place_in(self._store.root, file_path)
        try:
            return (fix_input(self._store.root, file_path).sha256 if place.is_dir() else hash_file(place)) in known
        except FileNotFoundError:
            return False

    def changed_inputs(self, run_id: str) -> list[str]:
        """The inputs of a run that are gone or no longer what they were; empty when it can be repeated."""
        changed = []
        for item in self.load_snapshot(run_id)["inputs"]:
            try:
                now = fix_input(self._store.root, item["path"]).sha256
            except NotStoredError:
                now = None
            if now != item["sha256"]:
                changed.append(item["path"])
        return changed


def _filename(run_id: str) -> str:
    return f"{safe_name(run_id)}.json"
