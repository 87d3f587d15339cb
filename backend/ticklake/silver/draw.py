"""Who draws the causality certificate of a version: one unit of work a date, and one for the published events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import msgspec
import polars as pl

from ticklake.base.errors import CheckFailedError, CorruptError, UsageError
from ticklake.files.engines import scan_files
from ticklake.files.place import place_of
from ticklake.readers.lake import Lake, open_lake
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.session import session_window
from ticklake.silver.causality import Watched, certify, certify_published, density_for, share_cuts
from ticklake.silver.certificate import Certificate, merge_certificates
from ticklake.silver.checks import ORDER
from ticklake.silver.crew import Crew
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
    columns_given,
    input_times,
    run_pipeline,
)
from ticklake.silver.recipe import Recipe, resolve
from ticklake.silver.record import DateRecord, DateStatus
from ticklake.silver.stage import Role


@dataclass(frozen=True, slots=True)
class CertificateTask:
    """The rebuilds of one date with fewer rows; or the one with every row, compared with what was published.

    Attributes:
        root: the data root, absolute.
        tables: the catalog of tables.
        manifest: the full manifest, as YAML.
        version: its name.
        date: YYYY-MM-DD.
        signals: place of the date's published signals.
        cuts: how many the date gets; 0 for the one with every row.
        density: share of the rows that they see, see `causality.density_for`.
    """

    root: str
    tables: TableCatalog
    manifest: str
    version: str
    date: str
    signals: str
    cuts: int
    density: float

    @property
    def key(self) -> str:
        """A version has one builder at a time."""
        return f"{self.root}/{self.version}/certificate/{self.date}/{self.cuts}"

    @property
    def bytes(self) -> int:
        """Their order, no size: the more cuts, the longer."""
        return self.cuts

    def arguments(self) -> tuple[object, ...]:
        """For `certify_date`."""
        what = self.root, self.tables, self.manifest, self.date, self.signals
        return *what, self.cuts, self.density


def draw_certificate(lake: Lake, recipe: Recipe, records: Mapping[str, DateRecord], crew: Crew) -> Certificate | None:
    """The certificate of a version, its cuts shared out over the built dates; None when there is no built date.

    The same whoever draws it.
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
            cuts=cuts,
            density=density_for(len(built), wanted.cuts),
        )
        for day, cuts in [*sorted(shares.items()), (chosen, 0)]
    ]
    drawn = {
        task.key: msgspec.json.decode(content, type=Certificate) for task, content in crew.run(tasks, certify_date)
    }
    return merge_certificates([drawn[task.key] for task in tasks])


def certify_date(
    root: str,
    tables: TableCatalog,
    manifest: str,
    day: str,
    signals: str,
    cuts: int,
    density: float,
) -> bytes:
    """Draw one date's share of the certificate; arguments as in `CertificateTask`. Gives it as JSON.

    Raises:
        CheckFailedError: the date has no session any more.
        CorruptError: its rows cannot be read any more.
    """
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
    try:
        inputs = scan_inputs(lake, recipe, find_inputs(lake, recipe, session))
        built = scan_files([place_of(signals)]).collect()
        if cuts:
            how |= {"others": others, "whole": partial(run, stages=whole), "density": density, "built": built}
            certificate = certify(run, inputs, session, cuts=cuts, **how)
        else:
            certificate = certify_published(run, inputs, session, built, **how)
    except CorruptError as error:
        raise CorruptError(str(error)) from error  # some kinds of it cannot travel between processes
    except pl.exceptions.PolarsError as error:
        raise CorruptError(
            f"rows of {day} cannot be read again ({error}); run `ticklake verify --deep`, then build again"
        ) from error
    return msgspec.json.encode(certificate)


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
