"""A data store that can be looked at and not changed: for dashboards, replays and the morning after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ticklake.stores.data_store import ComposedDataStore
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
from ticklake.stores.protocol import DataStore
from ticklake.stores.read_only_error import ReadOnlyError


class ReadOnlyDataStore(ComposedDataStore):
    """Any `DataStore`, with every call that writes refused by `ReadOnlyError`."""

    def __init__(self, store: DataStore) -> None:
        """Look at a store; the store itself stays as it is."""
        super().__init__(bars=store, fundamentals=store, facts=store, events=store, state=store, audit=store)

    def write_bars(self, symbol: str, bars: Sequence[PriceBar]) -> NoReturn:
        """Refused."""
        raise ReadOnlyError("write_bars")

    def write_bar_frame(self, symbol: str, frame: Any, *, timeframe: str = DAILY) -> NoReturn:
        """Refused."""
        raise ReadOnlyError("write_bar_frame")

    def write_fundamental(self, symbol: str, data: FundamentalData) -> NoReturn:
        """Refused."""
        raise ReadOnlyError("write_fundamental")

    def write_facts(self, symbol: str, facts: Sequence[FundamentalFact]) -> NoReturn:
        """Refused."""
        raise ReadOnlyError("write_facts")

    def write_event(self, event: Event) -> NoReturn:
        """Refused."""
        raise ReadOnlyError("write_event")

    def save_strategy_state(
        self,
        strategy_name: str,
        state: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        schema: str | None = None,
    ) -> NoReturn:
        """Refused."""
        raise ReadOnlyError("save_strategy_state")

    def delete_old_states(self, strategy_name: str, keep_count: int = 10) -> NoReturn:
        """Refused."""
        raise ReadOnlyError("delete_old_states")

    def log_decision(self, strategy_name: str, decision: Decision) -> NoReturn:
        """Refused."""
        raise ReadOnlyError("log_decision")

    def log_order(self, strategy_name: str, order: Order, result: OrderResult) -> NoReturn:
        """Refused."""
        raise ReadOnlyError("log_order")
