"""What drawing the causality certificate of a version takes: one unit of work a date, one for the published events."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import partial
from time import perf_counter
from typing import Any, Final

import msgspec
import polars as pl

from ticklake.base.errors import CheckFailedError, CorruptError, NoDataError, UsageError
from ticklake.files.engines import scan_files
from ticklake.files.place import place_of
from ticklake.readers.lake import Lake, open_lake
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.session import session_window
from ticklake.silver.causality import Watched, certify, certify_published, density_for, share_cuts
from ticklake.silver.certificate import Certificate
from ticklake.silver.checks import ORDER
from ticklake.silver.feature_run import feature_pipeline
from ticklake.silver.folder import VersionFolder
from ticklake.silver.frames import Frames
from ticklake.silver.inputs import find_inputs, scan_inputs
from ticklake.silver.manifest import dump_manifest, parse_manifest
from ticklake.silver.pipeline import (
    OUTPUTS,
    PRIMARY,
    Parameters,
    Pipeline,
    StageFailedError,
    columns_given,
    input_times,
    run_pipeline,
)
from ticklake.silver.recipe import Recipe, resolve
from ticklake.silver.stage import Role
from ticklake.silver.task import Unit

_OF_THE_VERSION: Final = (StageFailedError, CheckFailedError, CorruptError, NoDataError, UsageError)
"""Errors that fail the version: they come from its rows and stages, not from the disk or a store."""


@dataclass(frozen=True, slots=True)
class CertificateTask:
    """The rebuilds of one date with fewer rows; or the one with every row, compared with what was published.

    Attributes:
        build: tells the build from every other one.
        root: the data root, absolute.
        tables: the catalog of tables.
        manifest: the full manifest, as YAML.
        date: YYYY-MM-DD.
        signals: place of the date's published signals.
        cuts: how many the date gets; 0 for the one with every row.
        density: share of the rows that they see, see `causality.density_for`.
    """

    build: str
    root: str
    tables: TableCatalog
    manifest: str
    date: str
    signals: str
    cuts: int
    density: float

    @property
    def key(self) -> str:
        """Other shares of the same date differ by cuts or density."""
        return f"{self.build}/certificate/{self.date}/{self.cuts}/{self.density}"

    @property
    def bytes(self) -> int:
        """No size, an order for a crew that starts with them: behind the dates, the most cuts first."""
        return self.cuts

    @property
    def unit(self) -> Unit:
        """`certify_date`."""
        return certify_date

    def arguments(self) -> tuple[object, ...]:
        """For `certify_date`."""
        what = self.root, self.tables, self.manifest, self.date, self.signals
        return *what, self.cuts, self.density


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of a task.

    Attributes:
        certificate: of its trials; None when they could not be made.
        reason: why not; "" when they were.
        seconds: what it took, of one worker.
    """

    certificate: Certificate | None
    reason: str = ""
    seconds: float = 0.0


def certificate_tasks(lake: Lake, recipe: Recipe, built: Collection[str], build: str) -> list[CertificateTask]:
    """What the certificate of a version takes, its cuts shared out over the built dates. The same whoever draws it.

    Args:
        lake: where bronze lies.
        recipe: what is built.
        built: its dates.
        build: tells this build from every other one.
    """
    wanted = recipe.manifest.certificate
    if not built or not wanted.cuts:
        return []
    shares = share_cuts(sorted(built), wanted.cuts, wanted.seed)
    chosen = sorted(shares)[wanted.seed % len(shares)]  # one date is tried with every row, as it was published
    published = VersionFolder(lake.data_root, recipe.manifest.version)
    text = dump_manifest(recipe.manifest)
    return [
        CertificateTask(
            build=build,
            root=str(lake.data_root),
            tables=lake.table_catalog,
            manifest=text,
            date=day,
            signals=str(published.data_path(day, f"{OUTPUTS[PRIMARY]}.parquet")),
            cuts=cuts,
            density=wanted.density or density_for(len(built), wanted.cuts),
        )
        for day, cuts in [(chosen, 0), *sorted(shares.items())]
    ]


def certify_date(
    root: str,
    tables: TableCatalog,
    manifest: str,
    day: str,
    signals: str,
    cuts: int,
    density: float,
) -> bytes:
    """Draw one date's share of the certificate; arguments as in `CertificateTask`.

    Returns:
        a `Drawn` as JSON: what is wrong with the rows or the stages fails the version, and no other task.

    Raises:
        DiskError: the disk failed.
        UnavailableError: the lake lies in a bucket whose store does not answer.
    """
    started_s = perf_counter()
    certificate, reason = None, ""
    try:
        certificate = _certify(root, tables, manifest, day, signals, cuts, density)
    except _OF_THE_VERSION as error:
        reason = f"{day}: {type(error).__name__}: {error}"
    except pl.exceptions.PolarsError as error:
        reason = f"rows of {day} cannot be read again ({error}); run `ticklake verify --deep`, then build again"
    return msgspec.json.encode(Drawn(certificate, reason, perf_counter() - started_s))


def _certify(
    root: str, tables: TableCatalog, manifest: str, day: str, signals: str, cuts: int, density: float
) -> Certificate:
    recipe = resolve(parse_manifest(manifest))
    lake = open_lake(place_of(root), tables=tables)
    session = session_window(recipe.manifest.calendar, date.fromisoformat(day))
    if session is None:
        raise CheckFailedError(f"{day} was built and has no session now; the calendar changed, build again")
    whole = feature_pipeline(recipe.pipeline, recipe.parameters)
    pipeline = feature_pipeline(recipe.pipeline, recipe.parameters, (PRIMARY,))

    def run(frames: Frames, stages: Pipeline = pipeline) -> Frames:
        return run_pipeline(stages, frames, recipe.parameters, session)

    first, *others = _watched(whole, recipe.parameters)
    how: dict[str, Any] = {
        "primary": PRIMARY,
        "features": first.features,
        "seed": recipe.manifest.certificate.seed,
        "times": input_times(recipe.pipeline, recipe.parameters),
    }
    inputs = scan_inputs(lake, recipe, find_inputs(lake, recipe, session))
    built = scan_files([place_of(signals)]).collect()
    if not cuts:
        return certify_published(run, inputs, session, built, **how)
    how |= {"others": others, "whole": partial(run, stages=whole), "density": density, "built": built}
    return certify(run, inputs, session, cuts=cuts, **how)


def _watched(pipeline: Pipeline, parameters: Parameters) -> list[Watched]:
    """The frames with features, that of the events first.

    Raises:
        UsageError: rows of a frame cannot be told apart or have no time.
    """
    given = columns_given(pipeline, parameters)
    found = []
    for frame in (frame for frame in OUTPUTS if frame in given):
        features, key = (
            tuple(spec.name for spec in given[frame].values() if spec.role is role) for role in (Role.FEATURE, Role.KEY)
        )
        if frame == PRIMARY or features:
            found.append(Watched(frame, features, key))
        if frame != PRIMARY and features and (not key or ORDER not in given[frame]):
            raise UsageError(
                f"frame {frame!r} has features and no key or no {ORDER}: the certificate cannot compare its rows; "
                "declare both"
            )
    return found
