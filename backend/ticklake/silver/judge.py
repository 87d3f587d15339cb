"""The judgement on a whole version: every check over every file, and the causality certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ticklake.base.clock import Clock
from ticklake.base.errors import CheckFailedError, CorruptError, NoDataError, UsageError
from ticklake.readers.lake import Lake
from ticklake.silver.certificate import Certificate
from ticklake.silver.check_files import check_files
from ticklake.silver.crew import Crew
from ticklake.silver.draw import draw_certificate
from ticklake.silver.finding import Finding
from ticklake.silver.folder import VersionFolder
from ticklake.silver.pipeline import StageFailedError
from ticklake.silver.recipe import Recipe
from ticklake.silver.record import DateRecord
from ticklake.silver.validation import Validation, write_validation

_NAMED_MAX: Final = 3
_OF_THE_VERSION: Final = (StageFailedError, CheckFailedError, CorruptError, NoDataError, UsageError)
"""Errors of a certificate that fail the version: they come from its rows and stages, not from the disk or a store."""


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
        crew: does both.
    """
    findings = check_files(recipe, folder, records, crew)
    failures = [finding for finding in findings if finding.fails]
    if failures:
        folder.check_held()
        write_validation(folder.validation_path, Validation(tuple(findings)))
        return Verdict(_describe(failures))
    started_s = clock.monotonic_s()
    try:
        certificate = draw_certificate(lake, recipe, records, crew)
    except _OF_THE_VERSION as error:
        folder.check_held()
        write_validation(folder.validation_path, Validation(tuple(findings)))
        return Verdict(f"the causality certificate could not be drawn: {error}")
    seconds = clock.monotonic_s() - started_s
    folder.check_held()
    write_validation(folder.validation_path, Validation(tuple(findings), certificate))
    return Verdict("", _why_uncertified(certificate), seconds)


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
