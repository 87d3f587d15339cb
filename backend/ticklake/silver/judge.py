"""The judgement on a whole version: every check over every file, and the causality certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final

import msgspec

from ticklake.base.clock import Clock
from ticklake.base.errors import CheckFailedError
from ticklake.files.engines import scan_files
from ticklake.files.place import place_of
from ticklake.readers.lake import Lake, open_lake
from ticklake.schema.session import session_window
from ticklake.silver.causality import Certificate, certify, density_for, merge_certificates, share_cuts
from ticklake.silver.checks import Finding, check_version
from ticklake.silver.crew import Crew
from ticklake.silver.feature_run import feature_pipeline
from ticklake.silver.folder import VersionFolder
from ticklake.silver.frames import Frames
from ticklake.silver.inputs import find_inputs, scan_inputs
from ticklake.silver.manifest import dump_manifest, parse_manifest
from ticklake.silver.pipeline import OUTPUTS, PRIMARY, run_pipeline
from ticklake.silver.recipe import Recipe, resolve
from ticklake.silver.record import DateRecord, DateStatus
from ticklake.silver.stage import Role
from ticklake.silver.validation import Validation, write_validation
from ticklake.silver.work import DateTask

_NAMED_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version holds.

    Attributes:
        failure: why the version is not fit to be read; "" when it is.
        warning: why it can be read and never promoted: the certificate did not pass; "" when it did.
        certificate_passed: whether the causality certificate passed.
        certificate_seconds: what drawing it took.
    """

    failure: str = ""
    warning: str = ""
    certificate_seconds: float = 0.0

    @property
    def certificate_passed(self) -> bool:
        """Whether the causality certificate passed."""
        return not self.failure and not self.warning


def judge_version(
    lake: Lake,
    recipe: Recipe,
    folder: VersionFolder,
    records: Mapping[str, DateRecord],
    clock: Clock,
    crew: Crew,
) -> Verdict:
    """Check the files of every date, draw the certificate over all of them, and write `validation.json`.

    Args:
        lake: where bronze lies.
        recipe: what was built.
        folder: of the version; its dates are published.
        records: of every date.
        clock: measures the certificate.
        crew: draws it.
    """
    findings = check_files(recipe, folder, records)
    failures = [finding for finding in findings if finding.fails]
    if failures:
        folder.check_held()
        write_validation(folder.validation_path, Validation(tuple(findings)))
        return Verdict(_describe(failures))
    started_s = clock.monotonic_s()
    certificate = draw_certificate(lake, recipe, records, crew)
    seconds = clock.monotonic_s() - started_s
    folder.check_held()
    write_validation(folder.validation_path, Validation(tuple(findings), certificate))
    return Verdict("", _why_uncertified(certificate), seconds)


def check_files(recipe: Recipe, folder: VersionFolder, records: Mapping[str, DateRecord]) -> list[Finding]:
    """Every check over every output file of every date."""
    reasons = {day: record.reason for day, record in records.items() if record.status is not DateStatus.BUILT}
    findings: list[Finding] = []
    for table in OUTPUTS.values():
        if table not in recipe.columns:
            continue
        paths = {
            day: folder.data_path(day, file.name)
            for day, record in records.items()
            for file in record.files
            if file.name == f"{table}.parquet"
        }
        frames = {day: scan_files([path]) for day, path in paths.items()}
        findings += check_version(frames, recipe.columns[table], empty_reasons=reasons, file=table)
    return findings


def draw_certificate(lake: Lake, recipe: Recipe, records: Mapping[str, DateRecord], crew: Crew) -> Certificate | None:
    """The certificate of a version, its cuts shared out over the built dates; None when there is no built date."""
    built = [day for day, record in records.items() if record.status is DateStatus.BUILT]
    wanted = recipe.manifest.certificate
    if not built or not wanted.cuts:
        return None
    shares = {day: cuts for day, cuts in share_cuts(built, wanted.cuts, wanted.seed).items() if cuts}
    published = VersionFolder(lake.data_root, recipe.manifest.version)
    chosen = sorted(shares)[wanted.seed % len(shares)]  # one date is tried with every row, as it was published
    signals = {day: str(published.data_path(day, f"{OUTPUTS[PRIMARY]}.parquet")) for day in shares}
    unit = partial(certify_date, shares, signals, chosen, density_for(len(built), wanted.cuts), wanted.seed)
    text = dump_manifest(recipe.manifest)
    tasks = [DateTask(str(lake.data_root), text, day, "certificate", recipe.code_hash, "") for day in shares]
    drawn = {task.date: msgspec.json.decode(content, type=Certificate) for task, content in crew.run(tasks, unit)}
    return merge_certificates({day: drawn[day] for day in sorted(drawn)})


def certify_date(
    shares: Mapping[str, int],
    signals: Mapping[str, str],
    chosen: str,
    density: float,
    seed: int,
    root: str,
    manifest: str,
    day: str,
    *rest: str,
) -> bytes:
    """Draw one date's share of the certificate; a unit of work like `work.build_date`. Gives it as JSON.

    Args:
        shares: date -> how many cuts.
        signals: date -> its published signals.
        chosen: the date that is tried with every row, too.
        density: share of the rows to use otherwise.
        seed: of the draw.
        root: the data root.
        manifest: the full manifest, as YAML.
        day: the date, YYYY-MM-DD.
        rest: the other arguments of a task, not needed here.
    """
    del rest
    recipe = resolve(parse_manifest(manifest))
    lake = open_lake(place_of(root))
    session = session_window(recipe.manifest.calendar, date.fromisoformat(day))
    if session is None:
        raise CheckFailedError(f"{day} was built and has no session now; the calendar changed, build again")
    pipeline = feature_pipeline(recipe.pipeline, recipe.parameters)
    inputs = scan_inputs(lake, recipe, find_inputs(lake, recipe, session))

    def run(frames: Frames) -> Frames:
        return run_pipeline(pipeline, frames, recipe.parameters, session)

    features = [spec.name for spec in recipe.columns[OUTPUTS[PRIMARY]] if spec.role is Role.FEATURE]
    certificate = certify(
        run,
        inputs,
        session,
        primary=PRIMARY,
        features=features,
        cuts=shares[day],
        seed=seed,
        density=density,
        built=scan_files([place_of(signals[day])]).collect(),
        all_rows=day == chosen,
    )
    return msgspec.json.encode(certificate)


def _why_uncertified(certificate: Certificate | None) -> str:
    if certificate is None:
        return "no causality certificate: there was no event to try it on, or no cut was asked for"
    if certificate.passed:
        return ""
    columns = sorted({violation.column or "the events" for violation in certificate.violations})
    what = f"{', '.join(columns[:_NAMED_MAX])} know the future" if columns else "nothing was compared"
    return f"the causality certificate failed: {what}; see section causality of validation.json"


def _describe(failures: list[Finding]) -> str:
    named = "; ".join(
        f"{finding.name} {finding.file}.{finding.column} ({finding.n_failed} of {finding.n}"
        f"{', ' * bool(finding.sample)}{', '.join(finding.sample[:1])})"
        for finding in failures[:_NAMED_MAX]
    )
    more = f" and {len(failures) - _NAMED_MAX} more" if len(failures) > _NAMED_MAX else ""
    return f"{len(failures)} checks failed: {named}{more}; see validation.json"
