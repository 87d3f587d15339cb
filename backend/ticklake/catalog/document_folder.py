"""A folder of JSON documents, one file per key, with an index that is rebuilt whenever it is missing or stale.

The documents are the truth. Writers take the folder's lock, so that no update is lost; readers take none. The index
holds a few fields of every document, so that listing ten thousand of them opens one file. It is trusted only while the
folder has the modification time it had when the index was made; every write here renames or unlinks, which changes that
time. A document that was edited in place without a rename is noticed only after `rebuild`. In a bucket there is no such
time: there the documents are listed each time, and those that the listing shows to be others are read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ticklake.base.clock import Clock, SystemClock
from ticklake.catalog.folder_index import FolderIndex
from ticklake.catalog.folder_scan import SUFFIX, fresh_index
from ticklake.files.atomic import locked, remove, replace, safe_name
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.errors import AlreadyStoredError, ConflictError, NotStoredError, UnreadableError
from ticklake.files.object_answer import Answer, StoreUnavailableError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place

Document = dict[str, Any]


class DocumentFolder:
    """Documents by key. Any number of threads and processes may use one folder."""

    def __init__(self, folder: Place, *, form: str, fields: Sequence[str], clock: Clock | None = None) -> None:
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

    def _path(self, key: str) -> Place:
        return self.folder / f"{safe_name(key)}{SUFFIX}"

    def _lock(self) -> Any:
        return locked(self.folder)

    def _write(self, key: str, body: Mapping[str, Any], *, revision: int) -> Document:
        document = {**body, "format": self._form, "key": key, "revision": revision}
        replace(self._path(key), encode_document(document, sort_keys=True))
        return document

    def _read(self, path: Place) -> Document:
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise NotStoredError(f"{path.stem} is not in {self.folder}; see what is there", path=path) from error
        document = decode_document(content, path=str(path))
        if not isinstance(document, dict) or document.get("format") != self._form or "key" not in document:
            raise UnreadableError(f"{path} is no {self._form} document; move it away, or restore it", path=path)
        return document

    def _fresh_index(self) -> FolderIndex:
        old = self._index or self._load_index()
        index = fresh_index(self.folder, old, self._fields, self._indexed, now_ns=self._clock.wall_ns())
        if index is None:
            return FolderIndex.of_rows(self._fields, {}, folder_mtime_ns=0, made_ns=0)
        if index is not old:
            self._store_index(index)
        self._index = index
        return index

    def _indexed(self, path: Place) -> list[Any]:
        document = self._read(path)
        return [document.get(name) for name in self._fields]

    def _store_index(self, index: FolderIndex) -> None:
        """Keep it for others; who may only read does without."""
        if isinstance(self._index_path, ObjectPath):
            try:
                replace(self._index_path, index.encode())
            except StoreUnavailableError as error:
                if error.reason is not Answer.DENIED:
                    raise
        elif os.access(self._index_path.parent, os.W_OK):
            replace(self._index_path, index.encode())

    def _load_index(self) -> FolderIndex | None:
        """The stored index, None when there is none of our form: it is made again, so nothing is lost with it."""
        try:
            return FolderIndex.decode(self._index_path.read_bytes(), self._fields)
        except FileNotFoundError:
            return None
