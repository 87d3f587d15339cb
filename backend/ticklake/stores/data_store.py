"""A data store made of one part per aspect. What each call promises is written in `protocol`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import polars as pl

from ticklake.stores.audit_chain import ChainHead
from ticklake.stores.audit_records import AuditKind, AuditReport, LoggedDecision, LoggedOrder
from ticklake.stores.bars import BarSeries
from ticklake.stores.models import (
    DAILY,
    Decision,
    Event,
    FundamentalData,
    FundamentalFact,
    Order,
    OrderResult,
    PriceBar,
)
from ticklake.stores.protocol import AuditStore, BarStore, EventStore, StateStore
from ticklake.stores.spans import Moment
from ticklake.stores.state import StateVersion


class SnapshotPart(Protocol):
    """The part of a FundamentalStore that keeps snapshots."""

    def write_fundamental(self, symbol: str, data: FundamentalData) -> None:
        """Keep a snapshot."""
        ...

    def read_fundamental(self, symbol: str, as_of: Moment | None = None) -> FundamentalData | None:
        """The newest that could be known."""
        ...

    def read_fundamental_history(self, symbol: str) -> list[FundamentalData]:
        """All of them."""
        ...

    def count_fundamentals(self) -> dict[str, int]:
        """By symbol."""
        ...


class FactPart(Protocol):
    """The part of a FundamentalStore that keeps reported numbers."""

    def write_facts(self, symbol: str, facts: Sequence[FundamentalFact]) -> None:
        """Keep them."""
        ...

    def read_facts(
        self, symbol: str, as_of: Moment | None = None, *, concept: str | None = None
    ) -> list[FundamentalFact]:
        """The newest statements that could be known."""
        ...

    def read_fact_history(self, symbol: str, *, concept: str | None = None) -> list[FundamentalFact]:
        """All of them."""
        ...

    def count_facts(self) -> dict[str, int]:
        """By symbol."""
        ...


class ComposedDataStore:
    """A `DataStore` that hands each call to the part it concerns."""

    def __init__(
        self,
        *,
        bars: BarStore,
        fundamentals: SnapshotPart,
        facts: FactPart,
        events: EventStore,
        state: StateStore,
        audit: AuditStore,
    ) -> None:
        self._bars = bars
        self._fundamentals = fundamentals
        self._facts = facts
        self._events = events
        self._state = state
        self._audit = audit

    def write_bars(self, symbol: str, bars: Sequence[PriceBar]) -> None:
        """Add bars; one with the key of a stored bar replaces it."""
        self._bars.write_bars(symbol, bars)

    def write_bar_frame(self, symbol: str, frame: Any, *, timeframe: str = DAILY) -> int:
        """Add the bars of a frame; gives how many."""
        return self._bars.write_bar_frame(symbol, frame, timeframe=timeframe)

    def read_bars(self, symbol: str, start: Moment, end: Moment, *, timeframe: str = DAILY) -> list[PriceBar]:
        """Bars that start from `start` to `end`, both included, in order."""
        return self._bars.read_bars(symbol, start, end, timeframe=timeframe)

    def read_bar_frame(
        self, symbol: str, start: Moment | None = None, end: Moment | None = None, *, timeframe: str = DAILY
    ) -> pl.DataFrame:
        """The same bars as a frame."""
        return self._bars.read_bar_frame(symbol, start, end, timeframe=timeframe)

    def list_bars(self) -> list[BarSeries]:
        """What bars there are, by symbol and timeframe."""
        return self._bars.list_bars()

    def write_fundamental(self, symbol: str, data: FundamentalData) -> None:
        """Keep a snapshot beside all earlier ones."""
        self._fundamentals.write_fundamental(symbol, data)

    def read_fundamental(self, symbol: str, as_of: Moment | None = None) -> FundamentalData | None:
        """The newest snapshot that could be known at `as_of`; None when there is none."""
        return self._fundamentals.read_fundamental(symbol, as_of)

    def read_fundamental_history(self, symbol: str) -> list[FundamentalData]:
        """Every snapshot, restated or not."""
        return self._fundamentals.read_fundamental_history(symbol)

    def count_fundamentals(self) -> dict[str, int]:
        """Snapshots by symbol."""
        return self._fundamentals.count_fundamentals()

    def write_facts(self, symbol: str, facts: Sequence[FundamentalFact]) -> None:
        """Keep reported numbers beside all earlier ones."""
        self._facts.write_facts(symbol, facts)

    def read_facts(
        self, symbol: str, as_of: Moment | None = None, *, concept: str | None = None
    ) -> list[FundamentalFact]:
        """The newest statement of each concept, unit and period that could be known at `as_of`."""
        return self._facts.read_facts(symbol, as_of, concept=concept)

    def read_fact_history(self, symbol: str, *, concept: str | None = None) -> list[FundamentalFact]:
        """Every statement, restated or not."""
        return self._facts.read_fact_history(symbol, concept=concept)

    def count_facts(self) -> dict[str, int]:
        """Statements by symbol."""
        return self._facts.count_facts()

    def write_event(self, event: Event) -> None:
        """Keep an event."""
        self._events.write_event(event)

    def read_events(self, start: Moment, end: Moment, types: Iterable[str] | None = None) -> list[Event]:
        """Events from `start` to `end`, both included, by time."""
        return self._events.read_events(start, end, types)

    def count_events(self) -> dict[tuple[str, str], int]:
        """Events by UTC day and type."""
        return self._events.count_events()

    def save_strategy_state(
        self,
        strategy_name: str,
        state: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        schema: str | None = None,
    ) -> int:
        """Save the next version of a state, and give its number.

        Raises:
            StateConflictError: `expected_version` is not the current one; load again, decide again.
        """
        return self._state.save_strategy_state(strategy_name, state, expected_version=expected_version, schema=schema)

    def load_strategy_state(self, strategy_name: str) -> dict[str, Any] | None:
        """The current state; None when none was ever saved."""
        return self._state.load_strategy_state(strategy_name)

    def read_strategy_state(self, strategy_name: str, *, version: int | None = None) -> StateVersion | None:
        """A version with its number and time; the current one by default."""
        return self._state.read_strategy_state(strategy_name, version=version)

    def list_state_versions(self, strategy_name: str) -> list[int]:
        """The versions kept, oldest first."""
        return self._state.list_state_versions(strategy_name)

    def delete_old_states(self, strategy_name: str, keep_count: int = 10) -> int:
        """Remove all but the newest `keep_count` versions of a state; how many."""
        return self._state.delete_old_states(strategy_name, keep_count)

    def list_strategies(self) -> list[str]:
        """Names of all strategies with a state, sorted."""
        return self._state.list_strategies()

    def log_decision(self, strategy_name: str, decision: Decision) -> LoggedDecision:
        """Append a decision to the audit log."""
        return self._audit.log_decision(strategy_name, decision)

    def log_order(self, strategy_name: str, order: Order, result: OrderResult) -> LoggedOrder:
        """Append an order and its result to the audit log."""
        return self._audit.log_order(strategy_name, order, result)

    def read_decisions(
        self, start: Moment | None = None, end: Moment | None = None, *, strategy_name: str | None = None
    ) -> list[LoggedDecision]:
        """Decisions logged from `start` to `end`, both included."""
        return self._audit.read_decisions(start, end, strategy_name=strategy_name)

    def read_orders(
        self, start: Moment | None = None, end: Moment | None = None, *, strategy_name: str | None = None
    ) -> list[LoggedOrder]:
        """Orders logged from `start` to `end`, both included."""
        return self._audit.read_orders(start, end, strategy_name=strategy_name)

    def verify_audit(self, kind: AuditKind, *, anchor: ChainHead | None = None) -> AuditReport:
        """Find every line of a log that was changed, removed or reordered."""
        return self._audit.verify_audit(kind, anchor=anchor)
