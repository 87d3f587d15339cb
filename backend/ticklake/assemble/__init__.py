"""The composition root: the only room where concrete classes of one floor meet.

build_service, build_bus    settings in, running parts out
open_traces                 where spans go
Lake, open_lake             one object to read a lake and to keep its records
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ticklake.assemble.lake import Lake, open_lake
    from ticklake.assemble.service import build_bus, build_service
    from ticklake.assemble.traces import open_traces

_HOMES = {
    "Lake": "lake", "build_bus": "service", "build_service": "service", "open_lake": "lake", "open_traces": "traces",
}  # fmt: skip

__all__ = ["Lake", "build_bus", "build_service", "open_lake", "open_traces"]


def __getattr__(name: str) -> Any:
    """Import a part on first use: who reads a lake needs no NATS."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"ticklake.assemble.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
