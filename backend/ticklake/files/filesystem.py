"""Which filesystem a folder lies on, and whether its promises are good enough for a log."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

_WARNINGS = {
    "tmpfs": "lives in memory: a power cut takes everything",
    "ramfs": "lives in memory: a power cut takes everything",
    "overlay": "is a container layer: it goes with the container; mount a volume",
    "nfs": "is a network disk: locks and syncs depend on the server's settings",
    "nfs4": "is a network disk: locks and syncs depend on the server's settings",
    "cifs": "is a network disk: locks and syncs depend on the server's settings",
    "smb3": "is a network disk: locks and syncs depend on the server's settings",
    "9p": "is a shared folder of a virtual machine: syncs depend on the host",
    "virtiofs": "is a shared folder of a virtual machine: syncs depend on the host",
}
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class FilesystemKind:
    """What a folder lies on.

    Attributes:
        name: kernel name of the filesystem, such as `ext4`; `unknown` where the system does not tell.
        mount_point: where it is mounted.
        warning: why a log should not lie there; empty when nothing speaks against it.
    """

    name: str
    mount_point: str
    warning: str = ""


def filesystem_kind(path: str) -> FilesystemKind:
    """The filesystem below `path`, which need not exist yet. Warns, never refuses."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            return find_filesystem(mounts, os.path.realpath(path))
    except FileNotFoundError:
        return FilesystemKind("unknown", "/", "cannot be recognised on this system")


def find_filesystem(mountinfo: Iterable[str], path: str) -> FilesystemKind:
    """The filesystem of an absolute path without links, from the lines of `/proc/self/mountinfo`. Pure."""
    best = FilesystemKind("unknown", "/", "cannot be recognised on this system")
    for line in mountinfo:
        fields, _, rest = line.partition(" - ")
        mount_point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields.split(" ")[4])
        inside = path == mount_point or path.startswith(mount_point.rstrip("/") + "/")
        if inside and len(mount_point) >= len(best.mount_point):  # of two mounts on one point the later is on top
            name = rest.split(" ")[0]
            best = FilesystemKind(name, mount_point, _warning(name))
    return best


def _warning(name: str) -> str:
    if name.startswith("fuse"):
        return "runs through FUSE: syncs depend on the program behind it"
    return _WARNINGS.get(name, "")
