"""The shelves: tables as Parquet files, how they get there, and the ledger of what did."""
