"""A market-data lake that can prove it lost nothing: NATS in, write-ahead log, Parquet out."""

__version__ = "0.1.0"
