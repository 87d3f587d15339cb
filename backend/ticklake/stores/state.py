"""Strategy state: every version a document of its own, so that a writer can see whether somebody came first.

    {folder}/value_strategy/00000042.json

The current state is the highest version. A version is created, never replaced, so two writers of one version cannot
both succeed; who names the version he read (`expected_version`) is told when it is no longer the current one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ticklake.base.clock import Clock
from ticklake.base.errors import RejectedError, UsageError
from ticklake.files.atomic import remove, write_new
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.errors import AlreadyStoredError, ConflictError, UnreadableError
from ticklake.files.names import safe_name
from ticklake.files.place import Place
from ticklake.files.trees import list_folders, list_names
from ticklake.stores.spans import from_ns

VERSIONS_KEPT: Final = 100
"""A strategy that saves once a minute can look back over an hour and a half."""

_VERSION_FILE: Final = re.compile(r"\d{8,}\.json")


@dataclass(frozen=True, slots=True)
class StateVersion:
    """One saved state.

    Attributes:
        strategy_name: whose it is.
        version: counts from 1.
        saved_at: when, aware, UTC.
        state: what was saved, with its types.
        schema: the writer's word for the form of `state`; None when it gave none.
    """

    strategy_name: str
    version: int
    saved_at: datetime
    state: dict[str, Any]
    schema: str | None = None


class StateConflictError(ConflictError):
    """Somebody else saved first. Load again, decide again, save with the new version; nothing was written.

    Attributes:
        strategy_name: whose state.
        expected: the version the caller read; 0 for none.
        current: the version there is.
    """

    def __init__(self, strategy_name: str, *, expected: int, current: int) -> None:
        super().__init__(
            f"state of {strategy_name!r} is at version {current}, not {expected}; load it again, then save"
        )
        self.strategy_name = strategy_name
        self.expected = expected
        self.current = current


class FileState:
    """States below one folder. Safe between threads and processes."""

    def __init__(self, folder: Place, *, clock: Clock, versions_kept: int = VERSIONS_KEPT) -> None:
        self._folder = folder
        self._clock = clock
        self._kept = versions_kept

    def save_strategy_state(
        self,
        strategy_name: str,
        state: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        schema: str | None = None,
    ) -> int:
        """Save a state as the next version, and give its number.

        Args:
            strategy_name: whose it is.
            state: what `files.documents` can encode; comes back with its types.
            expected_version: the version that must be the current one, 0 for none yet; None to save in any case.
            schema: a word for the form of the state.

        Raises:
            StateConflictError: `expected_version` is not current.
            RejectedError: the state is no mapping.
            UsageError: it holds a value that no document can keep.
        """
        content = checked_state(strategy_name, state)
        folder = self._folder / safe_name(strategy_name)
        saved_at = from_ns(self._clock.wall_ns())
        while True:
            current = max(_versions(folder), default=0)
            if expected_version not in (None, current):
                raise StateConflictError(strategy_name, expected=expected_version or 0, current=current)
            document = encode_state(StateVersion(strategy_name, current + 1, saved_at, content, schema))
            try:
                write_new(_file(folder, current + 1), document)
            except AlreadyStoredError:
                continue  # somebody took the number: look again, which ends in a conflict if one was asked for
            self._forget_old(folder, current + 1)
            return current + 1

    def load_strategy_state(self, strategy_name: str) -> dict[str, Any] | None:
        """The current state; None when none was ever saved."""
        found = self.read_strategy_state(strategy_name)
        return None if found is None else found.state

    def read_strategy_state(self, strategy_name: str, *, version: int | None = None) -> StateVersion | None:
        """A version with its number and time, the current one by default; None when there is none such.

        Raises:
            UnreadableError: the document is damaged; the text names it.
        """
        folder = self._folder / safe_name(strategy_name)
        while True:
            wanted = max(_versions(folder), default=0) if version is None else version
            path = _file(folder, wanted)
            try:
                return decode_state(path.read_bytes(), path=str(path))
            except FileNotFoundError:
                if version is not None or wanted == 0:
                    return None  # else it was the current one, and so many were saved since that it is forgotten

    def list_state_versions(self, strategy_name: str) -> list[int]:
        """The versions kept, oldest first."""
        return sorted(_versions(self._folder / safe_name(strategy_name)))

    def delete_old_states(self, strategy_name: str, keep_count: int = 10) -> int:
        """Remove all but the newest `keep_count` versions; how many.

        Raises:
            UsageError: fewer than one would stay: the current state is not deleted.
        """
        check_keep_count(keep_count)
        folder = self._folder / safe_name(strategy_name)
        old = self.list_state_versions(strategy_name)[:-keep_count]
        return sum(remove(_file(folder, version)) for version in old)

    def list_strategies(self) -> list[str]:
        """Names of all strategies with a state, sorted."""
        names = []
        for folder in list_folders(self._folder):
            newest = max(_versions(folder), default=0)
            if newest:
                path = _file(folder, newest)
                names.append(decode_state(path.read_bytes(), path=str(path)).strategy_name)
        return sorted(names)

    def _forget_old(self, folder: Place, current: int) -> None:
        for version in list(_versions(folder)):
            if version <= current - self._kept:
                remove(_file(folder, version))


def checked_state(strategy_name: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """The state as a dict of its own.

    Raises:
        RejectedError: it is no mapping.
    """
    if not isinstance(state, Mapping):
        raise RejectedError(f"state of {strategy_name!r} is a {type(state).__name__}; give a mapping")
    return dict(state)


def check_keep_count(keep_count: int) -> None:
    """Raises UsageError when the current state would go too."""
    if keep_count < 1:
        raise UsageError(f"keep_count is {keep_count}; keep 1 or more: the current state is not deleted")


def encode_state(saved: StateVersion) -> bytes:
    """The document of a version."""
    return encode_document(
        {
            "strategy_name": saved.strategy_name,
            "version": saved.version,
            "saved_at": saved.saved_at,
            "schema": saved.schema,
            "state": saved.state,
        }
    )


def decode_state(content: bytes, *, path: str) -> StateVersion:
    """The version of a document.

    Raises:
        UnreadableError: it is none.
    """
    fields = decode_document(content, path=path)
    try:
        return StateVersion(
            fields["strategy_name"], fields["version"], fields["saved_at"], fields["state"], fields["schema"]
        )
    except (KeyError, TypeError) as error:
        raise UnreadableError(f"{path}: no strategy state ({error}); restore it from a copy", path=path) from error


def _versions(folder: Place) -> Iterator[int]:
    for name in list_names(folder):
        if _VERSION_FILE.fullmatch(name):
            yield int(name.partition(".")[0])


def _file(folder: Place, version: int) -> Place:
    return folder / f"{version:08d}.json"
