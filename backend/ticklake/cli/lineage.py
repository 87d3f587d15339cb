"""Commands that look back and ahead: lineage ls, show, used-by, export."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ticklake.base.errors import NoDataError
from ticklake.catalog.lineage import Lineage
from ticklake.catalog.runs import RunRegistry
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption, find_place
from ticklake.files.place import Place, place_in

app = typer.Typer(help="Where a dataset, run or file comes from, back to the stream's sequences.")


@app.command()
def ls(output: OutputOption = Output.TABLE, data: DataOption = None) -> None:
    """List what runs made: each artifact and dataset with its run."""
    runs = RunRegistry(find_place(data).data_root).find_runs()
    rows = [
        *({"made": ref.path, "what": "artifact", "run_id": run.run_id} for run in runs for ref in run.artifacts),
        *({"made": name, "what": "dataset", "run_id": run.run_id} for run in runs for name in run.datasets),
    ]
    show_rows(rows, output, columns=("made", "what", "run_id"))


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Dataset, training set (x or x@3), feature version, run id, or path below the data root.",
        ),
    ],
    files: Annotated[bool, typer.Option("--files", help="Each bronze file, not one line per table and date.")] = False,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """Print the steps back from one dataset, run or file."""
    steps = Lineage(find_place(data).data_root).trace(name, files=files)
    indent = "  " if output is Output.TABLE else ""
    rows = [{**asdict(step), "name": indent * step.depth + step.name} for step in steps]
    show_rows(rows, output, columns=("depth", "kind", "name", "detail"))


@app.command("used-by")
def used_by(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Bronze or silver file or folder below the data root, or a stream sequence."
        ),
    ],
    stream: Annotated[str | None, typer.Option(help="Only this stream, for a sequence.")] = None,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """Print the feature versions and training sets that were made from a bronze or silver file or a message."""
    root = find_place(data).data_root
    lineage = Lineage(root)
    digits = source.replace(",", "")  # a sequence as people write it
    uses = lineage.uses_of_sequence(int(digits), stream) if digits.isdecimal() else lineage.uses_of_file(source)
    if not uses and not digits.isdecimal() and not _is_there(place_in(root, source)):
        raise NoDataError(f"{source}: no such file or folder below {root}, and no version was made from it")
    rows = [{**asdict(use), "dates": [day.isoformat() for day in use.dates], "files": len(use.files)} for use in uses]
    show_rows(rows, output, columns=("kind", "name", "version", "is_current", "dates", "files"))


def _is_there(place: Place) -> bool:
    return place.is_dir() or place.is_file()


@app.command()
def export(output: OutputOption = Output.JSON, data: DataOption = None) -> None:
    """Print the steps back from everything that runs made."""
    root = find_place(data).data_root
    lineage = Lineage(root)
    names = {
        name for run in RunRegistry(root).find_runs() for name in (*run.datasets, *(ref.path for ref in run.artifacts))
    }
    rows = [{"of": name, **asdict(step)} for name in sorted(names) for step in lineage.trace(name)]
    show_rows(rows, output, columns=("of", "depth", "kind", "name", "detail"))
