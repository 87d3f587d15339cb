"""Traces as the settings want them."""

from __future__ import annotations

from ticklake.base.errors import ConfigError
from ticklake.base.settings_groups import OtelSettings
from ticklake.base.traces import NoTraces, Traces
from ticklake.base.version import __version__


def open_traces(settings: OtelSettings) -> Traces:
    """Where spans go; close it at the end of the program.

    Raises:
        ConfigError: traces are on and OpenTelemetry is not installed, or its environment makes no sense.
    """
    if not settings.enabled:
        return NoTraces()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        from ticklake.base.traces_otel import OtelTraces
    except ImportError as error:
        raise ConfigError(
            f"otel.enabled = true, but {error.name} is not installed; run `pip install 'ticklake[otel]'` "
            "or switch traces off"
        ) from error
    try:
        return OtelTraces(OTLPSpanExporter(), version=__version__)
    except ValueError as error:
        raise ConfigError(f"otel.enabled = true, but an OTEL_* variable is wrong: {error}; correct it") from error
