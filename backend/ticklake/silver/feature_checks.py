"""What is judged of features over all dates of a version: one that is the same on a quiet day is no fault.

    never_known          null in every row; only a warning while no date had its whole look-back (`warmed_up`)
    constant_feature     one distinct value, nulls apart, over all dates
    identical_features   the same value in every row, null equal to null and NaN to NaN, over all dates; numbers of any
                         type are compared, flags as 0 and 1

Both need many rows: below `ROWS_TO_JUDGE` they only warn. Each date gives a digest per feature, not its rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from ticklake.silver.finding import Finding, Marker, Severity
from ticklake.silver.stage import ColumnSpec, Role

ROWS_TO_JUDGE: Final = 50


@dataclass(frozen=True, slots=True)
class FeatureTrace:
    """What one date tells of one feature.

    Attributes:
        digest: of its values in all rows, hex; equal for equal values.
        known: hashes of the first two distinct values, nulls apart.
        first: the first of them as text; "" when there is none.
    """

    digest: str
    known: tuple[int, ...]
    first: str


def trace_features(rows: pl.DataFrame, columns: Sequence[ColumnSpec]) -> dict[str, FeatureTrace]:
    """Name of each feature among the columns -> what to compare with other dates and other features.

    Args:
        rows: of one date.
        columns: those of them that are there, in their declared type.
    """
    features = [spec for spec in columns if spec.role is Role.FEATURE]
    compared = [pl.col(spec.name).cast(_compared_as(spec.dtype)) for spec in features]
    hashed = rows.select(values.hash(0) for values in compared)
    digests = (hashlib.blake2b(values.to_numpy().tobytes(), digest_size=_DIGEST_BYTES).hexdigest() for values in hashed)
    own = [pl.col(spec.name).drop_nulls() for spec in features]  # as floats, large integers would be alike
    known = rows.select(values.hash(0).unique(maintain_order=True).head(2).implode() for values in own)
    first = rows.select(values.first() for values in own)
    return {
        spec.name: FeatureTrace(digest, tuple(two), "" if value is None else str(value))
        for spec, digest, two, value in zip(features, digests, *known.rows(), *first.rows(), strict=True)
    }


_DIGEST_BYTES: Final = 32


def judge_features(
    dates: Sequence[tuple[int, Mapping[str, FeatureTrace]]],
    columns: Sequence[ColumnSpec],
    mark: Marker,
    *,
    warmed_up: bool,
) -> list[Finding]:
    """The verdicts on every declared feature.

    Args:
        dates: rows and traces of each, in ascending order.
        columns: what is declared.
        mark: makes the findings.
        warmed_up: whether at least one date had its whole look-back.
    """
    rows = sum(count for count, _ in dates)
    if not rows:
        return []
    few = f"; warns below {ROWS_TO_JUDGE} rows"
    severity = Severity.ERROR if rows >= ROWS_TO_JUDGE else Severity.WARNING
    unknown_severity = severity if warmed_up else Severity.WARNING
    found = []
    names: dict[str, str] = {}  # by the digests of all dates, the first feature that has them
    for spec in (spec for spec in columns if spec.role is Role.FEATURE):
        traces = [features[spec.name] for _, features in dates if spec.name in features]
        distinct = len({value for trace in traces for value in trace.known})
        unknown, constant = (rows if distinct == number else 0 for number in (0, 1))
        found.append(
            mark("never_known", spec.name, rows, unknown, "known in some row" + few, ["null"], unknown_severity)
        )
        sample = [f"always {next(trace.first for trace in traces if trace.known)}"] if constant else []
        found.append(mark("constant_feature", spec.name, rows, constant, "two distinct values" + few, sample, severity))
        if distinct > 1:
            digests = f"{_compared_as(spec.dtype)} {' '.join(trace.digest for trace in traces)}"
            twin = names.setdefault(digests, spec.name)
            same = rows if twin != spec.name else 0
            rule = "differs from every other feature in some row" + few
            found.append(mark("identical_features", spec.name, rows, same, rule, [f"= {twin}"], severity))
    return found


def _compared_as(dtype: pl.DataType | type[pl.DataType]) -> pl.DataType | type[pl.DataType]:
    return pl.Float64() if dtype.is_numeric() or dtype == pl.Boolean() else dtype
