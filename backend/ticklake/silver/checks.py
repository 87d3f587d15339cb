"""What must hold for the files of a version: columns, types, nulls, ranges, keys, order, features that say something.

Two rules need many rows and are judged over the whole version, never over one date: a feature that is the same on a
quiet day is no fault. Below `ROWS_TO_JUDGE` rows they only warn.

    never_known          null in every row; only a warning while no date had its whole look-back (`warmed_up`)
    constant_feature     one distinct value, nulls apart, over all dates
    identical_features   the same value in every row, null equal to null and NaN to NaN, over all dates; numbers of any
                         type are compared, flags as 0 and 1
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from itertools import groupby
from typing import Any, Final

import polars as pl

from ticklake.silver.stage import ColumnSpec, Role

ROWS_TO_JUDGE: Final = 50
SAMPLE_MAX: Final = 3
EVENT_ID: Final = "event_id"
ORDER: Final = "ts_event_ns"


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


def check_frame(
    frame: pl.LazyFrame,
    columns: Sequence[ColumnSpec],
    *,
    date: str,
    empty_reason: str | None = None,
    file: str = "signals",
) -> list[Finding]:
    """Check one file of one date by itself.

    Args:
        frame: its rows.
        columns: what is declared.
        date: of the file, for the samples.
        empty_reason: why there is no row; None when there should be some.
        file: its name without suffix.

    Returns:
        one finding per check and column, also for what passed. A column of the wrong type is not looked into.
    """
    schema = frame.collect_schema()
    declared = {spec.name: spec for spec in columns}
    sound = [spec for spec in columns if schema.get(spec.name) == spec.dtype]
    mark = _Marker(file, date)
    findings = [
        mark("column_missing", name, 1, int(name not in schema), "every declared column is there", [name])
        for name in declared
    ]
    findings += [mark("column_extra", name, 1, 1, "no other column", [name]) for name in schema if name not in declared]
    findings += [
        mark("type", spec.name, 1, int(schema[spec.name] != spec.dtype), str(spec.dtype), [str(schema[spec.name])])
        for spec in columns
        if spec.name in schema
    ]
    rows = frame.select([spec.name for spec in sound]).collect()
    unexplained = int(rows.height == 0 and not empty_reason)
    findings.append(mark("empty_date", "", 1, unexplained, "an empty date has its reason", ["no row, no reason"]))
    if rows.height:
        findings += _check_values(rows, sound, mark)
        findings += _check_keys(rows, sound, mark)
        findings += _check_order(rows, mark)
    return findings


def check_version(
    frames: Mapping[str, pl.LazyFrame],
    columns: Sequence[ColumnSpec],
    *,
    empty_reasons: Mapping[str, str] | None = None,
    file: str = "signals",
    warmed_up: bool = True,
) -> list[Finding]:
    """Check one file of all dates of a version: each date by itself, and what only shows over all of them.

    Args:
        frames: date -> its rows.
        columns: what is declared.
        empty_reasons: date -> why it has no row; such a date may be left out of `frames`.
        file: name of the file without suffix.
        warmed_up: whether at least one date had all the earlier data that its stages want to see.

    Returns:
        one finding per check and column; dates are summed up, samples name them.
    """
    reasons = empty_reasons or {}
    findings: list[Finding] = []
    features = _Features(columns)
    for date in sorted(frames):
        rows = frames[date].collect().lazy()  # both look at every column: the file is read once
        findings += check_frame(rows, columns, date=date, empty_reason=reasons.get(date), file=file)
        features.add(rows)
    return _sum_up(findings) + features.findings(_Marker(file, ""), warmed_up)


@dataclass(frozen=True, slots=True)
class _Marker:
    """Makes the findings of one file."""

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
        shown = [f"{self.date}: {value}" if self.date else str(value) for value in sample] if n_failed else []
        status = Status.FAILED if n_failed else Status.PASSED
        return Finding(name, self.file, column, severity, n, n_failed, threshold, status, tuple(shown[:SAMPLE_MAX]))


def _check_values(rows: pl.DataFrame, specs: Sequence[ColumnSpec], mark: _Marker) -> list[Finding]:
    """Nulls, NaN and ranges: counted for all columns at once, looked into only where something is wrong."""
    rules = [rule for spec in specs for rule in _rules(spec)]
    if not rules:
        return []
    wrong = rows.select(rule.wrong.sum().alias(str(place)) for place, rule in enumerate(rules)).row(0)
    findings = []
    for rule, count in zip(rules, wrong, strict=True):
        sample = rows.filter(rule.wrong)[rule.column].head(SAMPLE_MAX) if count else ()
        findings.append(mark(rule.name, rule.column, rows.height, count, rule.threshold, sample, rule.severity))
    return findings


@dataclass(frozen=True, slots=True)
class _Rule:
    """What each value of a column must be; `wrong` tells, never null, which are not."""

    name: str
    column: str
    wrong: pl.Expr
    threshold: str
    severity: Severity = Severity.ERROR


@cache
def _rules(spec: ColumnSpec) -> tuple[_Rule, ...]:
    value = pl.col(spec.name)
    rules = []
    if not spec.null:
        rules.append(_Rule("null", spec.name, value.is_null(), "never null"))
    if spec.dtype.is_float():
        broken = value.is_finite().not_().fill_null(value=False)
        rules.append(_Rule("finite", spec.name, broken, "no NaN, no infinity", Severity.WARNING))
    if spec.low is not None or spec.high is not None:
        low, high = (-math.inf if spec.low is None else spec.low), (math.inf if spec.high is None else spec.high)
        outside = (value < low) | (value > high)
        if spec.dtype.is_float():
            outside &= value.is_not_nan()
        rules.append(_Rule("range", spec.name, outside.fill_null(value=False), f"{low} to {high}"))
    return tuple(rules)


def _check_keys(rows: pl.DataFrame, specs: Sequence[ColumnSpec], mark: _Marker) -> list[Finding]:
    names = [spec.name for spec in specs if spec.role is Role.KEY]
    key = [EVENT_ID] if EVENT_ID in names else names
    if not key:
        return []
    again = rows.select(key).filter(pl.struct(key).is_first_distinct().not_())
    sample = [", ".join(str(value) for value in row) for row in again.head(SAMPLE_MAX).iter_rows()]
    return [mark("duplicate_key", ", ".join(key), rows.height, again.height, "each key once", sample)]


def _check_order(rows: pl.DataFrame, mark: _Marker) -> list[Finding]:
    if ORDER not in rows.columns:
        return []
    late = rows[ORDER].filter((rows[ORDER].diff() < 0).fill_null(value=False))
    return [mark("unsorted", ORDER, rows.height, len(late), "ascending", late[:SAMPLE_MAX])]


def _sum_up(findings: Sequence[Finding]) -> list[Finding]:
    def check(finding: Finding) -> tuple[str, str]:
        return finding.name, finding.column

    summed = []
    for _, same in groupby(sorted(findings, key=check), key=check):
        group = list(same)
        failed = sum(finding.n_failed for finding in group)
        sample = [text for finding in group for text in finding.sample]
        summed.append(
            replace(
                group[0],
                n=sum(finding.n for finding in group),
                n_failed=failed,
                status=Status.FAILED if failed else Status.PASSED,
                sample=tuple(sample[:SAMPLE_MAX]),
            )
        )
    return summed


class _Features:
    """Collects over all dates what tells constant and identical features; a digest per column, not the rows."""

    def __init__(self, columns: Sequence[ColumnSpec]) -> None:
        self._specs = [spec for spec in columns if spec.role is Role.FEATURE]
        self._digests = {spec.name: hashlib.blake2b(str(_compared_as(spec.dtype)).encode()) for spec in self._specs}
        self._values: list[pl.DataFrame] = []  # of each date one row: of each feature a list of two values at most
        self._rows = 0

    def add(self, frame: pl.LazyFrame) -> None:
        """Take the rows of one more date."""
        schema = frame.collect_schema()
        sound = [spec.name for spec in self._specs if schema.get(spec.name) == spec.dtype]
        rows = frame.select(sound).collect()
        self._rows += rows.height
        compared = (pl.col(name).cast(_compared_as(dtype)) for name, dtype in rows.schema.items())
        for hashed in rows.select(values.hash(0) for values in compared):
            self._digests[hashed.name].update(hashed.to_numpy().tobytes())
        self._values.append(rows.select(_two_of(pl.all())))

    def findings(self, mark: _Marker, warmed_up: bool) -> list[Finding]:
        """The verdicts."""
        if not self._rows:
            return []
        few = f"; warns below {ROWS_TO_JUDGE} rows"
        severity = Severity.ERROR if self._rows >= ROWS_TO_JUDGE else Severity.WARNING
        unknown_severity = severity if warmed_up else Severity.WARNING
        found = []
        first: dict[bytes, str] = {}
        known = pl.concat(self._values, how="diagonal").select(_two_of(pl.all().explode())).row(0, named=True)
        for name in self._digests:
            values = known.get(name, [])
            count = len(values)
            unknown, constant = (self._rows if count == number else 0 for number in (0, 1))
            found.append(
                mark("never_known", name, self._rows, unknown, "known in some row" + few, ["null"], unknown_severity)
            )
            sample = [f"always {values[0]}"] if constant else []
            found.append(
                mark("constant_feature", name, self._rows, constant, "two distinct values" + few, sample, severity)
            )
            if count > 1:
                twin = first.setdefault(self._digests[name].digest(), name)
                same = self._rows if twin != name else 0
                rule = "differs from every other feature in some row" + few
                found.append(mark("identical_features", name, self._rows, same, rule, [f"= {twin}"], severity))
        return found


def _compared_as(dtype: pl.DataType | type[pl.DataType]) -> pl.DataType | type[pl.DataType]:
    return pl.Float64() if dtype.is_numeric() or dtype == pl.Boolean() else dtype


def _two_of(values: pl.Expr) -> pl.Expr:
    """The first two distinct values, as one list."""
    return values.drop_nulls().unique(maintain_order=True).head(2).implode()
