"""Commands for training sets: gold promote, validate, ls, metadata, rollback."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from ticklake.base.errors import CheckFailedError, CorruptError, UsageError
from ticklake.base.words import count
from ticklake.cli.output import Output, OutputOption, show_json, show_rows
from ticklake.cli.place import DataOption, find_place
from ticklake.gold.curator import DEFAULT_NAME, GoldCurator
from ticklake.gold.gates import Gate, GateLimits

app = typer.Typer(help="Training sets: promote a feature version when every gate holds, check it, roll back.")

_SETS: Final = (
    "name", "version", "versions", "silver_version", "signal_count", "feature_count", "start_date", "end_date",
    "created_at", "forced", "path", "damage",
)  # fmt: skip
_GATES: Final = ("name", "verdict", "hard", "reason")
_VERSIONS: Final = (
    "version",
    "is_current",
    "silver_version",
    "signal_count",
    "created_at",
    "forced",
    "notes",
    "damage",
)

SetArgument = Annotated[str, typer.Argument(metavar="[NAME]", help="Name of the training set.")]
VersionOption = Annotated[
    str | None, typer.Option("--version", help="Such as 3 or v000003; the current one if left out.")
]
RowsOption = Annotated[int, typer.Option("--min-rows", min=0, help="Fewest rows (soft gate).")]
ShareOption = Annotated[
    float, typer.Option("--max-class-share", min=0, max=1, help="Largest share of one class of a label (soft gate).")
]
CoverageOption = Annotated[
    float, typer.Option("--min-coverage", min=0, max=1, help="Smallest share of open days that are built (soft gate).")
]
CutsOption = Annotated[int, typer.Option("--min-cuts", min=1, help="Fewest cut times of the certificate (hard gate).")]
_LIMITS: Final = GateLimits()


@app.command()
def promote(
    silver_version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Feature version, from `ticklake silver ls`.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the training set.")] = DEFAULT_NAME,
    best: Annotated[
        str | None, typer.Option("--best", metavar="METRIC", help="The version of the experiment with the best METRIC.")
    ] = None,
    lower_is_better: Annotated[bool, typer.Option("--lower-is-better", help="With --best: the smallest wins.")] = False,
    notes: Annotated[str, typer.Option(help="Kept in the metadata.")] = "",
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Pass soft gates that fail, never the hard ones; and make a new version of what is unchanged.",
        ),
    ] = False,
    dates: Annotated[list[str] | None, typer.Option("--date", help="Only this trading day; repeatable.")] = None,
    min_rows: RowsOption = _LIMITS.rows_min,
    max_class_share: ShareOption = _LIMITS.class_share_max,
    min_coverage: CoverageOption = _LIMITS.coverage_min,
    min_cuts: CutsOption = _LIMITS.cuts_min,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """Make a feature version the current version of a training set; exit code 3 when a gate refuses it."""
    limits = GateLimits(min_rows, min_coverage, max_class_share, cuts_min=min_cuts)
    curator = GoldCurator(find_place(data).data_root, limits=limits)
    if (silver_version is None) == (best is None) or (best is not None and dates):
        raise UsageError("name a feature version, or --best METRIC (without --date); see `ticklake silver ls`")
    if lower_is_better and best is None:
        raise UsageError("--lower-is-better says which METRIC is the best; add --best METRIC, or leave it out")
    if best is not None:
        done = curator.promote_best_experiment(best, name, lower_is_better=lower_is_better, notes=notes, force=force)
    else:
        done = curator.promote_to_training(str(silver_version), name, notes, force, dates or None)
    if output is Output.JSON:
        show_json({**asdict(done), "status": done.status.value, "gates": _gate_rows(done.gates)})
    else:
        show_rows(_gate_rows(done.gates), output, columns=_GATES)
        if done.passed:
            label = "" if done.version is None else f" v{done.version:06d}"
            told = f"{done.status.value}: {done.silver_version} -> {name}{label}, {count(done.signal_count, 'row')}, "
            typer.echo(f"{told}{count(done.feature_count, 'feature')}{'; ' * bool(done.reason)}{done.reason}", err=True)
    if not done.passed:
        raise CheckFailedError(f"{done.silver_version} is not promoted: {done.reason}")


@app.command()
def validate(
    name: SetArgument = DEFAULT_NAME,
    version: VersionOption = None,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """Check a training set: bytes, metadata, gates on its rows as promoted; exit code 3 when anything is off."""
    found = GoldCurator(find_place(data).data_root).validate_dataset(name, version)
    if output is Output.JSON:
        show_json({**asdict(found), "findings": _gate_rows(found.findings)})
    else:
        show_rows(_gate_rows(found.findings), output, columns=_GATES)
    if not found.passed:
        failed = [finding.name for finding in found.findings if not finding.passed and not finding.forced]
        raise CheckFailedError(f"{name} version {found.version} does not hold: {', '.join(failed)}; see the findings")


@app.command()
def ls(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="List the versions of this training set.")
    ] = None,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """List the training sets, or every version of one. Exit code 65 when one is damaged."""
    curator = GoldCurator(find_place(data).data_root)
    rows = curator.list_datasets() if name is None else curator.list_versions(name)
    show_rows(rows, output, columns=_SETS if name is None else _VERSIONS)
    if name is not None:
        curator.get_dataset_metadata(name)  # a damaged pointer: no version is current, and it says why
    if damaged := [row["damage"] for row in rows if row["damage"]]:
        raise CorruptError(f"{len(damaged)} of {len(rows)} damaged: {'; '.join(damaged)}")


@app.command()
def metadata(name: SetArgument = DEFAULT_NAME, version: VersionOption = None, data: DataOption = None) -> None:
    """Print all that is known about a training set, as JSON."""
    show_json(GoldCurator(find_place(data).data_root).get_dataset_metadata(name, version))


@app.command()
def rollback(
    name: SetArgument = DEFAULT_NAME,
    to: Annotated[str | None, typer.Option("--to", help="Version; the one below the current one if left out.")] = None,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """Make an earlier version current again."""
    done = GoldCurator(find_place(data).data_root).rollback(name, to)
    row = {
        "name": name,
        "version": done.version,
        "silver_version": done.silver_version,
        "signal_count": done.signal_count,
        "created_at": done.created_at,
    }
    show_rows([row], output)


def _gate_rows(gates: tuple[Gate, ...]) -> list[dict[str, Any]]:
    return [
        {
            "name": gate.name,
            "verdict": "passed" if gate.passed else "forced" if gate.forced else "failed",
            "hard": gate.hard,
            "reason": gate.reason,
        }
        for gate in gates
    ]
