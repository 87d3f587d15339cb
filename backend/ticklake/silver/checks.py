"""What must hold for the files of a version: columns, types, nulls, ranges, keys, order, features that say something.

Each date is checked by itself (`check_date`), wherever that is done; `sum_up` makes one verdict of all dates. What is
judged over the whole version only, see `feature_checks`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby
from typing import Final

import polars as pl

from ticklake.readers.event_order import comes_too_late
from ticklake.silver.feature_checks import FeatureTrace, judge_features, trace_features
from ticklake.silver.finding import SAMPLE_MAX, Finding, Marker, Severity, Status
from ticklake.silver.stage import ColumnSpec, Role

EVENT_ID: Final = "event_id"
ORDER: Final = "ts_event_ns"


@dataclass(frozen=True, slots=True)
class DateChecks:
    """What one file of one date told.

    Attributes:
        findings: one per check and column, also for what passed.
        rows: how many it has.
        features: name -> what is to be compared with other dates and other features.
    """

    findings: tuple[Finding, ...]
    rows: int = 0
    features: Mapping[str, FeatureTrace] = field(default_factory=dict)


def check_date(frame: pl.LazyFrame, columns: Sequence[ColumnSpec], *, date: str, file: str = "signals") -> DateChecks:
    """Check one file of one date by itself. A column of the wrong type is not looked into.

    Args:
        frame: its rows; it has some, or its date would have no file.
        columns: what is declared.
        date: of the file, for the samples.
        file: its name without suffix.
    """
    rows = frame.collect()
    schema = rows.schema
    sound = [spec for spec in columns if schema.get(spec.name) == spec.dtype]
    mark = Marker(file, date)
    findings = [
        mark(
            "column_missing", spec.name, 1, int(spec.name not in schema), "every declared column is there", [spec.name]
        )
        for spec in columns
    ]
    declared = {spec.name for spec in columns}
    findings += [mark("column_extra", name, 1, 1, "no other column", [name]) for name in schema if name not in declared]
    findings += [
        mark("type", spec.name, 1, int(schema[spec.name] != spec.dtype), str(spec.dtype), [str(schema[spec.name])])
        for spec in columns
        if spec.name in schema
    ]
    findings.append(mark("empty_date", "", 1, int(rows.is_empty()), _HAS_REASON, ["no row, no reason"]))
    if rows.height:
        findings += _check_values(rows, sound, mark)
        findings += _check_keys(rows, sound, mark)
        findings += _check_order(rows, mark)
    return DateChecks(tuple(findings), rows.height, trace_features(rows, sound))


def check_empty(reason: str, *, date: str, file: str = "signals") -> DateChecks:
    """Check a date that has no files: why not must be known."""
    return DateChecks((Marker(file, date)("empty_date", "", 1, int(not reason), _HAS_REASON, ["no reason"]),))


def sum_up(
    dates: Sequence[DateChecks], columns: Sequence[ColumnSpec], *, file: str = "signals", warmed_up: bool = True
) -> list[Finding]:
    """The checks of one file over all dates of a version, and what only shows over all of them.

    Args:
        dates: in ascending order.
        columns: what is declared.
        file: its name without suffix.
        warmed_up: whether at least one date had all the earlier data that its stages want to see.

    Returns:
        one finding per check and column; dates are summed up, samples name them.
    """
    of_dates = _together([finding for each in dates for finding in each.findings])
    traces = [(each.rows, each.features) for each in dates if each.rows]
    return of_dates + judge_features(traces, columns, Marker(file, ""), warmed_up=warmed_up)


_HAS_REASON: Final = "an empty date has its reason"


def _check_values(rows: pl.DataFrame, specs: Sequence[ColumnSpec], mark: Marker) -> list[Finding]:
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


def _check_keys(rows: pl.DataFrame, specs: Sequence[ColumnSpec], mark: Marker) -> list[Finding]:
    names = [spec.name for spec in specs if spec.role is Role.KEY]
    key = [EVENT_ID] if EVENT_ID in names else names
    if not key:
        return []
    again = rows.select(key).filter(pl.struct(key).is_first_distinct().not_())
    sample = [", ".join(str(value) for value in row) for row in again.head(SAMPLE_MAX).iter_rows()]
    return [mark("duplicate_key", ", ".join(key), rows.height, again.height, "each key once", sample)]


def _check_order(rows: pl.DataFrame, mark: Marker) -> list[Finding]:
    integers = [name for name, dtype in rows.schema.items() if dtype.is_integer()]
    if ORDER not in integers:
        return []
    late = rows.filter(comes_too_late(integers))[ORDER]
    return [mark("unsorted", ORDER, rows.height, len(late), "ascending", late[:SAMPLE_MAX])]


def _together(findings: Sequence[Finding]) -> list[Finding]:
    """One finding per check and column."""

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
