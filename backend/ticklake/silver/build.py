"""A build: plan the dates, build what is stale, publish date by date, judge the whole, then say that it is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import UsageError
from ticklake.base.words import names_near
from ticklake.catalog.feature_versions import version_names
from ticklake.catalog.run_record import RunInput
from ticklake.catalog.runs import RunRegistry
from ticklake.files.side_by_side import run_for
from ticklake.readers.lake import Lake
from ticklake.silver.crew import Crew, check_scheduler, hire
from ticklake.silver.finish import built_manifest
from ticklake.silver.folder import VersionFolder
from ticklake.silver.inputs import InputHasher
from ticklake.silver.judge import Judge, Verdict
from ticklake.silver.lease import hold_version
from ticklake.silver.manifest import Manifest, dump_manifest, parse_manifest, without_places
from ticklake.silver.pipeline import PRIMARY
from ticklake.silver.plan import DateDraft, DatePlan, dates_of, draft_date, plan_date
from ticklake.silver.recipe import Recipe, resolve
from ticklake.silver.record import DateRecord, DateStatus, InputFile, VersionState, VersionStatus
from ticklake.silver.result import BuildResult, DateResult, Outcome
from ticklake.silver.second_pass import run_second_pass
from ticklake.silver.task import Task
from ticklake.silver.work import DateTask, decode_outcome

RUN_KIND: Final = "silver_build"

Progress = Callable[[DateResult, int, int], None]
"""Called after each date: what became of it, how many are done, of how many."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build.

    Attributes:
        force: build every date, stale or not.
        workers: processes on this machine, each with one Polars thread; None for what is fastest, see `crew.hire`.
        scheduler: address of a Dask scheduler instead; None for none.
        progress: told about each date.
        clock: measures, and stamps the run.
    """

    force: bool = False
    workers: int | None = None
    scheduler: str | None = None
    progress: Progress | None = None
    clock: Clock = field(default_factory=SystemClock)


def build_version(
    lake: Lake, manifest: Manifest, asked: Iterable[date] | None = None, options: BuildOptions | None = None
) -> BuildResult:
    """Bring a version up to date with its manifest, its code and bronze.

    Dates are built again only when something that shapes them changed. Other settings of the certificate, notes, tags,
    description or parent draw the certificate and write the documents again.

    Killed at any moment, the version says `building` (or still what it said before) and the next build completes it.

    Args:
        lake: where bronze lies and silver goes.
        manifest: what to build.
        asked: trading days; all with bronze rows when None. Dates the version has already stay, and are brought up to
            date too.
        options: how to build.

    Raises:
        UsageError: the manifest makes no sense, its parent is no version, or the scheduler is on another machine.
        NoDataError: bronze has no row of the instrument, or an asked date lies before its first or after its last.
        RetryableError: another builder is at work on the version.
        DiskError: the disk failed; the version stays `building`.
        StoreUnavailableError: the lake lies in a bucket whose store does not answer; the version stays `building`.
    """
    options = options or BuildOptions()
    if options.scheduler is not None:
        check_scheduler(options.scheduler, lake.data_root)
    started_s = options.clock.monotonic_s()
    recipe = resolve(manifest)
    folder = VersionFolder(lake.data_root, manifest.version)
    _check_parent(folder, recipe.manifest.parent)
    with hold_version(folder, clock=options.clock) as held:
        return _Build(lake, recipe, held, options, started_s).run(asked)


class _Build:
    """One build under the lease of its version."""

    def __init__(
        self, lake: Lake, recipe: Recipe, folder: VersionFolder, options: BuildOptions, started_s: float
    ) -> None:
        self._lake, self._recipe, self._folder, self._options = lake, recipe, folder, options
        self._started_s = started_s
        self._results: dict[str, DateResult] = {}
        self._records: dict[str, DateRecord] = {}  # of the dates that need no work any more
        self._runs = RunRegistry(lake.data_root, clock=options.clock)

    def run(self, asked: Iterable[date] | None) -> BuildResult:
        """The whole build."""
        records, state = self._folder.read_records(), self._folder.read_state()
        days = dates_of(self._lake, self._recipe, asked, records)
        side_by_side = run_for(self._lake.data_root)
        draft = partial(draft_date, self._lake, self._recipe, records=records, force=self._options.force)
        drafts = list(side_by_side(draft, days))
        with ExitStack() as stack:
            early = None
            if all(draft.cause for draft in drafts):  # they get ready while bronze is hashed
                early = stack.enter_context(self._hire(drafts, len(drafts)))
            hasher = InputHasher(self._lake.data_root, (draft.inputs for draft in drafts if draft.inputs is not None))
            make = partial(plan_date, self._recipe, folder=self._folder, records=records, hasher=hasher)
            plans = list(side_by_side(make, drafts))
            work = [plan for plan in plans if plan.cause]
            for plan in plans:
                if not plan.cause:
                    self._records[plan.date] = records[plan.date]
                    self._results[plan.date] = _result(records[plan.date], "", Outcome.SKIPPED)
            is_complete = state is not None and state.state is VersionStatus.COMPLETE
            if not work and state is not None and is_complete and self._is_documented() and self._is_as_asked():
                return self._result(state.state, state.reason, certificate_passed=not state.reason)
            crew = early or stack.enter_context(self._hire(work, len(drafts)))
            build = state.build + 1 if state else 1
            self._begin(build)
            return self._run(plans, work, build, crew)

    @contextmanager
    def _hire(self, work: Sequence[DateDraft | DatePlan], dates: int) -> Iterator[Crew]:
        """Who builds that much of a version of so many dates. They get ready at once."""
        workers = self._options.workers
        with (
            hire(
                self._lake.data_root,
                workers=workers and min(workers, dates + 1),  # no more have ever something to do: see `judge`
                scheduler=self._options.scheduler,
                work_bytes=sum(sorted(date.bytes for date in work)[:-1]),  # one date alone is no work for many
            ) as crew
        ):
            if work:
                crew.get_ready(dump_manifest(self._recipe.manifest))
            yield crew

    def _run(self, plans: list[DatePlan], work: list[DatePlan], build: int, crew: Crew) -> BuildResult:
        """Build, and keep a record of the run."""
        inputs = {file.path: file for plan in plans for file in plan.base.inputs}
        run_id = self._runs.register_run(
            RUN_KIND,
            parameters={"version": self._folder.version, "dates": [plan.date for plan in work]},
            inputs=[_run_input(file) for _, file in sorted(inputs.items())],
            code_folder=Path(__file__).parent,
        )
        try:
            result = self._execute(work, build, run_id, crew)
        except BaseException as error:
            self._runs.fail(run_id, error)
            raise
        if result.status is VersionStatus.COMPLETE:
            self._runs.attach_dataset(run_id, self._folder.dataset)
            self._runs.finish(run_id, {"rows": result.signals_total, "certificate_passed": result.certificate_passed})
        else:
            self._runs.fail(run_id, result.reason)
        return result

    def _is_documented(self) -> bool:
        return self._folder.manifest_path.is_file() and self._folder.validation_path.is_file()

    def _is_as_asked(self) -> bool:
        """Whether the documents were written for this manifest, also for what shapes no date: certificate, notes..."""
        before = _request(self._folder)
        return before is not None and without_places(before) == without_places(self._recipe.manifest)

    def _begin(self, build: int) -> None:
        """From here on nobody reads the version, until it is complete again."""
        self._folder.write_state(VersionState(VersionStatus.BUILDING, "a build is at work, or was killed", build=build))
        self._folder.withdraw([self._folder.manifest_path, self._folder.validation_path])
        self._folder.write_document(self._folder.request_path, dump_manifest(self._recipe.manifest).encode())
        self._folder.clear_staging()
        self._folder.clear_leftovers()

    def _execute(self, work: list[DatePlan], build: int, run_id: str, crew: Crew) -> BuildResult:
        staging = self._folder.make_staging()
        judge = Judge(self._lake, self._recipe, self._folder, staging.name)
        self._work_off(work, staging, crew, judge)
        self._folder.clear_staging()
        records = self._folder.read_records()
        failed = [day for day, record in records.items() if record.status is DateStatus.FAILED]
        if failed:
            verdict = Verdict(f"{len(failed)} of {len(records)} dates failed, first {failed[0]}")
        else:
            verdict = judge.verdict(records)
        status = VersionStatus.FAILED if verdict.failure else VersionStatus.COMPLETE
        if status is VersionStatus.COMPLETE:
            full = built_manifest(self._recipe, records, certificate_passed=verdict.certificate_passed)
            self._folder.write_document(self._folder.manifest_path, dump_manifest(full).encode())
        reason = verdict.failure or verdict.warning
        rows = sum(record.rows for record in records.values())
        self._folder.write_state(VersionState(status, reason, len(records), rows, build))
        return self._result(status, reason, verdict.certificate_seconds, run_id, verdict.certificate_passed)

    def _work_off(self, work: list[DatePlan], staging: Path, crew: Crew, judge: Judge) -> None:
        """Build the dates and publish each; whoever finds no date left to build draws and checks meanwhile."""
        plans = {plan.date: plan for plan in work}
        tasks = self._date_tasks(work, staging)
        under_way = {task.date for task in tasks}
        width = crew.width

        def done(task: Task, content: bytes) -> Iterator[Task]:
            if isinstance(task, DateTask):
                self._take(plans[task.date], decode_outcome(content), task.folder, len(work))
                under_way.remove(task.date)
            else:
                judge.take(task, content)
            if under_way:
                yield from self._meanwhile(under_way, width - len(under_way) - judge.drawing, judge)
            elif isinstance(task, DateTask):
                yield from self._afterwards(staging, judge)

        for plan in work:
            if plan.base.status is not DateStatus.BUILT:
                self._publish(plan, plan.base, {}, len(work))
        crew.run(tasks or list(self._afterwards(staging, judge)), done)

    def _date_tasks(self, work: list[DatePlan], staging: Path) -> list[DateTask]:
        text = dump_manifest(self._recipe.manifest)
        return [
            DateTask(
                str(self._lake.data_root),
                self._lake.table_catalog,
                text,
                plan.date,
                str(staging),
                self._recipe.code_hash,
                plan.listing,
                plan.bytes,
            )
            for plan in work
            if plan.base.status is DateStatus.BUILT
        ]

    def _meanwhile(self, under_way: set[str], idle: int, judge: Judge) -> Iterator[Task]:
        """What workers without a date can do while others have one: no more than they can do at once."""
        if idle > 0 and self._may_draw_early and not self._has_failed:
            yield from judge.draw(self._built, under_way, at_most=idle)

    def _afterwards(self, staging: Path, judge: Judge) -> Iterator[Task]:
        """What is left to do when every date is built; the second pass alone where one failed."""
        if self._may_draw_early and not self._has_failed:
            yield from judge.draw(self._built)
        run_second_pass(self._folder, self._recipe, staging)
        if not self._has_failed:
            yield from judge.draw(self._built)
            yield from judge.check(self._folder.read_records())

    @property
    def _may_draw_early(self) -> bool:
        """Whether the published signals stay as they are."""
        second = self._recipe.pipeline.second_pass
        return second is None or second.frame != PRIMARY

    @property
    def _has_failed(self) -> bool:
        return any(record.status is DateStatus.FAILED for record in self._records.values())

    @property
    def _built(self) -> set[str]:
        return {day for day, record in self._records.items() if record.status is DateStatus.BUILT}

    def _take(self, plan: DatePlan, made: DateRecord, folder: Path, total: int) -> None:
        """Publish what a worker made of a date."""
        record = msgspec.structs.replace(
            plan.base, status=made.status, reason=made.reason, rows=made.rows, files=made.files
        )
        self._publish(plan, record, {file.name: folder / file.name for file in made.files}, total)

    def _publish(self, plan: DatePlan, record: DateRecord, staged: Mapping[str, Path], total: int) -> None:
        self._folder.publish(record, staged)
        self._records[plan.date] = record
        self._results[plan.date] = _result(record, plan.cause, Outcome(record.status.value))
        if self._options.progress is not None:
            done = sum(item.outcome is not Outcome.SKIPPED for item in self._results.values())
            self._options.progress(self._results[plan.date], done, total)

    def _result(
        self,
        status: VersionStatus,
        reason: str,
        certificate_seconds: float = 0.0,
        run_id: str | None = None,
        certificate_passed: bool = False,
    ) -> BuildResult:
        return BuildResult(
            version=self._folder.version,
            status=status,
            reason=reason,
            certificate_passed=certificate_passed,
            dates=tuple(result for _, result in sorted(self._results.items())),
            output_dir=str(self._folder.path),
            build_time_seconds=self._options.clock.monotonic_s() - self._started_s,
            certificate_seconds=certificate_seconds,
            run_id=run_id,
        )


def _request(folder: VersionFolder) -> Manifest | None:
    """The manifest of the last build; None when none was begun."""
    try:
        return parse_manifest(folder.request_path.read_text(encoding="utf-8"), path=str(folder.request_path))
    except FileNotFoundError:
        return None


def _check_parent(folder: VersionFolder, parent: str | None) -> None:
    """Refuse a parent that is no other version; one that was there when the version began may be gone since.

    Raises:
        UsageError: the text names the versions there are.
    """
    known = [name for name in version_names(folder.root) if name != folder.version]
    if parent is None or parent in known:
        return
    before = _request(folder)
    if before is None or before.parent != parent:
        raise UsageError(
            f"parent {parent!r} of {folder.version} is no other feature version; {names_near(parent, known)}"
        )


def _result(record: DateRecord, cause: str, outcome: Outcome) -> DateResult:
    return DateResult(record.date, outcome, record.rows, cause, record.reason)


def _run_input(file: InputFile) -> RunInput:
    return RunInput(file.path, 1, file.bytes, file.sha256)
