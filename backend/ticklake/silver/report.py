"""A feature version as one HTML page that needs nothing from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from ticklake.base.errors import CorruptError, NoDataError
from ticklake.files.atomic import replace
from ticklake.files.engines import scan_files
from ticklake.files.place import Place, place_of
from ticklake.silver import report_charts as charts
from ticklake.silver import report_page as html
from ticklake.silver.certificate import Certificate
from ticklake.silver.finding import Status
from ticklake.silver.folder import VersionFolder
from ticklake.silver.manifest import ColumnEntry, Manifest, read_manifest
from ticklake.silver.record import DateRecord, DateStatus, VersionState, VersionStatus
from ticklake.silver.report_numbers import (
    Histogram,
    histogram,
    label_balance,
    missing_by_date,
    population_stability,
)
from ticklake.silver.validation import Validation, read_validation

REPORTS: Final = "silver/reports"
SIGNALS: Final = "signals"
_LISTED_MAX: Final = 12
_SHARE_SHOWN_MIN: Final = 0.005
_SUFFIXES: Final = (("G", 1e9), ("M", 1e6), ("k", 1e4))


@dataclass(frozen=True, slots=True)
class _Version:
    """All that is known of a version."""

    folder: VersionFolder
    state: VersionState
    manifest: Manifest
    validation: Validation
    records: Sequence[DateRecord]
    frames: Mapping[str, pl.DataFrame]

    @property
    def rows(self) -> pl.DataFrame:
        """Signals of all dates."""
        return pl.concat(list(self.frames.values()), how="vertical_relaxed") if self.frames else pl.DataFrame()

    def columns(self, role: str) -> list[ColumnEntry]:
        """Declared columns of one role that the files have."""
        there = set(self.rows.columns)
        return [entry for entry in self.manifest.columns.get(SIGNALS, []) if entry.role == role and entry.name in there]


def write_report(data_root: Place | str, version: str, out_path: Place | str | None = None) -> Place:
    """Write the report of a version.

    Args:
        data_root: the lake.
        version: which; complete or failed.
        out_path: where to, a file or a folder; `{data_root}/silver/reports/{version}.html` when None.

    Returns:
        where it is. Equal versions give equal pages.

    Raises:
        NoDataError: there is no such version, or it failed or stopped before it was checked: the text says why.
        CorruptError: one of its documents is damaged.
    """
    root = place_of(data_root)
    found = _load(root, version)
    target = root / REPORTS if out_path is None else place_of(out_path)
    if out_path is None or target.is_dir():
        target /= f"{version}.html"
    parent, why_not = _load_parent(root, found.manifest.parent)
    replace(target, html.page(f"{version} - feature report", _parts(found, parent, why_not)).encode())
    return target


def _load(root: Place, version: str) -> _Version:
    folder = VersionFolder(root, version)
    state = folder.read_state()
    if state is None:
        raise NoDataError(f"there is no version {version!r} below {root}; see `ticklake silver ls`")
    if state.state is not VersionStatus.COMPLETE and not folder.validation_path.is_file():
        raise NoDataError(f"version {version} {_why_unchecked(folder, state)}, then look at its report")
    manifest = read_manifest(folder.manifest_path if folder.manifest_path.exists() else folder.request_path)
    records = list(folder.read_records().values())
    built = [record.date for record in records if record.status is DateStatus.BUILT]
    paths = {date: folder.data_path(date, f"{SIGNALS}.parquet") for date in built}
    if missing := [path for path in paths.values() if not path.is_file()]:
        raise CorruptError(f"{missing[0]} is gone, but its record says that it was built; build the version again")
    frames = {date: _rows(path) for date, path in paths.items()}
    return _Version(folder, state, manifest, read_validation(folder.validation_path), records, frames)


def _why_unchecked(folder: VersionFolder, state: VersionState) -> str:
    if state.state is VersionStatus.BUILDING:
        return f"is not built to the end ({state.reason}); wait for that build, or build it again"
    failed = [record for record in folder.read_records().values() if record.status is DateStatus.FAILED]
    told = f", {failed[0].date}: {failed[0].reason}" if failed else ""
    return f"failed before it was checked ({state.reason}{told}); correct that and build it again"


def _rows(path: Place) -> pl.DataFrame:
    try:
        return scan_files([path]).collect()
    except pl.exceptions.PolarsError as error:
        raise CorruptError(f"{path} cannot be read ({error}); build the version again") from error


def _load_parent(root: Place, parent: str | None) -> tuple[_Version | None, str]:
    if not parent:
        return None, "This version has no parent version to compare with."
    state = VersionFolder(root, parent).read_state()
    if state is None or state.state is not VersionStatus.COMPLETE:
        return None, f"The parent version {parent} is {'gone' if state is None else state.state}: no comparison."
    return _load(root, parent), ""


def _parts(version: _Version, parent: _Version | None, why_not: str) -> list[str]:
    rows = version.rows
    features, labels = version.columns("feature"), version.columns("label")
    parts = [_header(version), _tiles(version, features), _coverage(version), _causality(version.validation.causality)]
    parts.append(_checks(version.validation))
    if not rows.height:
        return [*parts, html.section("Features", "There is no row to draw."), _footer(version)]
    worded = [entry.name for entry in labels if rows[entry.name].dtype == pl.String]
    if worded:
        text = f"Outcome of {rows.height:,} events, horizon by horizon. NO_DATA: the data end before the horizon does."
        chart = html.chart("balance", charts.balance_chart(label_balance(rows, worded)))
        parts.append(html.section("Label balance", text, chart))
    parts.append(_missing(version, [entry.name for entry in features]))
    parts.append(_drift(rows, features, parent, why_not))
    before = None if parent is None else parent.rows
    parts.append(_distributions("Features", rows, features, before))
    numbers = [entry for entry in labels if entry.name not in worded]
    if numbers:
        parts.append(_distributions("Labels", rows, numbers, before))
    return [*parts, _footer(version)]


def _header(version: _Version) -> str:
    state, certificate, manifest = version.state, version.validation.causality, version.manifest
    failures = len(version.validation.failures)
    badges = [
        (str(state.state), "good" if state.state is VersionStatus.COMPLETE else "bad"),
        ("checks passed", "good") if not failures else (f"{failures} checks failed", "bad"),
    ]
    if certificate is None:
        badges.append(("no causality certificate", "warn"))
    else:
        passed = certificate.passed
        badges.append(("knows nothing later", "good") if passed else ("certificate not passed", "bad"))
    days = [record.date for record in version.records]
    facts = [f"pipeline {manifest.pipeline}", f"{min(days)} to {max(days)}" if days else "no date"]
    facts += [f"parent {manifest.parent}"] if manifest.parent else []
    facts += [state.reason] if state.reason else []
    return html.header(manifest.version, manifest.description, badges, " · ".join(facts))


def _tiles(version: _Version, features: Sequence[ColumnEntry]) -> str:
    built = sum(record.status is DateStatus.BUILT for record in version.records)
    certificate = version.validation.causality
    return html.tiles(
        [
            (f"{version.rows.height:,}", "events"),
            (f"{built} of {len(version.records)}", "dates built"),
            (f"{len(features)}", "features"),
            (f"{len(version.columns('label'))}", "labels"),
            (f"{certificate.cuts if certificate else 0}", "causality cuts"),
            (f"{certificate.events_compared if certificate else 0:,}", "events compared"),
        ]
    )


def _coverage(version: _Version) -> str:
    text = "Events per date. A cross is a date without rows; hover for its reason."
    return html.section("Coverage", text, html.chart("coverage", charts.coverage_chart(version.records)))


def _causality(certificate: Certificate | None) -> str:
    if certificate is None:
        return html.section("Causality", "No certificate was drawn: the build ended before it.")
    text = (
        f"{len(certificate.trials)} rebuilds at {certificate.cuts} cut times, with the future removed (circles) or "
        f"absurd (diamonds); {len(certificate.columns)} features of {certificate.events_compared:,} events compared."
    )
    parts = [html.chart("causality", charts.causality_chart(certificate))] if certificate.trials else []
    if certificate.violations:
        parts.append(html.chart("violations", charts.violations_chart(certificate)))
        shown = certificate.violations[:_LISTED_MAX]
        parts.append(
            html.listing(
                [
                    f"{violation.column or 'events'}, {violation.event or violation.date}: "
                    f"{violation.before} became {violation.after} with the future {violation.variant}"
                    for violation in shown
                ]
            )
        )
    return html.section("Causality", text, *parts)


def _checks(validation: Validation) -> str:
    wrong = [finding for finding in validation.checks if finding.status is Status.FAILED]
    wrong.sort(key=lambda finding: (not finding.fails, finding.name, finding.column))
    lines = [
        f"{finding.severity}: {finding.name} {finding.file}.{finding.column}, {finding.n_failed:,} of {finding.n:,}; "
        f"allowed: {finding.threshold}; {'; '.join(finding.sample)}"
        for finding in wrong[:_LISTED_MAX]
    ]
    lines += [f"and {len(wrong) - _LISTED_MAX} more in validation.json"] if len(wrong) > _LISTED_MAX else []
    text = f"{len(validation.checks):,} checks of files and columns, {len(wrong):,} with a finding."
    parts = [html.chart("checks", charts.checks_chart(validation.checks))] if validation.checks else []
    return html.section("Checks", text, *parts, html.listing(lines))


def _missing(version: _Version, features: Sequence[str]) -> str:
    shares = missing_by_date(version.frames, features)
    if not shares:
        return html.section("Missing values", f"None of the {len(features)} features misses a value.")
    text = (
        f"{len(shares)} of {len(features)} features miss values (null or NaN); "
        f"those that miss most, at most {charts.SHOWN_MAX}."
    )
    chart = html.chart("missing", charts.missing_chart(shares, sorted(version.frames)))
    return html.section("Missing values", text, chart)


def _drift(rows: pl.DataFrame, features: Sequence[ColumnEntry], parent: _Version | None, why_not: str) -> str:
    if parent is None:
        return html.section("Drift against the parent version", why_not)
    before = parent.rows
    both = [entry.name for entry in features if entry.name in before.columns]
    if not both:
        return html.section("Drift against the parent version", "The parent version has none of these features.")
    drift = {name: population_stability(rows[name], before[name]) for name in both}
    moved = sum(value > charts.PSI_OTHER for value in drift.values())
    text = (
        f"Population stability index against {parent.manifest.version}, PSI = sum (p - q) ln(p / q) over the parent's "
        f"deciles (Siddiqi 2006). {moved} of {len(both)} features above {charts.PSI_OTHER}; "
        f"{len(features) - len(both)} are new."
    )
    return html.section("Drift against the parent version", text, html.chart("drift", charts.drift_chart(drift)))


def _distributions(title: str, rows: pl.DataFrame, columns: Sequence[ColumnEntry], before: pl.DataFrame | None) -> str:
    shapes = {
        entry: histogram(
            rows[entry.name], before[entry.name] if before is not None and entry.name in before.columns else None
        )
        for entry in columns
    }
    text = "Between the 1 % and the 99 % quantile; the outer bars hold what lies beyond."
    text += " Line: the parent version." if before is not None else ""
    return html.section(f"{title}: distributions", text, html.cards(_card(entry, shapes[entry]) for entry in columns))


def _card(entry: ColumnEntry, shape: Histogram) -> str:
    title = f"{entry.name} [{entry.unit}]" if entry.unit else entry.name
    middle = f"{'<1%' if shape.missing < _SHARE_SHOWN_MIN else f'{shape.missing:.0%}'} missing" if shape.missing else ""
    if math.isnan(shape.low):
        left, right = (shape.labels[0], shape.labels[-1] if len(shape.labels) > 1 else "") if shape.labels else ("", "")
    else:
        left, right = _short(shape.low), _short(shape.high)
        middle = middle or f"median {_short(shape.median)}"
    return html.card(title, charts.small_histogram(shape), left, middle, right)


def _short(number: float) -> str:
    for suffix, bound in _SUFFIXES:
        if abs(number) >= bound:
            return f"{number / (1e3 if suffix == 'k' else bound):.3g}{suffix}"
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _footer(version: _Version) -> str:
    built = version.manifest.built
    if built is None:
        return "<footer>Not complete: there is no manifest of what was built.</footer>\n"
    return (
        f"<footer>ticklake {built.code_version} · stages {built.code_hash[:12]} · "
        f"manifest {built.manifest_hash[:12]} · schema {built.schema_hash[:12]} · "
        f"{len(built.inputs)} bronze files</footer>\n"
    )
