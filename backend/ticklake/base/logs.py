"""Structured logs on stderr: JSON lines off a terminal, colours on one, secrets masked, attacker text made harmless.

Event names read `room.thing_happened`; facts are fields with units. Times are RFC 3339 UTC with nanoseconds.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import Processor

from ticklake.base.clock import Clock, SystemClock, format_time
from ticklake.base.redact import LOOKED_AT_CHARS_MAX, MASK, is_secret_name, redact_text, redact_traceback, spellings
from ticklake.base.settings import LogFormat, LogLevel

TEXT_CHARS_MAX: Final = 200
_DEPTH_MAX: Final = 4
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50, "exception": 40}
_TRACEBACK: Final = "exception"

Event = MutableMapping[str, Any]


class LogControl:
    """What may be changed while the service runs: the level, and what is hidden."""

    def __init__(self, level: LogLevel) -> None:
        self._level_min = _LEVELS[level]
        self._hidden: tuple[str, ...] = ()

    def set_level(self, level: LogLevel) -> None:
        """Let events of `level` and above through, from the next event on, in every logger."""
        self._level_min = _LEVELS[level]

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these wherever they stand in an event, from the next one on, in any spelling that we know."""
        self._hidden = spellings(secrets)

    def drop_below_level(self, _logger: Any, method: str, event: Event) -> Event:
        """Processor: end the journey of events that nobody asked for."""
        if _LEVELS[method] < self._level_min:
            raise structlog.DropEvent
        return event

    def make_harmless(self, _logger: Any, _method: str, event: Event) -> Event:
        """Processor: mask secrets, quote control characters, cut long text.

        A subject or payload in a log line is text of a stranger: it must not start a new line, move a cursor or flood
        the log. Tracebacks keep their lines.
        """
        for key, value in event.items():
            if key == _TRACEBACK:
                event[key] = redact_traceback(str(value), hidden=self._hidden)
            else:
                event[key] = self._harmless(key, value, 0)
        return event

    def _harmless(self, name: str, value: Any, depth: int) -> Any:
        if is_secret_name(name) and value is not None:
            return MASK
        if isinstance(value, bool | int | float) or value is None:
            return value
        if depth < _DEPTH_MAX:
            if isinstance(value, Mapping):
                return {
                    self._short(str(key)): self._harmless(str(key), inner, depth + 1) for key, inner in value.items()
                }
            if isinstance(value, list | tuple | set | frozenset):
                return [self._harmless(name, inner, depth + 1) for inner in value]
        if isinstance(value, bytes):
            value = value[:LOOKED_AT_CHARS_MAX]
        return self._short(value if isinstance(value, str) else repr(value))

    def _short(self, text: str) -> str:
        text = redact_text(text[:LOOKED_AT_CHARS_MAX], hidden=self._hidden)
        if not text.isprintable():
            text = repr(text[: TEXT_CHARS_MAX + 1])
        return text if len(text) <= TEXT_CHARS_MAX else f"{text[:TEXT_CHARS_MAX]}..."


def set_up_logs(
    level: LogLevel = "info",
    log_format: LogFormat = "auto",
    *,
    stream: TextIO | None = None,
    clock: Clock | None = None,
) -> LogControl:
    """Send all events, ours and those of libraries, to `stream` (default: stderr). Call once per process.

    Returns:
        the handle to turn the level later (SIGHUP).
    """
    stream = stream or sys.stderr
    control = LogControl(level)
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    processors: list[Processor] = [
        control.drop_below_level,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _TimeStamp(clock or SystemClock()),
        structlog.processors.format_exc_info,
        control.make_harmless,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback) if console else render_json,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.BoundLogger,
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _LibraryHandler)]:
        root.removeHandler(handler)
    root.addHandler(_LibraryHandler())
    root.setLevel(logging.WARNING)  # libraries chat at info
    return control


def render_json(_logger: Any, _method: str, event: Event) -> str:
    """Processor: one JSON object, `time`, `level` and `event` first."""
    first = {key: event[key] for key in ("time", "level", "event") if key in event}
    return msgspec.json.encode(first | dict(event), enc_hook=repr).decode()


class _TimeStamp:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, _logger: Any, _method: str, event: Event) -> Event:
        event["time"] = format_time(self._clock.wall_ns())
        return event


class _LibraryHandler(logging.Handler):
    """Brings the standard library's log records into our stream, so that they are masked and shaped like ours."""

    def emit(self, record: logging.LogRecord) -> None:
        method = (
            "error" if record.levelno >= logging.ERROR else "warning" if record.levelno >= logging.WARNING else "info"
        )
        getattr(structlog.get_logger(), method)(
            "library.logged", library=record.name, text=record.getMessage(), exc_info=record.exc_info
        )
