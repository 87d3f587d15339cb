"""Which decisions are wanted: as a check of one summary, and as a condition in SQL. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ticklake.base.errors import UsageError
from ticklake.stores.decision_record import Summary
from ticklake.stores.decision_time import Moment, moment_ns

Words = str | Iterable[str] | None
"""One value, several of which one must hold, or None for any."""

_COLUMNS: Final = ("pair", "action", "status", "strategy", "provider")


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Conditions that must all hold. Values match exactly; None lets everything through.

    Attributes:
        pair: wanted instruments.
        action: wanted actions.
        status: wanted statuses.
        strategy: wanted strategies.
        provider: wanted models or modules (`ai_provider`).
        start_ns: first decision time, included, ns UTC.
        until_ns: decision time at which to stop, not included, ns UTC.
    """

    pair: frozenset[str] | None = None
    action: frozenset[str] | None = None
    status: frozenset[str] | None = None
    strategy: frozenset[str] | None = None
    provider: frozenset[str] | None = None
    start_ns: int | None = None
    until_ns: int | None = None

    @classmethod
    def of(
        cls,
        *,
        pair: Words = None,
        action: Words = None,
        status: Words = None,
        strategy: Words = None,
        provider: Words = None,
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> DecisionFilter:
        """From what people write; `start` is included, `end` is not.

        Raises:
            UsageError: a time is none, or nothing lies between start and end.
        """
        start_ns = None if start is None else moment_ns(start)
        until_ns = None if end is None else moment_ns(end)
        if start_ns is not None and until_ns is not None and start_ns >= until_ns:
            raise UsageError(f"nothing lies between {start!r} and {end!r}: the end is not included; give a later end")
        return cls(_words(pair), _words(action), _words(status), _words(strategy), _words(provider), start_ns, until_ns)

    def accepts(self, summary: Summary) -> bool:
        """Whether a decision is wanted."""
        return (
            all(
                wanted is None or getattr(summary, column) in wanted
                for column, wanted in zip(_COLUMNS, self._wanted(), strict=True)
            )
            and (self.start_ns is None or summary.decision_ns >= self.start_ns)
            and (self.until_ns is None or summary.decision_ns < self.until_ns)
        )

    def condition(self) -> tuple[str, list[str | int]]:
        """The same as SQL over the columns of the index: a condition, and its parameters."""
        terms, parameters = ["shadowed = 0"], list[str | int]()
        for column, wanted in zip(_COLUMNS, self._wanted(), strict=True):
            if wanted is not None:
                terms.append(f"{column} IN ({', '.join('?' * len(wanted))})")
                parameters += sorted(wanted)
        if self.start_ns is not None:
            terms.append("decision_ns >= ?")
            parameters.append(self.start_ns)
        if self.until_ns is not None:
            terms.append("decision_ns < ?")
            parameters.append(self.until_ns)
        return " AND ".join(terms), parameters

    def _wanted(self) -> tuple[frozenset[str] | None, ...]:
        return (self.pair, self.action, self.status, self.strategy, self.provider)


def _words(words: Words) -> frozenset[str] | None:
    if words is None:
        return None
    return frozenset({words} if isinstance(words, str) else words)
