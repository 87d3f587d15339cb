"""`ticklake doctor`: looks at everything the service will depend on, before it does."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ticklake.base.clock import SystemClock
from ticklake.base.errors import CheckFailedError
from ticklake.base.logs import set_up_logs
from ticklake.base.settings import load_settings
from ticklake.cli.doctor_machine import check_machine
from ticklake.cli.doctor_nats import check_nats
from ticklake.cli.doctor_store import check_store
from ticklake.cli.finding import Grade
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.sink.tier import make_catalog


def doctor(
    config: Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Leave out the NATS server and the object store.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check disk, clock, limits and NATS before you go live. Exit code 3 when a check fails."""
    settings = load_settings(config=config)
    catalog = make_catalog(settings)
    set_up_logs("error", settings.log_format)  # the findings say what the log would
    clock = SystemClock()
    findings = list(check_machine(settings, clock))
    if not offline:
        findings += check_store(settings, clock)
        streams = [(name, [table.subject for table in tables]) for name, tables in catalog.streams().items()]
        findings += asyncio.run(check_nats(settings, clock, streams=streams))
    show_rows([asdict(finding) for finding in findings], output)
    grades = Counter(finding.grade for finding in findings)
    if grades[Grade.FAIL]:
        raise CheckFailedError(f"{grades[Grade.FAIL]} of {len(findings)} checks failed; do the next steps above")
