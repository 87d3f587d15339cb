"""The causality certificate: which cuts were tried, what was compared, what knew the future. Pure values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Variant(StrEnum):
    """What was done to the rows after a cut.

    `removed`: all are gone. `absurd`: those of the next half hour have absurd values, all later ones are gone.
    """

    REMOVED = "removed"
    ABSURD = "absurd"


@dataclass(frozen=True, slots=True)
class Trial:
    """One rebuild with a tampered future.

    Attributes:
        date: of the session.
        cut_ns: last instant of the untouched past, ns UTC.
        variant: what was done to the rest.
        density: share of the input rows that the rebuild saw; 1 for all.
        events: events at or before the cut that were compared.
        changed: columns that changed and must not; 0 when all is well.
    """

    date: str
    cut_ns: int
    variant: Variant
    density: float
    events: int
    changed: int


@dataclass(frozen=True, slots=True)
class Violation:
    """A column that changed when only the future changed.

    Attributes:
        column: the feature, `frame.feature` where it is not one of the events; "", or the frame alone, when a row
            itself came or went; "" when the pipeline broke.
        variant: what was done to the future.
        trials: in how many rebuilds it changed.
        date: session of the first such rebuild.
        cut_ns: cut of the first such rebuild.
        event: key of the first row that changed in it.
        before: the value with the true future.
        after: the value with the tampered future.
    """

    column: str
    variant: Variant
    trials: int
    date: str
    cut_ns: int
    event: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whether features know the future.

    Attributes:
        passed: something was compared, and nothing changed.
        cuts: distinct cut times.
        events_compared: over all rebuilds.
        columns: features that were compared.
        trials: every rebuild.
        violations: at most one per column and variant.
        seconds: what it cost; None where it is read from a file, because files hold nothing of time.
    """

    passed: bool
    cuts: int
    events_compared: int
    columns: tuple[str, ...]
    trials: tuple[Trial, ...]
    violations: tuple[Violation, ...]
    seconds: float | None = None


def make_certificate(
    columns: tuple[str, ...], trials: tuple[Trial, ...], violations: tuple[Violation, ...], seconds: float | None
) -> Certificate:
    """Put together what the rebuilds gave; violations of one column and variant become one."""
    first: dict[tuple[str, Variant], Violation] = {}
    for violation in violations:
        key = violation.column, violation.variant
        known = first.get(key)
        first[key] = violation if known is None else replace(known, trials=known.trials + violation.trials)
    compared = sum(trial.events for trial in trials)
    return Certificate(
        passed=compared > 0 and not violations,
        cuts=len({(trial.date, trial.cut_ns) for trial in trials}),
        events_compared=compared,
        columns=columns,
        trials=trials,
        violations=tuple(first[key] for key in sorted(first)),
        seconds=seconds,
    )


def merge_certificates(ordered: Sequence[Certificate]) -> Certificate:
    """One certificate of a whole build from those of its dates, in their order, or of their pieces."""
    return make_certificate(
        tuple(dict.fromkeys(column for each in ordered for column in each.columns)),
        tuple(trial for each in ordered for trial in each.trials),
        tuple(violation for each in ordered for violation in each.violations),
        sum(each.seconds or 0.0 for each in ordered),
    )
