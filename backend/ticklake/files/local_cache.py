"""Where this machine keeps what it may lose of a lake in a bucket, such as an index: rebuilt whenever it is missing."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from ticklake.files.object_path import ObjectPath

_NAME: Final = "ticklake"
_KEY_DIGITS: Final = 24


def cache_folder(place: ObjectPath) -> Path:
    """The folder for a place; it need not exist. Another one for each store, bucket, key and user.

    It lies below the home folder (`~/.cache/ticklake`), or below the folder for temporary files where that cannot be
    written to, as in a container whose root is read-only.
    """
    known = f"{place.store.access.endpoint}\n{place}"
    return _base() / hashlib.sha256(known.encode()).hexdigest()[:_KEY_DIGITS]


def _base() -> Path:
    try:
        home = Path.home()
    except RuntimeError:  # a user whom this machine does not know, as in a container
        home = None
    if home is not None:
        shared = home / ".cache"
        if os.access(shared if shared.is_dir() else home, os.W_OK | os.X_OK):
            return shared / _NAME
    return Path(tempfile.gettempdir()) / f"{_NAME}-{os.getuid()}"
