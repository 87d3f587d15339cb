"""The index of a document folder: a few fields of every document, kept in columns so that a listing reads only its own.

What is not asked for is not decoded: listing ten thousand names of a registry costs a few milliseconds, not the forty
that ten thousand small objects cost. The index may be deleted at any time; it is made again from the documents.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

FORMAT: Final = "ticklake.index/2"
RACY_NS: Final = 2_000_000_000  # coarsest time stamp of a file system in use: within it two writes may look like one


class Row(msgspec.Struct, array_like=True, frozen=True):
    """One document: how its file looked (in a bucket, `inode` is the store's mark), and the indexed fields as JSON."""

    size: int
    mtime_ns: int
    inode: int
    fields: list[Any]


class _Stored(msgspec.Struct):
    format: str
    fields: list[str]
    folder_mtime_ns: int
    made_ns: int
    files: msgspec.Raw
    columns: list[msgspec.Raw]


@dataclass(slots=True)
class FolderIndex:
    """The documents of one folder in order of their keys.

    Attributes:
        fields: names of the columns.
        folder_mtime_ns: modification time of the folder that the index belongs to.
        made_ns: wall clock just before the folder was looked at, UTC ns.
    """

    fields: tuple[str, ...]
    folder_mtime_ns: int
    made_ns: int
    _files: msgspec.Raw
    _columns: list[msgspec.Raw]
    _decoded: dict[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def of_rows(
        cls, fields: Sequence[str], rows: Mapping[str, Row], *, folder_mtime_ns: int, made_ns: int
    ) -> FolderIndex:
        """An index of file name -> row, in the order given."""
        files = [(name, row.size, row.mtime_ns, row.inode) for name, row in rows.items()]
        columns = [[row.fields[place] for row in rows.values()] for place in range(len(fields))]
        raw = [msgspec.Raw(msgspec.json.encode(column)) for column in columns]
        return cls(tuple(fields), folder_mtime_ns, made_ns, msgspec.Raw(msgspec.json.encode(files)), raw)

    @classmethod
    def decode(cls, content: bytes, fields: Sequence[str]) -> FolderIndex | None:
        """The stored index; None when it is none of these fields in this format."""
        try:
            stored = msgspec.json.decode(content, type=_Stored)
        except msgspec.MsgspecError:
            return None
        if (stored.format, stored.fields) != (FORMAT, list(fields)) or len(stored.columns) != len(fields):
            return None
        return cls(tuple(fields), stored.folder_mtime_ns, stored.made_ns, stored.files, stored.columns)

    def encode(self) -> bytes:
        """For the file."""
        return msgspec.json.encode(
            _Stored(FORMAT, list(self.fields), self.folder_mtime_ns, self.made_ns, self._files, self._columns)
        )

    def column(self, name: str) -> list[Any]:
        """The values of one field, in order of keys."""
        if name not in self._decoded:
            self._decoded[name] = msgspec.json.decode(self._columns[self.fields.index(name)], type=list[Any])
        return self._decoded[name]

    def rows(self) -> dict[str, Row]:
        """File name -> row, in order of keys."""
        files = msgspec.json.decode(self._files, type=list[tuple[str, int, int, int]])
        values = zip(*(self.column(name) for name in self.fields), strict=True)
        return {
            name: Row(size, mtime_ns, inode, list(cells))
            for (name, size, mtime_ns, inode), cells in zip(files, values, strict=True)
        }

    def is_current(self, folder_mtime_ns: int) -> bool:
        """Whether no name in the folder can have changed since."""
        settled = self.made_ns - folder_mtime_ns > RACY_NS
        return self.folder_mtime_ns == folder_mtime_ns and settled

    def is_same(self, row: Row, stat: os.stat_result) -> bool:
        """Whether a file is the one that the row was made from."""
        settled = self.made_ns - row.mtime_ns > RACY_NS
        return settled and (row.size, row.mtime_ns, row.inode) == (stat.st_size, stat.st_mtime_ns, stat.st_ino)
