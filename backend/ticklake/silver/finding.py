"""The outcome of one check. Pure values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

SAMPLE_MAX: Final = 3


class Severity(StrEnum):
    """Whether a failed check fails the build."""

    ERROR = "error"
    WARNING = "warning"


class Status(StrEnum):
    """Outcome of a check."""

    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """Outcome of one check of one column.

    Attributes:
        name: of the check.
        file: which file of the dates: signals, state or episodes.
        column: of the file; "" when the check is about the whole file.
        severity: whether failing fails the build.
        n: rows (for checks of the schema: 1) that were looked at.
        n_failed: how many of them are wrong.
        threshold: what was allowed, in words.
        status: passed when nothing is wrong.
        sample: a few of the wrong values, each with its date.
    """

    name: str
    file: str
    column: str
    severity: Severity
    n: int
    n_failed: int
    threshold: str
    status: Status
    sample: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether the build fails by it."""
        return self.status is Status.FAILED and self.severity is Severity.ERROR


@dataclass(frozen=True, slots=True)
class Marker:
    """Makes the findings of one file, of one date; of all of them where the date is ""."""

    file: str
    date: str

    def __call__(
        self,
        name: str,
        column: str,
        n: int,
        n_failed: int,
        threshold: str,
        sample: Iterable[Any] = (),
        severity: Severity = Severity.ERROR,
    ) -> Finding:
        """The outcome: failed when anything is wrong; samples are shown with their date."""
        shown = [f"{self.date}: {value}" if self.date else str(value) for value in sample] if n_failed else []
        status = Status.FAILED if n_failed else Status.PASSED
        return Finding(name, self.file, column, severity, n, n_failed, threshold, status, tuple(shown[:SAMPLE_MAX]))
