"""Room 3: live signals, and training sets promoted from feature versions."""

from ticklake.gold.curator import GoldCurator
from ticklake.gold.gates import Gate, GateLimits
from ticklake.gold.promotion import Promotion
from ticklake.gold.validation import DatasetValidation
from ticklake.gold.writer import GoldWriter
from ticklake.readers.gold import GoldReader

__all__ = ["DatasetValidation", "Gate", "GateLimits", "GoldCurator", "GoldReader", "GoldWriter", "Promotion"]
