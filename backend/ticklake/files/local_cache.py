"""Where this machine keeps what it may lose of a lake that it cannot keep it in, such as an index.

That is a lake in a bucket, or one that this user may not write to. What is missing is rebuilt.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place

_NAME: Final = "ticklake"
_KEY_DIGITS: Final = 24


def cache_folder(place: Place) -> Path:
    """The folder for a place; it need not exist. Another one for each place (and store of it) and user.

    It lies below the home folder (`~/.cache/ticklake`), or below the folder for temporary files where that cannot be
    written to, as in a container whose root is read-only.
    """
    known = f"{place.store.access.endpoint}\n{place}" if isinstance(place, ObjectPath) else str(place)
    return _base() / hashlib.sha256(known.encode()).hexdigest()[:_KEY_DIGITS]


def is_writable(folder: Path) -> bool:
    """Whether this user may write into an existing folder, and the file system may be written to at all."""
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _base() -> Path:
    try:
        home = Path.home()
    except RuntimeError:  # a user whom this machine does not know, as in a container
        home = None
    if home is not None:
        shared = home / ".cache"
        if is_writable(shared if shared.is_dir() else home):
            return shared / _NAME
    return Path(tempfile.gettempdir()) / f"{_NAME}-{os.geteuid()}"
