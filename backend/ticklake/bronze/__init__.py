"""Room 1: raw market events, as received."""

from typing import TYPE_CHECKING, Any

from ticklake.bronze.writer import BronzeWriter

if TYPE_CHECKING:
    from ticklake.readers.bronze import BronzeReader

__all__ = ["BronzeReader", "BronzeWriter"]


def __getattr__(name: str) -> Any:
    """Import the reader on first use: the service, which writes, starts without Polars."""
    if name == "BronzeReader":
        from ticklake.readers.bronze import BronzeReader

        return BronzeReader
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
