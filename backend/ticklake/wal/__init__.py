"""The promise: what we acked survives. Blocking code, called from one thread per log."""

from ticklake.wal.manager import WALManager

__all__ = ["WALManager"]
