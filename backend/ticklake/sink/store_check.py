"""What a bucket must be able to do before anything is written to it."""

from __future__ import annotations

from ticklake.files.object_path import ObjectPath

_PROBE = "catalog/.probe"  # stays for the next start: no right to delete is needed


def check_store(root: ObjectPath) -> None:
    """Make sure, once per process, that the store does not overwrite what it is told to create.

    Nothing is asked where the settings say that it has no conditional writes: only one writer may ever write there.

    Raises:
        ConditionalWritesError: it does not keep its word; a setting or another store helps.
        StoreUnavailableError: try again.
    """
    from ticklake.files.object_store import prove_conditional_writes  # an extra, and here already

    store = root.store
    if store.has_conditional_writes and not store.is_proven:
        prove_conditional_writes(store, (root / _PROBE).key, keep=True)
