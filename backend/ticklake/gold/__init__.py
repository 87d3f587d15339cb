"""Room 3: live signals."""

from ticklake.gold.writer import GoldWriter
from ticklake.readers.gold import GoldReader

__all__ = ["GoldReader", "GoldWriter"]
