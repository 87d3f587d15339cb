"""The second half of the tour: features from what was recorded, certified, made a training set, rolled back, traced."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import msgspec
import polars as pl
from rich.console import Console
from rich.table import Table

from ticklake.base.errors import CheckFailedError
from ticklake.catalog.lineage import Lineage
from ticklake.cli.tour import print_frame
from ticklake.gold.curator import GoldCurator
from ticklake.gold.gates import GateLimits
from ticklake.gold.promotion import Promotion, PromotionStatus
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.session import SessionWindow
from ticklake.silver.baselines import baseline_manifest
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.folder import VersionFolder
from ticklake.silver.manifest import Certificate, Manifest
from ticklake.silver.record import VersionStatus
from ticklake.silver.stages.labels import OUTCOMES
from ticklake.silver.validation import read_validation

_CUTS = 4  # cut times of a certificate; a build of yours draws 20
_SET = "demo_levels"
_LEVELS, _FLOW = "demo-levels-v1", "demo-flow-v1"


@dataclass(frozen=True, slots=True)
class Built:
    """One version: what the tour tells of it.

    Attributes:
        version: name.
        pipeline: name.
        signals: rows.
        features: columns of role feature.
        checks: passed of all.
        certificate: in words.
        seconds: of the build, certificate included.
        reason: why it is not to be used; "" when it is.
    """

    version: str
    pipeline: str
    signals: int
    features: int
    checks: str
    certificate: str
    seconds: float
    reason: str


def show_features(root: Path, session: SessionWindow, console: Console) -> None:
    """Build, print, promote, validate, roll back and trace.

    Raises:
        CheckFailedError: a version did not become complete and certified, a gate refused it, or the set does not hold.
    """
    console.print(f"\n[bold]Features[/]  of the thin morning of {session.date}, 09:15 to 10:30 in New York")
    manifests = (levels_manifest(), flow_manifest())
    built = [_build(root, manifest, session) for manifest in manifests]
    _show_versions(built, console)
    if reasons := [f"{item.version}: {item.reason}" for item in built if item.reason]:
        raise CheckFailedError(f"features of {root} are not fit for use: {'; '.join(reasons)}")
    _show_events(root, built[0].version, console)
    show_promotion(root, built[0].version, session.date, console)
    _show_lineage(root, console)
    _show_reports(root, [item.version for item in built], console)


def levels_manifest() -> Manifest:
    """The baseline of es_levels with a short certificate."""
    return msgspec.structs.replace(
        baseline_manifest("es_levels", _LEVELS), certificate=Certificate(cuts=_CUTS), tags=["demo"]
    )


def flow_manifest() -> Manifest:
    """book_flow on the futures the demo plays, every second, with a short certificate."""
    base = baseline_manifest("book_flow", _FLOW)
    return msgspec.structs.replace(
        base,
        symbol="ES",
        calendar="us_index_futures",
        tables={"bronze_trades": "futures.trades", "bronze_book": "futures.mbp10"},
        parameters=base.parameters | {"load_flow": {**base.parameters["load_flow"], "has_venue": False}},
        certificate=Certificate(cuts=_CUTS),
        tags=["demo"],
    )


def _build(root: Path, manifest: Manifest, session: SessionWindow) -> Built:
    builder = SilverFeatureBuilder(root, tables=TableCatalog())
    result = builder.build_feature_set(manifest, session.date)
    if result.status is not VersionStatus.COMPLETE:
        return Built(manifest.version, manifest.pipeline, 0, 0, "", "", result.build_time_seconds, result.reason)
    validation = read_validation(VersionFolder(root, manifest.version).validation_path)
    features = [
        column for column in builder.get_manifest(manifest.version).columns["signals"] if column.role == "feature"
    ]
    passed = sum(not finding.fails for finding in validation.checks)
    drawn = validation.causality
    cuts = "" if drawn is None else f", {drawn.cuts} cuts\n{drawn.events_compared:,} events"
    certificate = f"{'passed' if result.certificate_passed else 'FAILED'}{cuts}"
    return Built(
        manifest.version, manifest.pipeline, result.signals_total, len(features),
        f"{passed} of {len(validation.checks)}\npassed", certificate, result.build_time_seconds, result.reason,
    )  # fmt: skip


def _show_versions(built: list[Built], console: Console) -> None:
    table = Table(title="Feature versions built from what was recorded", title_justify="left")
    for name in ("version", "signals", "features", "checks", "certificate", "took"):
        table.add_column(name, justify="right" if name in ("signals", "features", "took") else "left", overflow="fold")
    for item in built:
        table.add_row(
            f"{item.version}\n{item.pipeline}", f"{item.signals:,}", f"{item.features:,}", item.checks or "-",
            item.certificate or "-", f"{item.seconds:.1f} s",
        )  # fmt: skip
    console.print(table)
    for item in built:
        if item.reason:
            console.print(f"[red]{item.version}: {item.reason}[/]")


def _show_events(root: Path, version: str, console: Console) -> None:
    """A few of the rows a model would learn from."""
    rows = SilverFeatureBuilder(root, tables=TableCatalog()).load_features(version)
    counts = (
        rows.group_by("kind", maintain_order=True)
        .agg(
            pl.len().alias("events"),
            _median("approach_velocity").alias("velocity"),
            _median("ofi_60s"),
            *((pl.col("outcome_4min") == outcome).sum().alias(outcome) for outcome in OUTCOMES),
        )
        .sort("events", "kind", descending=[True, False])
    )
    print_frame(console, f"{version}: events, median approach velocity and flow, outcome in 4 minutes", counts)


def _median(name: str) -> pl.Expr:
    """To three digits, and 0.0 for -0.0."""
    median = pl.col(name).median().round(3)
    return pl.when(median == 0).then(0.0).otherwise(median).alias(name)


def show_promotion(root: Path, version: str, day: date, console: Console) -> None:
    """Promote one day of a version twice, validate, roll back; a lake that ran the demo before may hold other days.

    Raises:
        CheckFailedError: a gate refused it, or the set does not hold.
    """
    curator = GoldCurator(root, limits=GateLimits(rows_min=20, cuts_min=_CUTS))
    first = curator.promote_to_training(version, _SET, "the demo's first", dates=[day])
    _print_gates(first, console)
    if first.status is PromotionStatus.REFUSED:
        raise CheckFailedError(f"{version} is not promoted: {first.reason}")
    notes = "the same again, to have something to roll back"
    second = curator.promote_to_training(version, _SET, notes, force=True, dates=[day])
    if second.status is PromotionStatus.REFUSED:
        raise CheckFailedError(f"{version} is not promoted: {second.reason}")
    found = curator.validate_dataset(_SET)
    back = curator.rollback(_SET)
    console.print(
        f"Promoted twice: {_SET} v{first.version} and v{second.version}, {second.signal_count:,} rows. "
        f"Validation of v{found.version}: {'passed' if found.passed else '[red]FAILED[/]'}, "
        f"{len(found.findings)} checks. Rolled back to v{back.version}."
    )
    if not found.passed:
        raise CheckFailedError(f"{_SET} does not hold; see `ticklake gold validate {_SET} --data {root}`")


def _print_gates(done: Promotion, console: Console) -> None:
    table = Table(title=f"Gates between {done.silver_version} and the training set {_SET}", title_justify="left")
    for name in ("gate", "verdict", "reason"):
        table.add_column(name, overflow="fold")
    for gate in done.gates:
        verdict = "passed" if gate.passed else "forced" if gate.forced else "[red]failed[/]"
        table.add_row(gate.name, verdict, gate.reason)
    console.print(table)


def _show_lineage(root: Path, console: Console) -> None:
    table = Table(title=f"Where {_SET} comes from, down to the stream", title_justify="left")
    for name in ("what", "name", "detail"):
        table.add_column(name, overflow="fold")
    for step in Lineage(root).trace(_SET):
        table.add_row(step.kind, "  " * step.depth + step.name, step.detail)
    console.print(table)


def _show_reports(root: Path, versions: list[str], console: Console) -> None:
    from ticklake.silver.report import write_report  # plotly takes a second to import

    for version in versions:
        console.print(f"Report, for a browser: {write_report(root, version)}", soft_wrap=True)
