"""A market-data lake that can prove it lost nothing: NATS in, write-ahead log, hive-partitioned Parquet out.

    from ticklake import open_lake

    lake = open_lake("data")
    lake.scan("futures.trades", symbol="ES", date="2024-12-16").collect()
    lake.sql("SELECT symbol, count(*) FROM futures.trades GROUP BY 1")
    lake.catalog.runs, lake.catalog.datasets, lake.stores.decisions, lake.stores.data

The service is `ticklake serve` (or `ticklake.service.IOService`); the map of the code is DATA_ARCHITECTURE.md.
"""

from typing import TYPE_CHECKING, Any

from ticklake.base.version import __version__

if TYPE_CHECKING:
    from ticklake.assemble.lake import Lake, open_lake

__all__ = ["Lake", "__version__", "open_lake"]


def __getattr__(name: str) -> Any:
    """Import the lake on first use, so that `import ticklake` and the command line stay quick."""
    if name in ("Lake", "open_lake"):
        from ticklake.assemble import lake

        return getattr(lake, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
