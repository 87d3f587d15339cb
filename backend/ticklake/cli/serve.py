"""`ticklake serve`: the daemon."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer

from ticklake.assemble import build_service, open_traces
from ticklake.base.errors import AccessRefusedError, DiskError
from ticklake.base.logs import LogControl, set_up_logs
from ticklake.base.settings import Settings, load_settings
from ticklake.base.settings_explain import explain
from ticklake.base.settings_secrets import secret_values
from ticklake.cli.loop import new_event_loop
from ticklake.cli.spare import spare_pandas
from ticklake.sink.store_wait import has_open_requests


def serve(
    config: Annotated[Path | None, typer.Option("--config", help="TOML file with settings and tables.")] = None,
    data_root: Annotated[
        str | None, typer.Option("--data", "--data-root", help="The lake: a folder, or s3://bucket/prefix.")
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option("--state", "--state-dir", help="Folder of the log; local disk.")
    ] = None,
    nats_url: Annotated[str | None, typer.Option("--nats-url", help="NATS server, several by comma.")] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="jetstream or core.")] = None,
    create_streams: Annotated[
        bool | None, typer.Option("--create-streams/--no-create-streams", help="Create missing streams.")
    ] = None,
    http_port: Annotated[
        int | None, typer.Option("--http-port", help="Port of the status pages; 0: a free one.")
    ] = None,
    log_level: Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")] = None,
) -> None:
    """Run the service: NATS in, log, Parquet out.

    Settings come from flags, then TICKLAKE_* variables, then the TOML file; `ticklake config show` prints them all.
    TERM or INT drains and exits 0; a second one leaves at once (nothing is lost: the log is replayed).
    HUP reloads the log level, USR1 flushes, USR2 prints all stacks.
    """
    settings = load_settings(
        config=config,
        data_root=data_root,
        state_dir=state_dir,
        nats__url=nats_url,
        nats__mode=mode,
        nats__create_streams=create_streams,
        http__port=http_port,
        log_level=log_level,
    )
    control = set_up_logs(settings.log_level, settings.log_format)
    control.hide(secret_values(settings))
    log = structlog.get_logger()
    changed = {line.key: line.value for line in explain(settings) if line.origin != "default"}
    log.info(
        "service.configured", data_root=str(settings.data_root), state_dir=str(settings.state_dir), changed=changed
    )
    spare_pandas()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            runner.run(_build_and_run(settings, control))
        except BaseExceptionGroup as group:
            if (failed := group.subgroup(DiskError)) is not None:
                _leave_without_acks(failed)
            raise
        except DiskError as error:
            _leave_without_acks(error)
    if has_open_requests():  # it must not come back to an interpreter that is being taken down
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


async def _build_and_run(settings: Settings, control: LogControl) -> None:
    """Build inside the loop, because the parts hold events of it."""
    traces = open_traces(settings.otel)
    try:
        # What the house is built of stays: the collector need not walk it over and over under load.
        await build_service(settings, log_control=control, traces=traces).run(on_ready=gc.freeze)
    finally:
        await asyncio.to_thread(traces.close)


def _leave_without_acks(error: BaseException) -> None:
    """The disk failed: what was not synced may be gone, so nothing else may leave this process."""
    while isinstance(error, BaseExceptionGroup):  # its own text is long and says nothing; logs cut long texts
        error = error.exceptions[0]
    is_refused = isinstance(error, AccessRefusedError)
    first = "give that right" if is_refused else "check the disk"
    structlog.get_logger().error(
        "service.disk_failed", error=str(error), next_step=f"{first}, then start again: the log is replayed"
    )
    sys.stderr.flush()
    os._exit(AccessRefusedError.exit_code if is_refused else DiskError.exit_code)
