"""The ground: errors, clock, settings, logs, metrics, lifecycle. No market, no NATS, no Parquet."""
