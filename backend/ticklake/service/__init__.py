"""The daemon: starts the writers, reports their health, stops them in order."""

from ticklake.service.io_service import IOService

__all__ = ["IOService"]
