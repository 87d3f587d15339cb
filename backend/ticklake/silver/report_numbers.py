"""What a report draws: histograms, missing shares, label balance and drift. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

BINS: Final = 24
PSI_BINS: Final = 10
PSI_SHARE_MIN: Final = 1e-4
WORDS_MAX: Final = 12
_TAIL: Final = 0.01
_MISSING: Final = "(missing)"
_OTHERS: Final = "(others)"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of a column's known values.

    Attributes:
        words: of the bins; () for numbers, whose bins are equally wide.
        shares: of each bin; they sum to 1, or all are 0 when no value is known.
        parent_shares: the same of the parent version; () without one.
        low: left end of the axis; NaN for words.
        high: right end; values beyond count in the outer bins.
        median: of the known values; NaN for words.
        missing: share of nulls and NaN.
    """

    words: tuple[str, ...]
    shares: tuple[float, ...]
    parent_shares: tuple[float, ...]
    low: float
    high: float
    median: float
    missing: float


def missing_share(values: pl.Series) -> float:
    """Share of nulls and NaN; 0 for an empty column."""
    return 0.0 if values.is_empty() else 1.0 - len(_known(values)) / len(values)


def histogram(values: pl.Series, parent: pl.Series | None = None) -> Histogram:
    """24 equal bins between the 1 % and the 99 % quantile; for words and flags one bin per value, at most 12 bins.

    Args:
        values: the column.
        parent: the same column of the parent version: the bins reach over both, the words are those of both.
    """
    known, before = _known(values), None if parent is None else _known(parent)
    if not known.dtype.is_numeric() or (before is not None and not before.dtype.is_numeric()):
        return _word_histogram(known, before, missing_share(values))
    finite = _finite(known)
    finite_before = None if before is None else _finite(before)
    low, high = _ends(finite) if finite_before is None else _ends(finite, finite_before)
    edges = np.linspace(low, high, BINS + 1)
    return Histogram(
        (),
        _binned(finite, edges),
        () if finite_before is None else _binned(finite_before, edges),
        low,
        high,
        float(np.median(finite)) if finite.size else float("nan"),
        missing_share(values),
    )


def population_stability(values: pl.Series, parent: pl.Series) -> float:
    """Population stability index of a column against its parent version; unitless, 0 when both are distributed alike.

    PSI = sum over bins of (p - q) ln(p / q), with p the shares now and q those of the parent (Siddiqi, Credit Risk
    Scorecards, 2006, ch. 9). Bins: between the parent's deciles, one for missing values; for words one per word. Shares
    below 1e-4 count as 1e-4. Rule of thumb from the same source: below 0.1 alike, above 0.25 another distribution.
    """
    if values.dtype.is_numeric() and parent.dtype.is_numeric():
        known = _finite(_known(parent))
        deciles = np.quantile(known, np.linspace(0, 1, PSI_BINS + 1)[1:-1]) if known.size else np.array([])
        now, then = (_decile_counts(each, np.unique(deciles)) for each in (values, parent))
    else:
        words = sorted({*_words(values), *_words(parent)})
        now, then = (_word_counts(each, words) for each in (values, parent))
    p, q = (np.maximum(counts / max(counts.sum(), 1), PSI_SHARE_MIN) for counts in (now, then))
    return float(np.sum((p - q) * np.log(p / q)))


def label_balance(rows: pl.DataFrame, labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """Label -> outcome -> rows, outcomes in order of their names; null is `(missing)`."""
    counted = {}
    for label in labels:
        words = rows[label].cast(pl.String).fill_null(_MISSING).alias("word")
        counts = words.value_counts().sort("word")
        counted[label] = dict(zip(counts["word"].to_list(), counts["count"].to_list(), strict=True))
    return counted


def missing_by_date(frames: Mapping[str, pl.DataFrame], features: Sequence[str]) -> dict[str, list[float]]:
    """Feature -> share of missing values on each date, in order of dates; only features that miss any."""
    shares = {name: [missing_share(frames[date][name]) for date in sorted(frames)] for name in features}
    return {name: each for name, each in shares.items() if any(each)}


def _known(values: pl.Series) -> pl.Series:
    dropped = values.drop_nulls()
    return dropped.drop_nans() if dropped.dtype.is_float() else dropped


def _finite(known: pl.Series) -> np.ndarray:
    numbers = known.cast(pl.Float64).to_numpy()
    return np.asarray(numbers[np.isfinite(numbers)])


def _ends(*columns: np.ndarray) -> tuple[float, float]:
    quantiles = [np.quantile(numbers, [_TAIL, 1 - _TAIL]) for numbers in columns if numbers.size]
    if not quantiles:
        return 0.0, 1.0
    low, high = (float(end) for end in (min(ends[0] for ends in quantiles), max(ends[1] for ends in quantiles)))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _binned(numbers: np.ndarray, edges: np.ndarray) -> tuple[float, ...]:
    counts, _ = np.histogram(np.clip(numbers, edges[0], edges[-1]), edges)
    return tuple(float(share) for share in counts / max(numbers.size, 1))


def _word_histogram(known: pl.Series, before: pl.Series | None, missing: float) -> Histogram:
    """The commonest words first, then those that only the parent has; what is beyond the last bin together in it."""
    texts = known.cast(pl.String)
    old = None if before is None else before.cast(pl.String)
    words = list(dict.fromkeys([*_ranked(texts), *(_ranked(old) if old is not None else [])]))
    shown = words if len(words) <= WORDS_MAX else words[: WORDS_MAX - 1]
    others = [_OTHERS] if len(words) > WORDS_MAX else []
    nan = float("nan")
    return Histogram(
        (*shown, *others),
        _word_shares(texts, shown, others),
        () if old is None else _word_shares(old, shown, others),
        nan,
        nan,
        nan,
        missing,
    )


def _ranked(texts: pl.Series) -> list[str]:
    counts = texts.alias("word").value_counts().sort("count", "word", descending=[True, False])
    return counts["word"].to_list()


def _word_shares(texts: pl.Series, words: Sequence[str], others: Sequence[str]) -> tuple[float, ...]:
    total = max(len(texts), 1)
    shares = [float((texts == word).sum()) / total for word in words]
    return (*shares, *(float(texts.is_in(list(words)).not_().sum()) / total for _ in others))


def _decile_counts(values: pl.Series, edges: np.ndarray) -> np.ndarray:
    known = _known(values).cast(pl.Float64).to_numpy()
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return np.append(counts, len(values) - known.size)


def _words(values: pl.Series) -> list[str]:
    return values.cast(pl.String).fill_null(_MISSING).unique().to_list()


def _word_counts(values: pl.Series, words: Sequence[str]) -> np.ndarray:
    texts = values.cast(pl.String).fill_null(_MISSING)
    return np.array([int((texts == word).sum()) for word in words])
