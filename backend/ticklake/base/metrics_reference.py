"""PURE: the reference page of the metrics, written from their definitions."""

from __future__ import annotations

from ticklake.base.metrics import COMMIT_RESULTS, INCARNATION_REASONS, JOBS, Metrics

_INTRO = """\
# Metrics

Written from the definitions in `ticklake.base.metrics`; do not edit.

`GET /metrics` of the running service, in the text format or in OpenMetrics, whichever the scraper asks for. Names read
`ticklake_<part>_<what>_<unit>`, units are seconds and bytes, counters end in `_total`. Labels come from small closed
sets: no symbol, subject or file name ever is one. `python_*` and `process_*` of the process itself come along.

Alert rules are in `deploy/prometheus/rules/ticklake.yml`, the dashboard in `deploy/grafana/dashboards/ticklake.json`.

| name | type | labels | meaning |
|---|---|---|---|
"""

_LABELS = """\

## Labels

| label | values |
|---|---|
| lane | the stream in lower case: market_data, level_signals |
| table | the tables of the service, built-in and your own |
| reason of `ticklake_service_not_ready_info` | the codes of `/readyz` |
| reason of `ticklake_ingest_incarnations_total` | {incarnations} |
| reason of `ticklake_ingest_messages_rejected_total` | the reasons of the quarantine table |
| result of `ticklake_lake_commit_total` | {commits} |
| op of `ticklake_storage_request_seconds` | put, get, head, list, delete |
| result of `ticklake_storage_request_seconds` | ok, missing, exists, denied, no_bucket, unsupported, damaged, unknown |
| job | {jobs}; Prometheus calls it `exported_job`, because `job` is its own name for the target |

## What is not here

Batch commands (`ticklake silver build`, `gold promote`, `retention`) end before a scraper could see them and export
nothing. When a build ran, how long and how it ended is in the run registry: `ticklake runs ls --output json`.
"""


def render_reference() -> str:
    """The page as Markdown."""
    lines = [
        f"| {fact.name} | {fact.kind} | {', '.join(fact.labels)} | {fact.doc} |" for fact in Metrics(version="").facts
    ]
    labels = _LABELS.format(
        incarnations=", ".join(INCARNATION_REASONS), commits=", ".join(COMMIT_RESULTS), jobs=", ".join(JOBS)
    )
    return _INTRO + "\n".join(lines) + "\n" + labels
