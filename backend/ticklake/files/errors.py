"""What can go wrong with a kept file or document: one family, each with a reason that a program can read.

    PersistentStoreError         the family; `reason` and `path` say what and where
      ├─ NotStoredError          nothing under that name (also a FileNotFoundError)
      ├─ AlreadyStoredError      the name is taken and may not be overwritten (also a FileExistsError)
      ├─ OutsideRootError        a name that would leave the root folder (also a UsageError)
      ├─ ChangedError            the bytes are not those that were saved (also a CorruptError)
      ├─ UnreadableError         the bytes are no document or frame of the promised form (also a CorruptError)
      └─ ConflictError           somebody else wrote first (also a RetryableError)

A failed or full disk is no matter of this family: `DiskError` and `OutOfRoomError` pass through as they are.
"""

from __future__ import annotations

import os
from enum import StrEnum

from ticklake.base.errors import CorruptError, RetryableError, TickLakeError, UsageError


class Reason(StrEnum):
    """Why a store refused, in one word."""

    MISSING = "missing"
    TAKEN = "taken"
    OUTSIDE_ROOT = "outside_root"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    CONFLICT = "conflict"
    UNSUPPORTED = "unsupported"


class PersistentStoreError(TickLakeError):
    """A store could not do what was asked. The text says what, where and what to do next.

    Attributes:
        reason: the kind, for programs.
        path: the file it is about; empty when there is none.
    """

    def __init__(self, text: str, *, path: str | os.PathLike[str] = "", reason: Reason = Reason.UNSUPPORTED) -> None:
        Exception.__init__(self, text)  # by name: some of us inherit from errors that want other arguments
        self.reason = reason
        self.path = os.fspath(path)

    def __str__(self) -> str:
        return str(self.args[0])  # OSError and KeyError, from which some of us inherit, would print it another way


class NotStoredError(PersistentStoreError, FileNotFoundError):
    """Nothing is stored under that name. Check the name; see what there is."""

    def __init__(self, text: str, *, path: str | os.PathLike[str] = "") -> None:
        super().__init__(text, path=path, reason=Reason.MISSING)


class AlreadyStoredError(PersistentStoreError, FileExistsError):
    """The name is taken. Choose another one, or allow overwriting."""

    def __init__(self, text: str, *, path: str | os.PathLike[str] = "") -> None:
        super().__init__(text, path=path, reason=Reason.TAKEN)


class OutsideRootError(PersistentStoreError, UsageError):
    """The name leads out of the root folder. Use a relative name without `..` and without links."""

    exit_code = UsageError.exit_code

    def __init__(self, text: str, *, path: str | os.PathLike[str] = "") -> None:
        super().__init__(text, path=path, reason=Reason.OUTSIDE_ROOT)


class ChangedError(PersistentStoreError, CorruptError):
    """The bytes differ from those that were saved. Restore the file, or save and reference it anew."""

    exit_code = CorruptError.exit_code

    def __init__(self, text: str, *, path: str | os.PathLike[str] = "") -> None:
        super().__init__(text, path=path, reason=Reason.CHANGED)


class UnreadableError(PersistentStoreError, CorruptError):
    """The bytes are not of the form they should have. Restore the file."""

    exit_code = CorruptError.exit_code

    def __init__(self, text: str, *, path: str | os.PathLike[str] = "") -> None:
        super().__init__(text, path=path, reason=Reason.UNREADABLE)


class ConflictError(PersistentStoreError, RetryableError):
    """Somebody else changed it in between. Read it again, then decide again; nothing was written."""

    exit_code = RetryableError.exit_code

    def __init__(self, text: str, *, path: str | os.PathLike[str] = "") -> None:
        super().__init__(text, path=path, reason=Reason.CONFLICT)
