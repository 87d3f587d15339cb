"""Every error we raise on purpose, sorted by what the caller should do."""

from __future__ import annotations


class TickLakeError(Exception):
    """Base of every error we raise on purpose. The text ends with the next step."""

    exit_code = 1


class UsageError(TickLakeError):
    """The call itself makes no sense. Change the arguments."""

    exit_code = 2


class CheckFailedError(TickLakeError):
    """Everything ran; what was checked does not hold."""

    exit_code = 3


class ConfigError(TickLakeError):
    """A setting is wrong. Fix it and start again."""

    exit_code = 78


class RejectedError(TickLakeError):
    """One input is bad. Quarantine it and go on."""

    exit_code = 1


class NoDataError(TickLakeError):
    """There is no such table, partition or file. Nothing is wrong with the disk."""

    exit_code = 1


class RetryableError(TickLakeError):
    """Somebody else is busy. Try again later; nothing was lost."""

    exit_code = 75


class UnavailableError(RetryableError):
    """A server we need does not answer."""

    exit_code = 69


class CorruptError(TickLakeError):
    """Stored bytes are not what we wrote. Stop; a person decides."""

    exit_code = 65


class DiskError(TickLakeError):
    """The disk failed. What is not synced may be gone: stop without acks."""

    exit_code = 74


class AccessRefusedError(DiskError):
    """The file system does not let this user in. Nothing was lost: give the right that the text names, start again."""

    exit_code = ConfigError.exit_code


class OutOfRoomError(TickLakeError):
    """Disk or quota is full. Stop taking input; keep what we have; go on when there is room."""

    exit_code = 74
