"""A trace of disk calls -> which bytes were never synced, and a disk that forgets them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

_CALL = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\((?P<rest>.*)")
_RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")
_DESCRIPTOR = re.compile(r"\d+<(?P<path>[^>]*)>")
_NAMES = re.compile(r'"([^"]*)"')
_RESULT = re.compile(r"\) += (-?\d+)[^)]*(?:\([^)]*\))?(?: \(INJECTED\))?$")


@dataclass(slots=True)
class WrittenFile:
    """How much of a file was written in the traced run, and how much of it is synced."""

    written_bytes: int = 0
    synced_bytes: int = 0


@dataclass(slots=True)
class DiskTrace:
    """What a traced run did to each file that it created.

    Attributes:
        files: by path.
        failed: calls that failed by injection, in order: name and path.
        linked_unsynced: files that got a second name before all of their bytes were synced.
    """

    files: dict[str, WrittenFile] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)
    linked_unsynced: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> DiskTrace:
        """Replay a trace file of `strace -f -y`."""
        trace, open_calls = cls(), dict[str, str]()
        for line in path.read_text(errors="replace").splitlines():
            if resumed := _RESUMED.match(line):
                trace._finish(resumed["name"], open_calls.pop(resumed["thread"], "") + resumed["rest"])
            elif call := _CALL.match(line):
                if "<unfinished ...>" in line:
                    open_calls[call["thread"]] = call["rest"].partition(" <unfinished")[0]
                else:
                    trace._finish(call["name"], call["rest"])
        return trace

    @staticmethod
    def is_complete(path: Path, pid: int) -> bool:
        """Whether the tracer has written down the end of the process."""
        return re.search(rf"^{pid} +\+\+\+ ", path.read_text(errors="replace"), re.MULTILINE) is not None

    def forget_unsynced(self) -> list[str]:
        """Cut every file to its synced bytes, as a power cut may. Gives the files that lost some."""
        cut = []
        for path, file in self.files.items():
            if file.written_bytes > file.synced_bytes and Path(path).exists():
                os.truncate(path, file.synced_bytes)
                cut.append(path)
        return cut

    def _finish(self, name: str, rest: str) -> None:
        found = _RESULT.search(rest)
        if found is None:
            return  # the process ended within the call
        result = int(found[1])
        descriptor = _DESCRIPTOR.match(rest)
        names = _NAMES.findall(rest)
        path = descriptor["path"] if descriptor else names[0] if names else ""
        if rest.endswith("(INJECTED)"):
            self.failed.append((name, path))
        if result < 0:
            return
        if name == "writev":
            self.files.setdefault(path, WrittenFile()).written_bytes += result
        elif name == "fdatasync" and path in self.files:
            self.files[path].synced_bytes = self.files[path].written_bytes
        elif name == "linkat" and (file := self.files.get(names[0])) and file.synced_bytes < file.written_bytes:
            self.linked_unsynced.append(names[0])
        elif name == "ftruncate" and path in self.files:
            self.files[path].written_bytes = int(rest.split(",")[1].split(")")[0])
        elif name == "rename" and names[0] in self.files:
            self.files[names[1]] = self.files.pop(names[0])
        elif name == "unlink":
            self.files.pop(path, None)
