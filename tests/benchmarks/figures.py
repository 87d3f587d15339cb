"""What a benchmark gives: figures of both sides, measured in turns, as one row of the table."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    Attributes:
        what: what was measured.
        ours: our side, with its unit.
        reference: what it is compared with.
        ratio: ours to the reference, or the measured value in the unit of the target.
        target: in words.
        met: whether the target is reached; None when there is none.
        note: how to read it.
        rounds: the ratio (or value) of every round; empty when it was measured once.
    """

    what: str
    ours: str
    reference: str
    ratio: str
    target: str
    met: bool | None
    note: str = ""
    rounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Pairs:
    """Both sides of a comparison, one pair per round, measured one right after the other."""

    ours: tuple[float, ...]
    reference: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours to the reference, round by round: what slows the machine down slows both."""
        return tuple(ours / reference for ours, reference in zip(self.ours, self.reference, strict=True))


def in_turns(rounds: int, ours: Callable[[], float], reference: Callable[[], float]) -> Pairs:
    """Measure A B, B A, A B, ...: neither side always comes first, nor pays for what the other left to be written."""

    def settled(side: Callable[[], float]) -> float:
        os.sync()
        return side()

    pairs: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2:
            second = settled(reference)
            pairs.append((settled(ours), second))
        else:
            first = settled(ours)
            pairs.append((first, settled(reference)))
    return Pairs(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def rate_figure(what: str, pairs: Pairs, *, unit: str, least: float, against: str, note: str = "") -> Figure:
    """Compare rates: the median of the rounds' ratios must be `least` or more."""
    ratio = median(pairs.ratios)
    return Figure(
        what=what,
        ours=f"{median(pairs.ours):,.0f} {unit}",
        reference=f"{median(pairs.reference):,.0f} {unit}: {against}",
        ratio=f"{ratio:.2f} x",
        target=f">= {least:g} x",
        met=ratio >= least,
        note=note,
        rounds=pairs.ratios,
    )


def limit_figure(
    what: str, values: Sequence[float], *, unit: str, below: float, reference: str = "", ours: str = "", note: str = ""
) -> Figure:
    """Check a bound: the median of the rounds must stay below it."""
    value = median(values)
    return Figure(
        what=what,
        ours=ours or f"{value:,.1f} {unit}",
        reference=reference,
        ratio=f"{value:,.1f} {unit}",
        target=f"< {below:g} {unit}",
        met=value < below,
        note=note,
        rounds=tuple(values),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
