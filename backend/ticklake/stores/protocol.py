"""What a data store promises, aspect by aspect. `ticklake.testing.data_store` proves it for any backend.

`isinstance(store, DataStore)` says only that the methods are there; run the suite to know that they work.

For all of them: naive times are UTC; ranges include both ends; a date as an upper bound means until its end; what a
call wrote is durable when it returns; threads and processes may use one store at once; records of another symbol than
the one named are refused; symbols, names and types are any text, and different texts never share anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

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
from ticklake.stores.spans import Moment
from ticklake.stores.state import StateVersion


@runtime_checkable
class BarStore(Protocol):
    """Bars by symbol, timeframe and start; of equal keys the one written last."""

    def write_bars(self, symbol: str, bars: Sequence[PriceBar]) -> None:
        """Add or replace bars. An empty list is no write."""
        ...

    def write_bar_frame(self, symbol: str, frame: Any, *, timeframe: str = DAILY) -> int:
        """Add or replace the bars of a frame; gives how many."""
        ...

    def read_bars(self, symbol: str, start: Moment, end: Moment, *, timeframe: str = DAILY) -> list[PriceBar]:
        """Bars in order of their start; times as in the question; empty for an unknown symbol."""
        ...

    def read_bar_frame(
        self, symbol: str, start: Moment | None = None, end: Moment | None = None, *, timeframe: str = DAILY
    ) -> pl.DataFrame:
        """The same as a frame: start, open, high, low, close, volume."""
        ...

    def list_bars(self) -> list[BarSeries]:
        """What there is, by symbol and timeframe."""
        ...


@runtime_checkable
class FundamentalStore(Protocol):
    """Snapshots and facts in two times. Nothing is overwritten by a restatement."""

    def write_fundamental(self, symbol: str, data: FundamentalData) -> None:
        """Keep a snapshot."""
        ...

    def read_fundamental(self, symbol: str, as_of: Moment | None = None) -> FundamentalData | None:
        """The newest snapshot that could be known at `as_of`, times as they were written; None when there is none."""
        ...

    def read_fundamental_history(self, symbol: str) -> list[FundamentalData]:
        """Every snapshot, by event time, known time, time of writing."""
        ...

    def count_fundamentals(self) -> dict[str, int]:
        """Snapshots by symbol."""
        ...

    def write_facts(self, symbol: str, facts: Sequence[FundamentalFact]) -> None:
        """Keep reported numbers; all of them or none."""
        ...

    def read_facts(
        self, symbol: str, as_of: Moment | None = None, *, concept: str | None = None
    ) -> list[FundamentalFact]:
        """The newest statement of each concept, unit and period that could be known at `as_of`."""
        ...

    def read_fact_history(self, symbol: str, *, concept: str | None = None) -> list[FundamentalFact]:
        """Every statement, restated or not."""
        ...

    def count_facts(self) -> dict[str, int]:
        """Statements by symbol."""
        ...


@runtime_checkable
class EventStore(Protocol):
    """Events by time and type."""

    def write_event(self, event: Event) -> None:
        """Keep an event."""
        ...

    def read_events(self, start: Moment, end: Moment, types: Iterable[str] | None = None) -> list[Event]:
        """Events by time, then in the order of writing; times as in the question."""
        ...

    def count_events(self) -> dict[tuple[str, str], int]:
        """Events by UTC day and type."""
        ...


@runtime_checkable
class StateStore(Protocol):
    """State of strategies, in versions that count from 1."""

    def save_strategy_state(
        self,
        strategy_name: str,
        state: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        schema: str | None = None,
    ) -> int:
        """Save the next version; raises StateConflictError when `expected_version` is not the current one."""
        ...

    def load_strategy_state(self, strategy_name: str) -> dict[str, Any] | None:
        """The current state, with the types it was saved with; None when there is none."""
        ...

    def read_strategy_state(self, strategy_name: str, *, version: int | None = None) -> StateVersion | None:
        """A version with its number and time."""
        ...

    def list_state_versions(self, strategy_name: str) -> list[int]:
        """The versions kept."""
        ...

    def delete_old_states(self, strategy_name: str, keep_count: int = 10) -> int:
        """Remove all but the newest versions; how many. The current state always stays."""
        ...

    def list_strategies(self) -> list[str]:
        """Strategies with a state."""
        ...


@runtime_checkable
class AuditStore(Protocol):
    """Two append-only logs, each a chain of hashes."""

    def log_decision(self, strategy_name: str, decision: Decision) -> LoggedDecision:
        """Append a decision."""
        ...

    def log_order(self, strategy_name: str, order: Order, result: OrderResult) -> LoggedOrder:
        """Append an order and its result."""
        ...

    def read_decisions(
        self, start: Moment | None = None, end: Moment | None = None, *, strategy_name: str | None = None
    ) -> list[LoggedDecision]:
        """Decisions by the time of logging, in the order of logging."""
        ...

    def read_orders(
        self, start: Moment | None = None, end: Moment | None = None, *, strategy_name: str | None = None
    ) -> list[LoggedOrder]:
        """Orders by the time of logging, in the order of logging."""
        ...

    def verify_audit(self, kind: AuditKind, *, anchor: ChainHead | None = None) -> AuditReport:
        """Find every line that was changed, removed or reordered."""
        ...


@runtime_checkable
class DataStore(BarStore, FundamentalStore, EventStore, StateStore, AuditStore, Protocol):
    """Everything a strategy keeps."""
