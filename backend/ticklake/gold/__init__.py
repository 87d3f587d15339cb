"""Room 3: live signals, and training sets promoted from feature versions."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ticklake.gold.curator import GoldCurator
    from ticklake.gold.gates import Gate, GateLimits
    from ticklake.gold.promotion import Promotion
    from ticklake.gold.validation import DatasetValidation
    from ticklake.gold.writer import GoldWriter
    from ticklake.readers.gold import GoldReader

_HOMES = {
    "DatasetValidation": "gold.validation",
    "Gate": "gold.gates",
    "GateLimits": "gold.gates",
    "GoldCurator": "gold.curator",
    "GoldReader": "readers.gold",
    "GoldWriter": "gold.writer",
    "Promotion": "gold.promotion",
}

__all__ = ["DatasetValidation", "Gate", "GateLimits", "GoldCurator", "GoldReader", "GoldWriter", "Promotion"]


def __getattr__(name: str) -> Any:
    """Import a part on first use: the service, which writes signals, starts without the curator and its Polars."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"ticklake.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
