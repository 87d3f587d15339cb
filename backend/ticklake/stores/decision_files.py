"""Decisions on disk, and their earlier revisions. The truth; the index only knows where to look.

    {folder}/{date}_{id}.json          the current revision
    {folder}/history/{id}.jsonl        earlier revisions, one per line, oldest first; of a deleted decision all of them
    {folder}/links/{kind}_{id}.json    orders, fills and outcomes (`decision_links`)

An update appends the current revision to the history and then replaces the file: a crash in between leaves a line that
says what the file says, and readers count a revision once. The date in a file's name is that of the first save and
stays; what counts is the timestamp in the document. Folders written by other programs under the same naming are read as
they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ticklake.base.errors import UsageError
from ticklake.files.atomic import append_line, read_lines, remove, remove_lines, replace, write_new
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.errors import AlreadyStoredError, UnreadableError
from ticklake.files.local import LocalFiles
from ticklake.files.names import safe_name
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.files.side_by_side import side_by_side
from ticklake.files.trees import list_names
from ticklake.stores.decision_ids import normalize_decision_id
from ticklake.stores.decision_record import REVISION, Record, normalize_decision_record
from ticklake.stores.decision_time import date_text

SUFFIX: Final = ".json"
HISTORY: Final = "history"
_NAME_DATE: Final = slice(0, 10)


class DecisionFiles:
    """The documents of one folder. Not locked: the caller holds the lock of the folder while it writes."""

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self._history = folder / HISTORY

    def new_name(self, decision_id: str, *, decision_ns: int) -> str:
        """The file name of a decision that has none yet."""
        return f"{date_text(decision_ns)}_{safe_name(decision_id)}{SUFFIX}"

    def read(self, name: str) -> Record:
        """The current revision in a file.

        Raises:
            FileNotFoundError: there is no such file.
            UnreadableError: it holds no decision.
        """
        path = self.folder / name
        value = decode_document(path.read_bytes(), path=str(path))
        if normalize_decision_id(value) is None or not isinstance(value, dict):
            raise UnreadableError(f"{path}: no decision with an id; move it out of the folder or repair it", path=path)
        if value.get("timestamp") is None:  # as older programs wrote them
            value["timestamp"] = _time_without_timestamp(path)
        try:
            record = normalize_decision_record(value, now_ns=0)
        except UsageError as error:
            raise UnreadableError(f"{path}: {error}", path=path) from error
        record.setdefault(REVISION, 1)
        return record

    def create(self, name: str, content: bytes) -> None:
        """Write the document of a decision that has none.

        Raises:
            UnreadableError: a file that we cannot read has that name.
        """
        path = self.folder / name
        try:
            write_new(path, content)
        except AlreadyStoredError as error:
            raise UnreadableError(
                f"{path} exists and holds no decision that we can read; move it away, then save again", path=path
            ) from error

    def revise(self, name: str, content: bytes, *, previous: Record) -> None:
        """Copy the previous revision to the history, then write the new one in its place."""
        self.remember(previous)
        replace(self.folder / name, content)

    def remember(self, record: Record) -> None:
        """Append a revision to the history."""
        append_line(self._history_path(record["id"]), encode_document(record, indent=None))

    def remove(self, names: Iterable[str]) -> None:
        """Remove documents; their histories stay."""
        _remove_all(self.folder, names)

    def forget_histories(self, decision_ids: Iterable[str]) -> None:
        """Remove the histories of decisions."""
        self._remove_histories([self._history_path(decision_id).name for decision_id in decision_ids])

    def wipe(self) -> list[str]:
        """Remove all documents, readable or not, and all histories. Gives the names of the documents."""
        names = [name for name in list_names(self.folder) if is_decision_file(name)]
        self.remove(names)
        self._remove_histories(list_names(self._history))
        return names

    def history(self, decision_id: str) -> list[Record]:
        """What is in the history of a decision, each revision once, oldest first.

        Raises:
            UnreadableError: a line is none of ours.
        """
        path = self._history_path(decision_id)
        try:
            content = read_lines(path)
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]  # what follows was never confirmed to anybody
        found: dict[tuple[int, bool], Record] = {}
        for number, line in enumerate(whole.splitlines(), start=1):
            record = decode_document(line, path=f"{path}:{number}")
            if not isinstance(record, dict):
                raise UnreadableError(f"{path}:{number}: no decision; restore the file", path=path)
            found[(int(record.get(REVISION, 0)), bool(record.get("_deleted")))] = record
        return list(found.values())

    def last_revision(self, decision_id: str) -> int:
        """The newest revision in the history; 0 when there is none."""
        return max((int(record.get(REVISION, 0)) for record in self.history(decision_id)), default=0)

    def _remove_histories(self, names: Iterable[str]) -> None:
        if isinstance(self._history, ObjectPath):
            for name in names:
                remove_lines(self._history / name)
        else:
            _remove_all(self._history, names)

    def _history_path(self, decision_id: str) -> Place:
        return self._history / f"{safe_name(decision_id)}.jsonl"


def is_decision_file(name: str) -> bool:
    """Whether a name in the folder is that of a decision (not hidden, not a temporary file)."""
    return name.endswith(SUFFIX) and not name.startswith(".")


def _remove_all(folder: Place, names: Iterable[str]) -> None:
    """Unlink what is there, then sync the folder once."""
    if isinstance(folder, ObjectPath):
        side_by_side(lambda name: remove(folder / name), names)
        return
    files, count = LocalFiles(), 0
    for name in names:
        try:
            files.unlink(str(folder / name))
        except FileNotFoundError:
            continue  # somebody removed it by hand
        count += 1
    if count:
        files.sync_folder(str(folder))


def _time_without_timestamp(path: Place) -> Any:
    """The date in the file's name, else when the file was written (seconds)."""
    text = path.name[_NAME_DATE]
    try:
        normalize_decision_record({"id": "any", "timestamp": text}, now_ns=0)
    except UsageError:
        return path.stat().st_mtime
    return text
