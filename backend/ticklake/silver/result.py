"""What a build came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ticklake.silver.record import VersionStatus


class Outcome(StrEnum):
    """What became of a date in this build. `skipped`: up to date, left as it is."""

    BUILT = "built"
    EMPTY = "empty"
    CLOSED = "closed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class DateResult:
    """One date: what happened, why, and how many signals it has now.

    Attributes:
        date: YYYY-MM-DD.
        outcome: what became of it.
        rows: signals.
        cause: why it was built; "" when skipped.
        reason: why it is empty, closed or failed.
    """

    date: str
    outcome: Outcome
    rows: int
    cause: str
    reason: str


@dataclass(frozen=True, slots=True)
class BuildResult:
    """One build.

    Attributes:
        version: name.
        status: `complete` or `failed`.
        reason: why it failed, or why it is complete and never to be promoted; "" otherwise.
        certificate_passed: whether the causality certificate passed; without it nothing is promoted.
        dates: every date of the version, ascending.
        output_dir: absolute.
        build_time_seconds: of the whole build, certificate included.
        certificate_seconds: work that the causality certificate took, of all workers together; 0 when it was not drawn
            again.
        run_id: of the run in the registry; None when nothing had to be done.
    """

    version: str
    status: VersionStatus
    reason: str
    certificate_passed: bool
    dates: tuple[DateResult, ...]
    output_dir: str
    build_time_seconds: float
    certificate_seconds: float = 0.0
    run_id: str | None = None

    @property
    def dates_processed(self) -> int:
        """Dates that were worked on now, whatever came of them."""
        return sum(item.outcome is not Outcome.SKIPPED for item in self.dates)

    @property
    def signals_total(self) -> int:
        """Signals of the whole version."""
        return sum(item.rows for item in self.dates)

    @property
    def errors(self) -> tuple[str, ...]:
        """`date: reason` of each date that failed, then why the version failed."""
        dates = [f"{item.date}: {item.reason}" for item in self.dates if item.outcome is Outcome.FAILED]
        return (*dates, *([self.reason] if self.reason else ()))
