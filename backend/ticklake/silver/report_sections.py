"""The sections of a report that have one large picture each, and what it shows as a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from ticklake.base.words import count
from ticklake.silver import report_charts as charts
from ticklake.silver import report_page as html
from ticklake.silver.certificate import Certificate
from ticklake.silver.compare import compare_manifests
from ticklake.silver.finding import Finding, Severity, Status
from ticklake.silver.manifest import ColumnEntry
from ticklake.silver.record import DateStatus
from ticklake.silver.report_days import calendar_days, stretch, stretches
from ticklake.silver.report_numbers import label_balance, missing_by_date, missing_share, population_stability
from ticklake.silver.report_version import ReportedVersion
from ticklake.silver.validation import Validation

_LISTED_MAX: Final = 12
_DRIFT: Final = "Drift against the parent version"


def coverage(version: ReportedVersion) -> str:
    """Every day of the calendar, with its events or why it has none."""
    days = calendar_days(version.records, version.manifest.calendar)
    if not days:
        return html.section("Coverage", "No date was begun.")
    text = (
        f"Events per day of the calendar, {stretch(days[0].date, days[-1].date)}. Days without a bar are marked: empty "
        "(a session without rows), failed, not built (a session that is no part of this version), closed (no session)."
    )
    says = f"Bars: events of {count(sum(day.status == DateStatus.BUILT for day in days), 'built date')}"
    without = html.numbers("Days that are not built, and why", ("days", "status", "reason"), stretches(days))
    built = [(day.date, day.rows) for day in days if day.status == DateStatus.BUILT]
    with_rows = html.numbers("Events per built date, as a table", ("date", "events"), built)
    chart = _chart("coverage", f"{says} of {len(days)} days", charts.coverage_chart(days))
    return html.section("Coverage", text, chart, without, with_rows)


def causality(version: ReportedVersion) -> str:
    """What the certificate tried and found, or why there is none."""
    certificate = None if version.validation is None else version.validation.causality
    if certificate is None or not certificate.trials:
        return html.section("Causality", _no_certificate(version))
    text = (
        f"Does a feature know the future? {count(len(certificate.trials), 'rebuild')} at "
        f"{count(certificate.cuts, 'cut time')}, where all rows after the cut were removed or made absurd: every event "
        f"up to the cut must stay as it was, in {count(len(certificate.columns), 'feature')} of all frames. "
        f"{count(certificate.events_compared, 'event')} compared, each once per rebuild."
    )
    rows = [
        (
            charts.moment(trial.cut_ns),
            trial.variant.value,
            f"{trial.density:.1%}",
            trial.events,
            charts.trial_text(trial),
        )
        for trial in sorted(certificate.trials, key=lambda trial: (trial.cut_ns, trial.variant))
    ]
    head = ("cut", "future", "share of the rows seen", "events compared", "outcome")
    changed = sum(bool(trial.changed) for trial in certificate.trials)
    says = f"Rebuilds at their cut times, by date: something changed in {changed} of {len(certificate.trials)}"
    chart = _chart("causality", says, charts.causality_chart(certificate, version.spans_ns))
    return html.section(
        "Causality", text, chart, *_violations(certificate), html.numbers("Every rebuild, as a table", head, rows)
    )


def checks(validation: Validation | None) -> str:
    """How many columns passed each check, and what is wrong with the others."""
    if validation is None or not validation.checks:
        return html.section("Checks", "Nothing was checked: the build ended before.")
    wrong = [finding for finding in validation.checks if finding.status is Status.FAILED]
    wrong.sort(key=lambda finding: (not finding.fails, finding.name, finding.column))
    lines = [_sentence(finding) for finding in wrong[:_LISTED_MAX]]
    lines += [f"and {len(wrong) - _LISTED_MAX} more in validation.json"] if len(wrong) > _LISTED_MAX else []
    text = (
        f"{count(len(validation.checks), 'check')} of files and columns, {len(wrong):,} with a finding. One that fails "
        "fails the version; one that warns does not."
    )
    says = f"Bars: outcome of {count(len(validation.checks), 'check')}, {len(wrong):,} with a finding"
    chart = _chart("checks", says, charts.checks_chart(validation.checks))
    head = ("check", "what must hold", "columns", "warn", "fail")
    table = html.numbers("What each check wants, as a table", head, _check_rows(validation.checks))
    return html.section("Checks", text, html.listing(lines), chart, table)


def balance(rows: pl.DataFrame, labels: Sequence[str]) -> str:
    """Share of each outcome of the labels that are words."""
    counted = label_balance(rows, labels)
    outcomes = sorted({outcome for counts in counted.values() for outcome in counts})
    text = f"Outcome of {count(rows.height, 'event')}, horizon by horizon."
    if "NO_DATA" in outcomes:
        text += " NO_DATA: the data end before the horizon does."
    table = [(label, *(counts.get(outcome, 0) for outcome in outcomes)) for label, counts in counted.items()]
    chart = _chart("balance", f"Bars: share of {', '.join(outcomes)} by label", charts.balance_chart(counted))
    return html.section("Label balance", text, chart, html.numbers("Counts, as a table", ("label", *outcomes), table))


def missing(version: ReportedVersion, features: Sequence[str]) -> str:
    """Which features miss values, on which dates."""
    shares = missing_by_date(version.frames, features)
    if not shares:
        return html.section("Missing values", f"None of the {count(len(features), 'feature')} misses a value.")
    dates = sorted(version.frames)
    text = f"{len(shares)} of {count(len(features), 'feature')} miss values (null or NaN)."
    text += f" Shown: the {charts.SHOWN_MAX} that miss most." if len(shares) > charts.SHOWN_MAX else ""
    overall = {name: missing_share(version.rows[name]) for name in shares}
    table = [
        (name, f"{overall[name]:.1%}", f"{max(shares[name]):.1%}", dates[shares[name].index(max(shares[name]))])
        for name in sorted(shares, key=lambda name: (-overall[name], name))
    ]
    chart = _chart(
        "missing", "Heat map: share of missing values by feature and date", charts.missing_chart(shares, dates)
    )
    head = ("feature", "missing", "on its worst date", "which is")
    return html.section("Missing values", text, chart, html.numbers("Shares, as a table", head, table))


def drift(
    version: ReportedVersion, features: Sequence[ColumnEntry], parent: ReportedVersion | None, why_not: str
) -> str:
    """How far the features moved against the parent version, and what was asked for differently."""
    if parent is None:
        return html.section(_DRIFT, why_not)
    both = [entry.name for entry in features if entry.name in parent.rows.columns]
    if not both:
        return html.section(_DRIFT, "The parent version has none of these features.", *_differences(version, parent))
    stability = {name: population_stability(version.rows[name], parent.rows[name]) for name in both}
    moved = sum(value > charts.PSI_OTHER for value in stability.values())
    ours, theirs = set(version.frames), set(parent.frames)
    text = (
        f"Population stability index (PSI) of each feature against {parent.name}: sum (p - q) ln(p / q) over the "
        f"parent's deciles, with p the shares here and q there (Siddiqi 2006). {moved} of {len(both)} features above "
        f"{charts.PSI_OTHER}; {len(features) - len(both)} are new."
    )
    if ours != theirs:
        text += (
            f" Other dates alone make features drift: {count(len(ours & theirs), 'date')} built in both versions, "
            f"{len(ours - theirs)} in this one only, {len(theirs - ours)} in the parent only."
        )
    chart = _chart("drift", f"Dots: PSI of the features against {parent.name}", charts.drift_chart(stability))
    ranked = sorted(both, key=lambda name: (-stability[name], name))
    table = html.numbers(
        "PSI of every feature, as a table", ("feature", "PSI"), [(name, f"{stability[name]:.3f}") for name in ranked]
    )
    return html.section(_DRIFT, text, chart, table, *_differences(version, parent))


def _chart(name: str, says: str, drawn: charts.Drawing) -> str:
    return html.chart(name, says, drawn.figure, drawn.legend, drawn.axis)


def _no_certificate(version: ReportedVersion) -> str:
    if version.validation is None:
        return "No certificate was drawn: the build failed before it."
    if version.validation.failures:
        return "No certificate was drawn: it is for versions whose checks pass."
    if not version.manifest.certificate.cuts:
        return "No certificate was asked for: certificate.cuts of the manifest is 0."
    if not version.rows.height:
        return "No certificate was drawn: there is no event to try it on."
    return f"There is no certificate: {version.state.reason or 'the build ended before it'}."


def _violations(certificate: Certificate) -> list[str]:
    if not certificate.violations:
        return []
    lines = [
        f"{violation.column or 'events'}, {violation.event or violation.date}: {violation.before} became "
        f"{violation.after} with the future {violation.variant}"
        for violation in certificate.violations[:_LISTED_MAX]
    ]
    more = len(certificate.violations) - _LISTED_MAX
    lines += [f"and {more} more in validation.json"] if more > 0 else []
    says = "Bars: rebuilds in which each column changed"
    return [_chart("violations", says, charts.violations_chart(certificate)), html.listing(lines)]


def _sentence(finding: Finding) -> str:
    where = f"{finding.file}.{finding.column}" if finding.column else finding.file
    verdict = "fails" if finding.fails else "warns"
    sample = f" ({'; '.join(finding.sample)})" if finding.sample else ""
    return (
        f"{finding.name} {verdict}: {where}, {finding.n_failed:,} of {finding.n:,}{sample}; "
        f"what must hold: {finding.threshold}"
    )


def _check_rows(findings: Sequence[Finding]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for name in sorted({finding.name for finding in findings}):
        same = [finding for finding in findings if finding.name == name]
        wanted = {finding.threshold for finding in same}
        what = wanted.pop() if len(wanted) == 1 else "as the column declares"
        warn = sum(each.status is Status.FAILED and each.severity is Severity.WARNING for each in same)
        rows.append((name, what, len(same), warn, sum(each.fails for each in same)))
    return rows


def _differences(version: ReportedVersion, parent: ReportedVersion) -> list[str]:
    found = compare_manifests(parent.manifest, version.manifest)
    keys = list(dict.fromkeys([*found.parameters_a, *found.parameters_b]))
    rows = [(key, _written(found.parameters_a, key), _written(found.parameters_b, key)) for key in keys]
    lines = [] if rows else ["No parameter differs from those of the parent version."]
    if version.manifest.built is not None and not found.same_code:
        lines.append("The code of the stages differs.")
    head = ("parameter", parent.name, version.name)
    return [html.listing(lines), html.numbers("Parameters that differ, as a table", head, rows)]


def _written(parameters: Mapping[str, Any], key: str) -> str:
    value = parameters.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,}"
    return "none" if value is None else str(value)
