"""A feature version as one HTML page that needs nothing from elsewhere."""

from __future__ import annotations

from typing import Final

import polars as pl

from ticklake.base.words import count
from ticklake.files.atomic import replace
from ticklake.files.place import Place, place_of
from ticklake.silver import report_page as html
from ticklake.silver import report_sections as sections
from ticklake.silver.record import DateStatus, VersionStatus
from ticklake.silver.report_cards import distributions
from ticklake.silver.report_days import stretch
from ticklake.silver.report_version import ReportedVersion, load_parent, load_version

REPORTS: Final = "silver/reports"
_LISTED_MAX: Final = 12


def write_report(data_root: Place | str, version: str, out_path: Place | str | None = None) -> Place:
    """Write the report of a version.

    Args:
        data_root: the lake.
        version: which; complete or failed.
        out_path: where to, a file or a folder; `{data_root}/silver/reports/{version}.html` when None.

    Returns:
        where it is. Equal versions give equal pages.

    Raises:
        NoDataError: there is no such version, or its build is under way.
        CorruptError: one of its documents is damaged.
    """
    root = place_of(data_root)
    found = load_version(root, version)
    target = root / REPORTS if out_path is None else place_of(out_path)
    if out_path is None or target.is_dir():
        target /= f"{version}.html"
    parent, why_not = load_parent(root, found.manifest.parent)
    replace(target, html.page(f"{version} - feature report", _parts(found, parent, why_not)).encode())
    return target


def _parts(version: ReportedVersion, parent: ReportedVersion | None, why_not: str) -> list[str]:
    features, labels = version.drawn("feature"), version.drawn("label")
    parts = [_header(version), *_notices(version), _tiles(version), sections.coverage(version)]
    failed = version.state.state is VersionStatus.FAILED
    judged = [sections.causality(version), sections.checks(version.validation)]
    parts += reversed(judged) if failed else judged  # what is wrong first
    if not version.rows.height:
        text = f"No date has an event: there is nothing to draw of {_declared(version)}. Coverage says why."
        return [*parts, html.section("Features and labels", text), _footer(version)]
    worded = [entry.name for entry in labels if version.rows[entry.name].dtype == pl.String]
    if worded:
        parts.append(sections.balance(version.rows, worded))
    before = None if parent is None else (parent.name, parent.rows)
    if features:
        parts.append(sections.missing(version, [entry.name for entry in features]))
        parts.append(sections.drift(version, features, parent, why_not))
        parts.append(distributions("Features: distributions", version.rows, features, before))
    if numbers := [entry for entry in labels if entry.name not in worded]:
        parts.append(distributions("Labels: distributions", version.rows, numbers, before))
    return [*parts, _footer(version)]


def _header(version: ReportedVersion) -> str:
    state, validation, manifest = version.state, version.validation, version.manifest
    badges = [(str(state.state), "good" if state.state is VersionStatus.COMPLETE else "bad")]
    if validation is None:
        badges.append(("not checked", "warn"))
    else:
        failures = len(validation.failures)
        badges.append((f"{count(failures, 'check')} failed", "bad") if failures else ("checks passed", "good"))
    certificate = None if validation is None else validation.causality
    if certificate is None:
        badges.append(("no causality certificate", "warn"))
    else:
        passed = certificate.passed
        badges.append(
            (
                "causality certificate passed" if passed else "causality certificate not passed",
                "good" if passed else "bad",
            )
        )
    days = [record.date for record in version.records]
    facts = [f"pipeline {manifest.pipeline}"]
    facts += [f"symbol {manifest.symbol}"] if manifest.symbol else []
    facts += [f"calendar {manifest.calendar}"] if manifest.calendar else []
    facts += [stretch(min(days), max(days)) if days else "no date"]
    facts += [f"parent {manifest.parent}"] if manifest.parent else []
    return html.header(manifest.version, manifest.description, badges, " · ".join(facts))


def _notices(version: ReportedVersion) -> list[str]:
    """Why the version is not what it should be, and what to do next."""
    state, notices = version.state, []
    if state.state is VersionStatus.FAILED:
        then = f"Correct the cause, then run `ticklake silver build {version.name}`."
        notices.append(html.notice(f"This version failed and cannot be read: {state.reason}. {then}", "bad"))
        lost = [f"{record.date}: {record.reason}" for record in version.records if record.status is DateStatus.FAILED]
        more = [f"and {len(lost) - _LISTED_MAX} more, see Coverage"] if len(lost) > _LISTED_MAX else []
        notices.append(html.listing([*lost[:_LISTED_MAX], *more]))
    elif state.reason:
        notices.append(html.notice(f"This version can be read and never promoted: {state.reason}."))
    if version.undeclared:
        notices.append(html.notice(version.undeclared))
    return notices


def _tiles(version: ReportedVersion) -> str:
    built = sum(record.status is DateStatus.BUILT for record in version.records)
    certificate = None if version.validation is None else version.validation.causality
    return html.tiles(
        [
            (f"{version.rows.height:,}", "events"),
            (f"{built} of {len(version.records)}", "dates built"),
            (f"{len(version.columns('feature'))}", "features"),
            (f"{len(version.columns('label'))}", "labels"),
            (f"{certificate.cuts:,}" if certificate else "none", "causality cuts"),
            (f"{certificate.events_compared:,}" if certificate else "none", "events compared"),
        ]
    )


def _declared(version: ReportedVersion) -> str:
    return f"{count(len(version.columns('feature')), 'feature')} and {count(len(version.columns('label')), 'label')}"


def _footer(version: ReportedVersion) -> str:
    built = version.manifest.built
    if built is None:
        return "<footer>Not complete: there is no manifest of what was built.</footer>\n"
    return (
        f"<footer>ticklake {built.code_version} · code of the stages {built.code_hash[:12]} · "
        f"manifest {built.manifest_hash[:12]} · schema {built.schema_hash[:12]} · "
        f"from {count(len(built.inputs), 'bronze file')}</footer>\n"
    )
