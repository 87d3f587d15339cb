"""Commands for feature versions: silver build, ls, compare, inspect, manifest, parameters, report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ticklake.base.errors import CheckFailedError, CorruptError, NoDataError, UsageError
from ticklake.base.words import count
from ticklake.cli.output import Output, OutputOption, show_json, show_rows
from ticklake.cli.place import DataOption, find_place
from ticklake.files.place import place_of
from ticklake.readers.query import day_of
from ticklake.readers.silver import DAMAGED
from ticklake.silver.baselines import baseline_manifest
from ticklake.silver.build import Progress as OnDate
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.manifest import dump_manifest
from ticklake.silver.parameters import parameter_docs, short_value
from ticklake.silver.pipelines import PIPELINES
from ticklake.silver.record import VersionStatus
from ticklake.silver.result import BuildResult, DateResult, Outcome

app = typer.Typer(help="Feature versions: build, list, compare, inspect, report.")

_DATE_COLUMNS: Final = ("date", "outcome", "rows", "cause", "reason")
_STAGE_COLUMNS: Final = ("stage", "frame", "rows", "columns", "added", "MiB", "seconds", "process_MiB")
_PARAMETER_COLUMNS: Final = ("stage", "parameter", "type", "default", "baseline", "unit", "meaning")
_MIB: Final = 1 << 20

ManifestArgument = Annotated[
    str, typer.Argument(metavar="MANIFEST", help="A YAML file, or the name of an existing version.")
]
PipelineArgument = Annotated[str, typer.Argument(metavar="PIPELINE", help=f"{', '.join(PIPELINES)}, or module:NAME.")]
CheckpointOption = Annotated[
    str | None, typer.Option(metavar="PLACE", help="Folder for the frames between two stages, or s3://bucket/prefix.")
]


@app.command()
def build(
    manifest: ManifestArgument,
    dates: Annotated[
        list[str] | None,
        typer.Option("--date", help="Trading day to add; may be given many times. Others are brought up to date."),
    ] = None,
    start: Annotated[str | None, typer.Option(help="First trading day, with --end.")] = None,
    end: Annotated[str | None, typer.Option(help="Last trading day, included.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Build every date, stale or not.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes on this machine, one thread each. \\[default: what is fastest]"),
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="Dask scheduler on this machine: tcp://127.0.0.1:8786.")] = None,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """Build the dates of a version that are missing or stale; all dates with bronze rows unless some are named."""
    builder = _builder(data)
    with _progress() as on_date:
        result = builder.build_feature_set(
            manifest, _days(dates, start, end), force, workers=workers, scheduler=scheduler, progress=on_date
        )
    _show_result(result, output)
    if result.status is not VersionStatus.COMPLETE:
        raise CheckFailedError(f"version {result.version} failed: {result.reason}; correct it, then build again")
    if not result.certificate_passed:
        raise CheckFailedError(f"version {result.version} can be read and never promoted: {result.reason}")


@app.command()
def ls(output: OutputOption = Output.TABLE, data: DataOption = None) -> None:
    """List versions with their state; only complete ones can be read and promoted. Exit code 65 when one is damaged."""
    builder = _builder(data)
    rows = [_listed(builder, version) for version in builder.list_versions(complete_only=False)]
    columns = ("version", "state", "pipeline", "symbol", "dates", "rows", "parent", "tags", "reason")
    show_rows(rows, output, columns=columns)
    if damaged := [f"{row['version']} ({row['reason']})" for row in rows if row["state"] == DAMAGED]:
        raise CorruptError(f"{count(len(damaged), 'version')} of {len(rows)} damaged: {'; '.join(damaged)}")


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="The older version.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The newer version.")],
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """Print what version B has that A has not, and the other way round."""
    found = _builder(data).compare_versions(a, b)
    if output is Output.JSON:
        show_json({**asdict(found), "counts": found.counts})
        return
    rows = [
        *({"what": "feature", "name": name, "a": None, "b": "added"} for name in found.features_added),
        *({"what": "feature", "name": name, "a": "removed", "b": None} for name in found.features_removed),
        *(
            {"what": "parameter", "name": name, "a": found.parameters_a[name], "b": found.parameters_b[name]}
            for name in found.parameters_a
        ),
        *({"what": "date", "name": day, "a": None, "b": "added"} for day in found.dates_added),
        *({"what": "date", "name": day, "a": "removed", "b": None} for day in found.dates_removed),
        {"what": "rows", "name": "signals", "a": found.rows_a, "b": found.rows_b},
        {"what": "features in common", "name": "", "a": found.counts["common"], "b": found.counts["common"]},
        {"what": "same code", "name": "", "a": found.same_code, "b": found.same_code},
    ]
    show_rows(rows, output, columns=("what", "name", "a", "b"))


@app.command()
def inspect(
    manifest: ManifestArgument,
    day: Annotated[str, typer.Argument(metavar="DATE", help="Trading day, YYYY-MM-DD.")],
    stop_at: Annotated[str | None, typer.Option(help="Last stage to run.")] = None,
    resume_after: Annotated[str | None, typer.Option(help="Go on after this stage, from --checkpoint.")] = None,
    checkpoint: CheckpointOption = None,
    show: Annotated[str | None, typer.Option(help="Print the first rows of this frame instead.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows of it.")] = 20,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """Run one date stage by stage and print rows, columns, seconds and memory of each; the lake is not changed."""
    place = None if checkpoint is None else place_of(checkpoint)
    found = _builder(data).inspect(manifest, day, stop_at=stop_at, resume_after=resume_after, checkpoint=place)
    if show is not None:
        if show not in found.frames:
            raise UsageError(f"no frame {show!r} there; choose one of {', '.join(found.frames)}")
        frame = found.frames[show].head(rows).collect()
        show_rows(frame.to_dicts(), output, columns=frame.columns)
        return
    table = [
        {
            "stage": report.stage, "frame": report.frame, "rows": report.rows, "columns": report.columns,
            "added": ", ".join(report.columns_added) if output is not Output.TABLE else len(report.columns_added),
            "MiB": round(report.size_bytes / _MIB, 1), "seconds": round(report.seconds, 3),
            "process_MiB": round(report.process_bytes / _MIB),
        }
        for report in found.reports
    ]  # fmt: skip
    show_rows(table, output, columns=_STAGE_COLUMNS)


@app.command()
def manifest(
    pipeline: PipelineArgument = "es_levels",
    version: Annotated[str | None, typer.Option(help="Name of the feature version.")] = None,
) -> None:
    """Print the manifest of a pipeline with every default, to start from; `parameters` says what each means."""
    typer.echo(dump_manifest(baseline_manifest(pipeline, version)), nl=False)


@app.command()
def parameters(pipeline: PipelineArgument = "es_levels", output: OutputOption = Output.TABLE) -> None:
    """Print every parameter of a pipeline: type, default, what `manifest` writes instead, unit, meaning."""
    rows = [asdict(doc) for doc in parameter_docs(pipeline)]
    if output is Output.TABLE:
        for row in rows:
            row["default"] = short_value(row["default"])
            row["baseline"] = None if row["baseline"] is None else short_value(row["baseline"])
    show_rows(rows, output, columns=_PARAMETER_COLUMNS)


@app.command()
def report(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="From `ticklake silver ls`.")],
    out: Annotated[
        str | None, typer.Option(metavar="PLACE", help="HTML file, or folder for it; may be an s3:// address.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Write one self-contained HTML page about a version: coverage, distributions, labels, drift, causality."""
    from ticklake.silver.report import write_report  # plotly takes a second to import

    typer.echo(write_report(find_place(data).data_root, version, out))


def _listed(builder: SilverFeatureBuilder, version: str) -> dict[str, Any]:
    """The line of one version; one with a document that is damaged or gone hides no other."""
    try:
        state, manifest = builder.get_state(version), builder.get_manifest(version)
    except (CorruptError, UsageError, NoDataError) as error:
        return {"version": version, "state": DAMAGED, "reason": str(error)}
    return {
        "version": version, "state": state.state.value, "pipeline": manifest.pipeline, "symbol": manifest.symbol,
        "dates": state.dates, "rows": state.rows, "parent": manifest.parent, "tags": ", ".join(manifest.tags),
        "reason": state.reason,
    }  # fmt: skip


def _builder(data: str | None) -> SilverFeatureBuilder:
    return SilverFeatureBuilder(find_place(data).data_root)


def _days(dates: list[str] | None, start: str | None, end: str | None) -> list[date] | None:
    if (start is None) != (end is None):
        raise UsageError("give --start and --end together, or name days with --date")
    named = [day_of(day) for day in dates or ()]
    if start is None or end is None:
        return named or None
    first, last = day_of(start), day_of(end)
    if last < first:
        raise UsageError(f"--end {end} lies before --start {start}; swap them")
    return [*named, *(first + timedelta(days=n) for n in range((last - first).days + 1))]


@contextmanager
def _progress() -> Iterator[OnDate | None]:
    """A bar on stderr, when that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("planning", total=None)

        def on_date(result: DateResult, done: int, total: int) -> None:
            bar.update(task, description=f"{result.date} {result.outcome}", completed=done, total=total)
            if done == total:
                bar.update(task, description="certificate and checks", total=None)  # its clock goes on

        yield on_date


def _show_result(result: BuildResult, output: Output) -> None:
    if output is Output.JSON:
        facts: dict[str, Any] = {**asdict(result), "signals_total": result.signals_total, "errors": result.errors}
        show_json({**facts, "dates_processed": result.dates_processed})
        return
    show_rows([asdict(item) for item in result.dates], output, columns=_DATE_COLUMNS)
    if output is Output.TABLE:
        built = sum(item.outcome is Outcome.BUILT for item in result.dates)
        typer.echo(
            f"version {result.version} {result.status}: {count(result.signals_total, 'signal')}, "
            f"{built} of {count(len(result.dates), 'date')} built "
            f"in {result.build_time_seconds:.1f} s "
            f"(certificate {result.certificate_seconds:.1f} s of work), {result.output_dir}"
        )
