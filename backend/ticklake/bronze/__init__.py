"""Room 1: raw market events, as received."""

from ticklake.bronze.writer import BronzeWriter
from ticklake.readers.bronze import BronzeReader

__all__ = ["BronzeReader", "BronzeWriter"]
