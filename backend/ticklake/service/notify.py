"""Tells the service manager how we are, by the datagrams of `sd_notify(3)`. Silent when nobody listens."""

from __future__ import annotations

import math
import socket

import structlog

log = structlog.get_logger()


class Notifier:
    """Sends states to the socket that the manager named in NOTIFY_SOCKET.

    A manager that went away must not stop the service: a send that fails is logged, not raised.
    """

    def __init__(self, address: str | None, *, watchdog_s: float | None = None) -> None:
        """Nothing is sent yet.

        Args:
            address: the manager's socket; None: nobody listens.
            watchdog_s: the manager expects a sign of life within this time; None: it does not watch.
        """
        self.watchdog_s = watchdog_s
        # A leading @ stands for the NUL byte of an abstract socket.
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address

    def ready(self) -> None:
        """The service works: units ordered after it may start."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send("STATUS=" + " ".join(text.split()))

    def stopping(self) -> None:
        """The service ends in order."""
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        """A sign of life; due at half the manager's watchdog time."""
        self._send("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for so much more time to start or stop, from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={math.ceil(seconds * 1e6)}")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto(state.encode(), self._address)
            except OSError as error:
                log.warning("service.notify_failed", state=state, error=str(error))
