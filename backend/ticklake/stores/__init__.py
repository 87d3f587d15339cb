"""The desk: decisions, time series, bars, fundamentals, events, state, audit, and plain files.

    DecisionStore          one JSON file per decision, with revisions, orders, fills and outcomes
    TimeSeriesDataStore    JSON lines and frames per symbol
    ProviderCache          answers of data providers, with a time to live
    DataStore              what a store of bars, fundamentals, events, state and audit promises; FileDataStore keeps it
    save_parquet, save_json and their load twins    files at paths of your choice

The truth is JSON, JSON lines and Parquet, written whole or not at all; a SQLite index may be deleted and is rebuilt.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ticklake.stores.audit_chain import ChainHead
    from ticklake.stores.audit_records import AuditKind
    from ticklake.stores.cache import ProviderCache
    from ticklake.stores.decisions import DecisionStore
    from ticklake.stores.file_store import FileDataStore
    from ticklake.stores.json_files import load_json, save_json
    from ticklake.stores.models import (
        Action,
        Decision,
        Event,
        FundamentalData,
        FundamentalFact,
        Order,
        OrderResult,
        OrderStatus,
        PriceBar,
    )
    from ticklake.stores.parquet_files import list_parquet_files, load_parquet, save_parquet
    from ticklake.stores.postgres import PostgresDataStore
    from ticklake.stores.protocol import DataStore
    from ticklake.stores.read_only import ReadOnlyDataStore
    from ticklake.stores.read_only_error import ReadOnlyError
    from ticklake.stores.state import StateConflictError
    from ticklake.stores.timeseries import TimeSeriesDataStore

_HOMES = {
    "Action": "models",
    "AuditKind": "audit_records",
    "ChainHead": "audit_chain",
    "DataStore": "protocol",
    "Decision": "models",
    "DecisionStore": "decisions",
    "Event": "models",
    "FileDataStore": "file_store",
    "FundamentalData": "models",
    "FundamentalFact": "models",
    "Order": "models",
    "OrderResult": "models",
    "OrderStatus": "models",
    "PostgresDataStore": "postgres",
    "PriceBar": "models",
    "ProviderCache": "cache",
    "ReadOnlyDataStore": "read_only",
    "ReadOnlyError": "read_only_error",
    "StateConflictError": "state",
    "TimeSeriesDataStore": "timeseries",
    "list_parquet_files": "parquet_files",
    "load_json": "json_files",
    "load_parquet": "parquet_files",
    "save_json": "json_files",
    "save_parquet": "parquet_files",
}

__all__ = [
    "Action",
    "AuditKind",
    "ChainHead",
    "DataStore",
    "Decision",
    "DecisionStore",
    "Event",
    "FileDataStore",
    "FundamentalData",
    "FundamentalFact",
    "Order",
    "OrderResult",
    "OrderStatus",
    "PostgresDataStore",
    "PriceBar",
    "ProviderCache",
    "ReadOnlyDataStore",
    "ReadOnlyError",
    "StateConflictError",
    "TimeSeriesDataStore",
    "list_parquet_files",
    "load_json",
    "load_parquet",
    "save_json",
    "save_parquet",
]


def __getattr__(name: str) -> Any:
    """Import a store on first use: a reader of decisions needs no Parquet."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"ticklake.stores.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
