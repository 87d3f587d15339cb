"""The judgement on a whole version: every check over every file, and the causality certificate."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from ticklake.readers.lake import Lake
from ticklake.silver.certificate import Certificate, merge_certificates
from ticklake.silver.check_files import CheckTask, FileChecks, check_tasks, sum_up_files
from ticklake.silver.draw import CertificateTask, Drawn, certificate_tasks
from ticklake.silver.finding import Finding
from ticklake.silver.folder import VersionFolder
from ticklake.silver.recipe import Recipe
from ticklake.silver.record import DateRecord
from ticklake.silver.task import Task
from ticklake.silver.validation import Validation, write_validation

_NAMED_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version holds.

    Attributes:
        failure: why the version is not fit to be read; "" when it is.
        warning: why it can be read and never promoted: the certificate did not pass; "" when it did.
        certificate_seconds: what drawing the certificate took, all workers together, in vain or not.
    """

    failure: str = ""
    warning: str = ""
    certificate_seconds: float = 0.0

    @property
    def certificate_passed(self) -> bool:
        """Whether the causality certificate passed."""
        return not self.failure and not self.warning


class Judge:
    """Says what is to be drawn and checked, takes what came of it, and judges.

    A date's share of the certificate needs the published signals of that date only: it can be drawn while other dates
    are still built.

    Args:
        lake: where bronze lies.
        recipe: what is built.
        folder: of the version.
        build: tells this build from every other one.
    """

    def __init__(self, lake: Lake, recipe: Recipe, folder: VersionFolder, build: str) -> None:
        self._lake, self._recipe, self._folder, self._build = lake, recipe, folder, build
        self._certificate: list[CertificateTask] = []
        self._asked: set[str] = set()
        self._drawn: dict[str, Drawn] = {}
        self._checked: dict[str, FileChecks] = {}

    @property
    def drawing(self) -> int:
        """How many shares of the certificate were asked for and are not drawn."""
        return len(self._asked) - len(self._drawn)

    def draw(
        self, built: Collection[str], expected: Collection[str] = (), at_most: int | None = None
    ) -> Iterator[Task]:
        """What of the certificate can be drawn now and was not asked for.

        Args:
            built: dates that are published.
            expected: dates that will be, as far as is known. Where one is not, cuts are shared out anew.
            at_most: so many shares; None for all.
        """
        self._certificate = certificate_tasks(self._lake, self._recipe, {*built, *expected}, self._build)
        can = [task for task in self._certificate if task.date in built and task.key not in self._asked]
        can.sort(key=lambda task: (task.cuts > 0, -task.cuts))  # the longest first: the one with every row
        for task in can[:at_most]:
            self._asked.add(task.key)
            yield task

    def check(self, records: Mapping[str, DateRecord]) -> Iterator[Task]:
        """The files of every date, as they will stay."""
        yield from check_tasks(self._recipe, self._folder, records, self._build)

    def take(self, task: Task, outcome: bytes) -> None:
        """What came of a task."""
        if isinstance(task, CertificateTask):
            self._drawn[task.key] = msgspec.json.decode(outcome, type=Drawn)
        elif isinstance(task, CheckTask):
            self._checked[task.date] = msgspec.json.decode(outcome, type=FileChecks)

    def verdict(self, records: Mapping[str, DateRecord]) -> Verdict:
        """The judgement, when every task is done; it is written to `validation.json`.

        Args:
            records: of every date.
        """
        findings = tuple(sum_up_files(self._recipe, records, self._checked))
        drawn = [self._drawn[task.key] for task in self._certificate]
        made = [each.certificate for each in drawn if each.certificate is not None]
        seconds = sum(each.seconds for each in self._drawn.values())
        failures = [finding for finding in findings if finding.fails]
        undrawn = [each.reason for each in drawn if each.certificate is None]
        certificate = merge_certificates(made) if made and not failures and not undrawn else None
        self._folder.check_held()
        write_validation(self._folder.validation_path, Validation(findings, certificate))
        if failures:
            return Verdict(_describe(failures), certificate_seconds=seconds)
        if undrawn:
            return Verdict(f"the causality certificate could not be drawn: {undrawn[0]}", certificate_seconds=seconds)
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
