"""A real server, a real service, and what an operator looks at: reasons, metrics, the log, the runbook's commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.crash.harness_faults import SMALL_BATCHES, STREAM, Market, check_exactly_once, check_so_far
from tests.e2e.harness import Service, clean_environment

from ticklake.testing.nats_server import NatsServer

RUNBOOKS = Path(__file__).parents[2] / "backend" / "docs" / "runbooks"
# Little patience with a stalled server, much with the disk: the machine that runs the tests may be busy.
QUICK: dict[str, object] = SMALL_BATCHES | {"health__stall_s": 1.5, "health__sync_slow_s": 10}
_BLOCK = re.compile(r"^```sh\n# tried: (?P<name>[a-z-]+)\n(?P<script>.*?)^```$", re.DOTALL | re.MULTILINE)
_SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_COMMAND_TIMEOUT_S = 200


class Site(Market):
    """A numbered market whose server a test may hurt."""

    @property
    def server(self) -> NatsServer:
        return self._server


def new_service(folder: Path, market: Market, **settings: object) -> Service:
    """A service with small batches and little patience; not started."""
    return Service(folder, market.url, settings=QUICK | settings)


def reasons(service: Service) -> dict[str, dict[str, Any]]:
    """What `/readyz` names, by code; empty when ready."""
    answer = json.loads(service.get("/readyz?verbose")[1])
    return {reason["code"]: reason for reason in answer["reasons"]}


def wait_reason(service: Service, code: str, *, timeout_s: float = 120) -> dict[str, Any]:
    """Until `/readyz` is 503 for that reason; the reason. What a restart cannot mend must not make us not live."""
    found: list[dict[str, Any]] = []

    def is_said() -> bool:
        found[:] = [reason for reason in [reasons(service).get(code)] if reason is not None]
        return bool(found)

    service.wait_for(is_said, f"says {code}", timeout_s=timeout_s, seen=lambda: service.get("/readyz"))
    assert service.get("/livez")[0] == 200
    assert found[0]["next_step"], found[0]
    return found[0]


def wait_logged(service: Service, event: str, code: str) -> None:
    """Until the log has said that the service is not ready for this reason: the line that the runbook shows."""
    service.wait_for(
        lambda: any(code in str(line.get("reasons")) for line in service.events(event)),
        f"logs {event} with {code}",
    )


def metric(service: Service, name: str, **labels: str) -> float:
    """The value of a sample of `/metrics`; the sum when several match the labels."""
    page = service.get("/metrics")[1].decode()
    values = []
    for line in page.splitlines():
        found = _SAMPLE.match(line)
        if found is None or found["name"] != name:
            continue
        has = dict(re.findall(r'(\w+)="([^"]*)"', found["labels"] or ""))
        if all(has.get(label) == value for label, value in labels.items()):
            values.append(float(found["value"]))
    assert values, f"/metrics has no {name} with {labels}"
    return sum(values)


def wait_metric(service: Service, name: str, is_right: Any, **labels: str) -> None:
    """Until the sample is as the alert needs it. Gauges are set once a second."""
    service.wait_for(
        lambda: is_right(metric(service, name, **labels)),
        f"shows {name} as the alert needs it",
        seen=lambda: metric(service, name, **labels),
    )


def assert_healed(service: Service, market: Market, *, more: int = 120) -> None:
    """Ready again, takes new messages, and holds every message once."""
    service.wait_ready()
    market.publish(more)
    service.wait_settled(STREAM, market.published)
    check_so_far(service)


def finish(service: Service, market: Market) -> None:
    """Stop in order, then ask the oracle."""
    assert service.terminate() == 0, service.log_tail()
    check_exactly_once(service, market.published)


def blocks(runbook: str) -> dict[str, str]:
    """The commands of a runbook that claim to be tried, by name."""
    text = (RUNBOOKS / f"{runbook}.md").read_text(encoding="utf-8")
    return {found["name"]: found["script"] for found in _BLOCK.finditer(text)}


def try_block(
    runbook: str, name: str, service: Service, *, code: int = 0, more: Mapping[str, object] | None = None
) -> str:
    """Run the commands of a runbook exactly as they stand there; what they wrote.

    Args:
        runbook: file name without `.md`.
        name: of the block.
        service: whose settings the operator has in the environment; `$STATUS` is the address of its pages.
        code: exit code of the last command that decides.
        more: more settings.
    """
    environment = clean_environment({"writer_id": "faultbed"} | service.settings | dict(more or {}))
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    if service.is_running():
        environment["STATUS"] = f"http://127.0.0.1:{service.port}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", blocks(runbook)[name]],
        cwd=service.log_path.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_COMMAND_TIMEOUT_S,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, f"{runbook}: {name} ended with {done.returncode}\n{said}"
    return said
