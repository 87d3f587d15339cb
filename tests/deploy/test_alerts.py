"""The alert rules: right for Prometheus, each proved to fire and to stay quiet, about metrics and pages that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from ticklake.base.metrics import COMMIT_RESULTS, Metrics
from ticklake.service.health import CODES

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
CASES = sorted((ROOT / "deploy/prometheus/tests").glob("*.yml"))
NAME = re.compile(r"\b(?:ticklake|process|kube|node)_\w+")
REASON = re.compile(r'not_ready_info\{reason=~?"([\w|]+)"')
RESULT = re.compile(r'commit_total\{result=~?"([\w|]+)"')
CASE = re.compile(r'alertname="(\w+)"')
OF_OTHERS = {"kube_pod_container_status_last_terminated_exitcode"}  # of kube-state-metrics, where there is one


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    assert program is not None, "promtool is missing; install the Debian package `prometheus`"
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=200, check=False)


def alerts() -> list[dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def exported_names() -> set[str]:
    """Names as queries may use them."""
    names = {"process_start_time_seconds"}
    for fact in Metrics(version="").facts:
        ends = ("_bucket", "_sum", "_count") if fact.kind == "histogram" else ("",)
        names |= {fact.name + end for end in ends}
    return names


def test_prometheus_takes_the_rules() -> None:
    done = promtool("check", "rules", *RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_case_fires_or_stays_quiet_as_it_says() -> None:
    done = promtool("test", "rules", *CASES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    seen: dict[str, set[int]] = defaultdict(set)
    for path in CASES:
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for query in case["promql_expr_test"]:
                match = CASE.search(query["expr"])
                assert match is not None, case["name"]
                assert case["name"].startswith(match[1] + ":"), case["name"]
                seen[match[1]] |= {sample["value"] for sample in query["exp_samples"]}
    assert seen == {rule["alert"]: {0, 1} for rule in alerts()}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_is_about_what_exists_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert set(NAME.findall(rule["expr"])) - OF_OTHERS <= exported_names()
    assert {name for names in RESULT.findall(rule["expr"]) for name in names.split("|")} <= set(COMMIT_RESULTS)
    assert rule["labels"]["severity"] in {"critical", "warning"}
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert len(notes["summary"]) < 120
    assert re.fullmatch(r"backend/docs/runbooks/[\w-]+\.md", notes["runbook_url"])


def test_every_reason_that_is_asked_for_is_one_that_readyz_gives() -> None:
    asked = {code for rule in alerts() for codes in REASON.findall(rule["expr"]) for code in codes.split("|")}
    assert asked - CODES == set()


def test_every_run_book_is_there() -> None:
    pages = {rule["annotations"]["runbook_url"] for rule in alerts()}
    assert {page for page in pages if not (ROOT / page).is_file()} == set()


def test_names_of_alerts_are_unique() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))
