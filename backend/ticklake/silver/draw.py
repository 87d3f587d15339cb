"""Who draws the causality certificate of a version: units of work, shared out so that no worker waits for long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import msgspec
import polars as pl

from ticklake.base.errors import CheckFailedError, CorruptError
from ticklake.files.engines import scan_files
from ticklake.files.place import place_of
from ticklake.readers.lake import Lake, open_lake
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.session import session_window
from ticklake.silver.causality import certify, density_for, share_cuts
from ticklake.silver.certificate import Certificate, merge_certificates
from ticklake.silver.crew import Crew
from ticklake.silver.feature_run import feature_pipeline
from ticklake.silver.folder import VersionFolder
from ticklake.silver.frames import Frames
from ticklake.silver.inputs import find_inputs, scan_inputs
from ticklake.silver.manifest import dump_manifest, parse_manifest
from ticklake.silver.pipeline import OUTPUTS, PRIMARY, input_times, run_pipeline
from ticklake.silver.recipe import Recipe, resolve
from ticklake.silver.record import DateRecord, DateStatus
from ticklake.silver.stage import Role

_WHOLE: Final = (0, 1)


@dataclass(frozen=True, slots=True)
class CertificateTask:
    """The rebuilds of one date, or one piece of them.

    Attributes:
        root: the data root, absolute.
        tables: the catalog of tables.
        manifest: the full manifest, as YAML.
        version: its name.
        date: YYYY-MM-DD.
        signals: place of the date's published signals.
        cuts: how many the date gets.
        density: share of the rows that they see, see `causality.density_for`.
        all_rows: whether one more is tried with every row.
        piece: number and count of the pieces of the date.
    """

    root: str
    tables: TableCatalog
    manifest: str
    version: str
    date: str
    signals: str
    cuts: int
    density: float
    all_rows: bool
    piece: tuple[int, int]

    @property
    def key(self) -> str:
        """A version has one builder at a time."""
        return f"{self.root}/{self.version}/certificate/{self.date}/{self.piece[0]}"

    @property
    def bytes(self) -> int:
        """Their order, no size: reading every row takes longest, a whole date longer than a piece."""
        return 2 * self.all_rows + (self.piece == _WHOLE)

    def arguments(self) -> tuple[object, ...]:
        """For `certify_date`."""
        what = self.root, self.tables, self.manifest, self.date, self.signals
        return *what, self.cuts, self.density, self.all_rows, self.piece


def draw_certificate(lake: Lake, recipe: Recipe, records: Mapping[str, DateRecord], crew: Crew) -> Certificate | None:
    """The certificate of a version, its cuts shared out over the built dates; None when there is no built date.

    The same whoever draws it: how dates are cut into pieces changes no rebuild.
    """
    built = [day for day, record in records.items() if record.status is DateStatus.BUILT]
    wanted = recipe.manifest.certificate
    if not built or not wanted.cuts:
        return None
    shares = share_cuts(built, wanted.cuts, wanted.seed)
    chosen = sorted(shares)[wanted.seed % len(shares)]  # one date is tried with every row, as it was published
    published = VersionFolder(lake.data_root, recipe.manifest.version)
    text = dump_manifest(recipe.manifest)
    tasks = [
        CertificateTask(
            root=str(lake.data_root),
            tables=lake.table_catalog,
            manifest=text,
            version=recipe.manifest.version,
            date=day,
            signals=str(published.data_path(day, f"{OUTPUTS[PRIMARY]}.parquet")),
            cuts=shares[day],
            density=density_for(len(built), wanted.cuts),
            all_rows=day == chosen,
            piece=piece,
        )
        for day, piece in _pieces(sorted(shares, key=lambda day: (day != chosen, day)), crew.width)
    ]
    drawn = {
        (task.date, task.piece): msgspec.json.decode(content, type=Certificate)
        for task, content in crew.run(tasks, certify_date)
    }
    return merge_certificates([drawn[key] for key in sorted(drawn)])


def certify_date(
    root: str,
    tables: TableCatalog,
    manifest: str,
    day: str,
    signals: str,
    cuts: int,
    density: float,
    all_rows: bool,
    piece: tuple[int, int],
) -> bytes:
    """Draw one date's share of the certificate, or a piece of it; arguments as in `CertificateTask`. Gives it as JSON.

    Raises:
        CheckFailedError: the date has no session any more.
        CorruptError: its rows cannot be read any more.
    """
    recipe = resolve(parse_manifest(manifest))
    lake = open_lake(place_of(root), tables=tables)
    session = session_window(recipe.manifest.calendar, date.fromisoformat(day))
    if session is None:
        raise CheckFailedError(f"{day} was built and has no session now; the calendar changed, build again")
    pipeline = feature_pipeline(recipe.pipeline, recipe.parameters)

    def run(frames: Frames) -> Frames:
        return run_pipeline(pipeline, frames, recipe.parameters, session)

    try:
        inputs = scan_inputs(lake, recipe, find_inputs(lake, recipe, session))
        certificate = certify(
            run,
            inputs,
            session,
            primary=PRIMARY,
            features=[spec.name for spec in recipe.columns[OUTPUTS[PRIMARY]] if spec.role is Role.FEATURE],
            cuts=cuts,
            seed=recipe.manifest.certificate.seed,
            times=input_times(recipe.pipeline, recipe.parameters),
            density=density,
            built=scan_files([place_of(signals)]).collect(),
            all_rows=all_rows,
            piece=piece,
        )
    except CorruptError as error:
        raise CorruptError(str(error)) from error  # some kinds of it cannot travel between processes
    except pl.exceptions.PolarsError as error:
        raise CorruptError(
            f"rows of {day} cannot be read again ({error}); run `ticklake verify --deep`, then build again"
        ) from error
    return msgspec.json.encode(certificate)


def _pieces(days: Sequence[str], width: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each date whole; the last ones, which would leave workers idle, in as many pieces as give every worker one."""
    odd = len(days) % width
    for place, day in enumerate(days):
        count = width // odd if place >= len(days) - odd else 1
        yield from ((day, (number, count)) for number in range(count))
