"""The durable path: messages to WAL to Parquet, the same for every tier."""
