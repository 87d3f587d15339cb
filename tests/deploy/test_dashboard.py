"""The dashboard: right for Grafana's provisioning, about metrics and labels that exist, with queries that parse."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ticklake.base.metrics import Metrics

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/grafana/dashboards/ticklake.json"
VARIABLES = {"datasource", "job", "instance", "lane"}
OF_THE_PROCESS = {
    "process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds",
    "process_max_fds",
}  # fmt: skip
OF_THE_SCRAPE = {"job", "instance", "exported_job", "le"}
SELECTOR = re.compile(r"\b((?:ticklake|process)_\w+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
WIDTH = 24


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Title of the panel and query."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for note in dashboard["annotations"]["list"]:
        yield note["name"], note["expr"]


def datasources(part: Any) -> Iterator[str]:
    """The data source of every part that names one."""
    if isinstance(part, dict):
        if "datasource" in part:
            yield part["datasource"]["uid"] if isinstance(part["datasource"], dict) else part["datasource"]
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from datasources(inner)


def labels_by_name() -> dict[str, set[str]]:
    """Every name a query may use, with its labels."""
    known: dict[str, set[str]] = {name: set() for name in OF_THE_PROCESS}
    for fact in Metrics(version="").facts:
        ends = ("_bucket", "_sum", "_count") if fact.kind == "histogram" else ("",)
        known |= {fact.name + end: set(fact.labels) for end in ends}
    return known


def test_it_can_be_provisioned_anywhere(dashboard: dict[str, Any]) -> None:
    assert dashboard["uid"] == "ticklake-overview"  # fixed: links to it must stay good
    assert "id" not in dashboard
    assert {variable["name"] for variable in dashboard["templating"]["list"]} == VARIABLES
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    assert set(datasources(dashboard)) == {"${datasource}"}


def test_panels_are_told_apart_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_a_panel_says_what_it_shows_and_in_which_unit(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["description"].endswith("."), panel["title"]
        if panel["type"] in ("timeseries", "stat"):
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["targets"], panel["title"]


def test_queries_ask_for_metrics_and_labels_that_exist(dashboard: dict[str, Any]) -> None:
    known = labels_by_name()
    texts = [*queries(dashboard), *((v["name"], v["definition"]) for v in dashboard["templating"]["list"][1:])]
    for title, query in texts:
        assert SELECTOR.search(query), title
        for name, selector in SELECTOR.findall(query):
            assert name in known, f"{title}: {name}"
            assert set(LABEL.findall(selector)) <= known[name] | OF_THE_SCRAPE, f"{title}: {query}"


def test_variables_in_queries_are_declared(dashboard: dict[str, Any]) -> None:
    used = {name for _, query in queries(dashboard) for name in re.findall(r"\$(\w+)", query)}
    assert used <= VARIABLES | {"__rate_interval"}


def test_every_metric_is_shown(dashboard: dict[str, Any]) -> None:
    shown = {name for _, query in queries(dashboard) for name, _ in SELECTOR.findall(query)}
    missing = {
        fact.name
        for fact in Metrics(version="").facts
        if not shown & {fact.name, f"{fact.name}_bucket", f"{fact.name}_count"}
    }
    assert missing == set()


def test_prometheus_understands_every_query(dashboard: dict[str, Any], tmp_path: Path) -> None:
    def filled(query: str) -> str:
        return re.sub(r"\$(?:job|instance|lane)\b", ".*", query.replace("$__rate_interval", "1m"))

    records = [{"record": f"q:{n}", "expr": filled(query)} for n, (_, query) in enumerate(queries(dashboard))]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": records}]}))
    program = shutil.which("promtool")
    assert program is not None, "promtool is missing; install the Debian package `prometheus`"
    done = subprocess.run(
        [program, "check", "rules", str(path)], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
