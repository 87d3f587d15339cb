"""The service: settings in, running parts out."""

from __future__ import annotations

from collections.abc import Callable

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.logs import LogControl
from ticklake.base.metrics import Metrics
from ticklake.base.settings import Settings, code_revision, reload_settings, service_manager
from ticklake.base.traces import Traces
from ticklake.base.version import __version__
from ticklake.bronze.writer import BronzeWriter
from ticklake.files.lease import StateFolder
from ticklake.gold.writer import GoldWriter
from ticklake.ingest.bus import NatsBus
from ticklake.service.io_service import Face, IOService
from ticklake.service.notify import Notifier
from ticklake.service.status import Status
from ticklake.sink.tier import make_catalog
from ticklake.web.server import HttpServer


def build_service(
    settings: Settings,
    *,
    log_control: LogControl | None = None,
    has_http: bool = True,
    clock: Clock | None = None,
    traces: Traces | None = None,
) -> IOService:
    """A service that is ready to `run`.

    Args:
        settings: of the service.
        log_control: lets SIGHUP change the log level.
        has_http: serve status and metrics.
        clock: None: the machine's.
        traces: where spans go, see `open_traces`; None: nowhere.

    Raises:
        RetryableError: another writer holds the state folder; the text names it.
        ConfigError: a table or key file is wrong.
    """
    clock = clock or SystemClock()
    catalog = make_catalog(settings)
    metrics = Metrics(version=__version__, revision=code_revision())
    manager = service_manager()
    bus = build_bus(settings, metrics=metrics, clock=clock)
    state = StateFolder.open(str(settings.writer_state_dir()), writer_id=settings.writer_id)
    tiers = tuple(
        writer(bus, settings=settings, state=state, catalog=catalog, metrics=metrics, traces=traces, clock=clock)
        for writer in (BronzeWriter, GoldWriter)
    )

    def make_face(status: Callable[[], Status]) -> Face:
        return HttpServer(settings.http.host, settings.http.port, status, metrics)

    def reload_level() -> str:
        level = reload_settings(settings).log_level
        if log_control is not None:
            log_control.set_level(level)
        return level

    return IOService(
        settings,
        version=__version__,
        state=state,
        bus=bus,
        tiers=tiers,
        metrics=metrics,
        notifier=Notifier(manager.notify_socket, watchdog_s=manager.watchdog_s),
        clock=clock,
        make_face=make_face if has_http else None,
        reload_level=reload_level,
    )


def build_bus(settings: Settings, *, metrics: Metrics | None = None, clock: Clock | None = None) -> NatsBus:
    """A connection to NATS, not yet connected."""
    return NatsBus(
        settings.nats,
        clock=clock or SystemClock(),
        metrics=metrics or Metrics(version=__version__),
        sync_interval_s=settings.wal.sync_interval_ms / 1000,
    )
