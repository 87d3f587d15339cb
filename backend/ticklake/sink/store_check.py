"""What a bucket must be able to do before anything is written to it."""

from __future__ import annotations

import uuid

from ticklake.files.errors import AlreadyStoredError
from ticklake.files.object_path import ObjectPath

_PROBE = "catalog/.probe"  # stays for the next start: no right to delete is needed


def check_store(root: ObjectPath) -> None:
    """Make sure, once per process, that the store does not overwrite what it is told to create.

    Nothing is asked where the settings say that it has no conditional writes: only one writer may ever write there.

    Raises:
        ConditionalWritesError: it does not keep its word; a setting or another store helps.
        StoreUnavailableError: try again.
    """
    from ticklake.files.object_store import ConditionalWritesError  # an extra, and here already

    store, key = root.store, (root / _PROBE).key
    if not store.has_conditional_writes or store.is_proven:
        return
    try:
        for _ in range(2):
            store.create(key, uuid.uuid4().hex.encode())
    except AlreadyStoredError:
        store.is_proven = True
        return
    raise ConditionalWritesError(
        f"{root / _PROBE}: the store overwrote it although it was told not to (If-None-Match: *); use another store "
        "or a newer version of it, or set s3.conditional_writes = false if only one writer ever writes there"
    )
