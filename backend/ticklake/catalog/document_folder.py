"""A folder of JSON documents, one file per key, with an index that is rebuilt whenever it is missing or stale.

The documents are the truth. Writers take the folder's lock, so that no update is lost; readers take none. The index
holds a few fields of every document, so that listing ten thousand of them opens one file. It is trusted only while the
folder has the modification time it had when the index was made; every write here renames or unlinks, which changes that
time. A document that was edited in place without a rename is noticed only after `rebuild`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ticklake.base.clock import Clock, SystemClock
from ticklake.catalog.folder_index import FolderIndex, Row
from ticklake.files.atomic import locked, remove, replace, safe_name
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.errors import AlreadyStoredError, ConflictError, NotStoredError, UnreadableError

Document = dict[str, Any]
_SUFFIX: Final = ".json"


class DocumentFolder:
    """Documents by key. Any number of threads and processes may use one folder."""

    def __init__(self, folder: Path, *, form: str, fields: Sequence[str], clock: Clock | None = None) -> None:
        """Open the folder, which is made with the first document.

        Args:
            folder: where the documents lie; the index lies beside it as `{folder}.index`.
            form: name and version of the documents, such as `ticklake.dataset/1`.
            fields: which fields the index holds; their values must be plain JSON.
            clock: tells how old the index is.
        """
        self.folder = folder
        self._form = form
        self._fields = ("key", *fields)
        self._clock = clock or SystemClock()
        self._index_path = folder.with_name(f"{folder.name}.index")
        self._index: FolderIndex | None = None

    def get(self, key: str) -> Document:
        """The document, a fresh copy.

        Raises:
            NotStoredError: there is none with that key.
            UnreadableError: it is damaged.
        """
        return self._read(self._path(key))

    def has(self, key: str) -> bool:
        """Whether there is a document with that key."""
        return self._path(key).exists()

    def create(self, key: str, body: Mapping[str, Any]) -> Document:
        """Store a document under a new key.

        Raises:
            AlreadyStoredError: the key is taken; the document there is untouched.
        """
        with self._lock():
            if self.has(key):
                raise AlreadyStoredError(
                    f"{key!r} is in {self.folder} already; choose another name", path=self._path(key)
                )
            return self._write(key, body, revision=1)

    def put(self, key: str, body: Mapping[str, Any]) -> Document:
        """Store a document, over an older one."""
        with self._lock():
            revision = self.get(key)["revision"] if self.has(key) else 0
            return self._write(key, body, revision=revision + 1)

    def change(self, key: str, edit: Callable[[Document], Document], *, revision: int | None = None) -> Document:
        """Read, edit and store a document with nobody in between.

        Args:
            key: which one.
            edit: gives the new document; must be quick, others wait.
            revision: refuse when the document is not at this revision.

        Raises:
            NotStoredError: there is none with that key.
            ConflictError: it has another revision; nothing was written.
        """
        with self._lock():
            old = self.get(key)
            if revision is not None and old["revision"] != revision:
                raise ConflictError(
                    f"{key!r} is at revision {old['revision']}, not {revision}: somebody changed it; read it again",
                    path=self._path(key),
                )
            found = old["revision"]
            return self._write(key, edit(old), revision=found + 1)

    def delete(self, key: str) -> bool:
        """Remove a document; whether there was one."""
        with self._lock():
            return remove(self._path(key))

    def rows(self) -> list[dict[str, Any]]:
        """The indexed fields of every document, in order of their keys.

        Raises:
            UnreadableError: a document is damaged; the text names it.
        """
        return [dict(zip(self._fields, values, strict=True)) for values in self.select(self._fields)]

    def select(self, fields: Sequence[str], where: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Some indexed fields of the documents whose indexed fields have these values, in order of their keys.

        Only the fields that are named are decoded. The values are shared: do not change them.
        """
        index = self._fresh_index()
        found = zip(*(index.column(name) for name in fields), strict=True)
        if not where:
            return list(found)
        conditions = zip(*(index.column(name) for name in where), strict=True)
        wanted = tuple(where.values())
        return [values for values, given in zip(found, conditions, strict=True) if given == wanted]

    def keys(self) -> list[str]:
        """Every key, sorted."""
        return [key for (key,) in self.select(("key",))]

    def all(self) -> list[Document]:
        """Every document, in order of keys; those that vanish meanwhile are left out."""
        found = []
        for key in self.keys():
            try:
                found.append(self.get(key))
            except NotStoredError:
                continue
        return found

    def rebuild(self) -> int:
        """Make the index anew from the documents; how many there are."""
        self._index = None
        remove(self._index_path)
        return len(self._fresh_index().column("key"))

    def _path(self, key: str) -> Path:
        return self.folder / f"{safe_name(key)}{_SUFFIX}"

    def _lock(self) -> Any:
        return locked(self.folder)

    def _write(self, key: str, body: Mapping[str, Any], *, revision: int) -> Document:
        document = {**body, "format": self._form, "key": key, "revision": revision}
        replace(self._path(key), encode_document(document, sort_keys=True))
        return document

    def _read(self, path: Path) -> Document:
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise NotStoredError(f"{path.stem} is not in {self.folder}; see what is there", path=path) from error
        document = decode_document(content, path=str(path))
        if not isinstance(document, dict) or document.get("format") != self._form or "key" not in document:
            raise UnreadableError(f"{path} is no {self._form} document; move it away, or restore it", path=path)
        return document

    def _fresh_index(self) -> FolderIndex:
        try:
            folder_mtime_ns = self.folder.stat().st_mtime_ns
        except FileNotFoundError:
            return FolderIndex.of_rows(self._fields, {}, folder_mtime_ns=0, made_ns=0)
        index = self._index or self._load_index()
        if index is None or not index.is_current(folder_mtime_ns):
            index = self._scan(index, folder_mtime_ns)
            if os.access(self._index_path.parent, os.W_OK):
                replace(self._index_path, index.encode())
        self._index = index
        return index

    def _load_index(self) -> FolderIndex | None:
        """The stored index, None when there is none of our form: it is made again, so nothing is lost with it."""
        try:
            return FolderIndex.decode(self._index_path.read_bytes(), self._fields)
        except FileNotFoundError:
            return None

    def _scan(self, old: FolderIndex | None, folder_mtime_ns: int) -> FolderIndex:
        """An index of what is there now; documents whose files look as before are not opened."""
        made_ns = self._clock.wall_ns()  # before looking: what changes meanwhile makes the index stale, never wrong
        known = old.rows() if old is not None else {}
        rows: dict[str, Row] = {}
        with os.scandir(self.folder) as entries:
            names = [entry for entry in entries if entry.name.endswith(_SUFFIX) and not entry.name.startswith(".")]
        for entry in names:
            try:
                stat = entry.stat()
                row = known.get(entry.name)
                if row is None or old is None or not old.is_same(row, stat):
                    document = self._read(Path(entry.path))
                    row = Row(
                        stat.st_size, stat.st_mtime_ns, stat.st_ino, [document.get(name) for name in self._fields]
                    )
            except FileNotFoundError:
                continue
            rows[entry.name] = row
        in_order = dict(sorted(rows.items(), key=lambda item: str(item[1].fields[0])))
        return FolderIndex.of_rows(self._fields, in_order, folder_mtime_ns=folder_mtime_ns, made_ns=made_ns)
