"""One promotion: gates, then a whole new version, then the swap. Kept in the run registry."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from ticklake.base.clock import Clock
from ticklake.base.errors import NoDataError, RetryableError
from ticklake.catalog import training_sets as sets
from ticklake.catalog.artifact_ref import hash_file
from ticklake.catalog.feature_versions import LakeFile
from ticklake.catalog.run_record import RunInput
from ticklake.catalog.runs import RunRegistry
from ticklake.files.errors import UnreadableError
from ticklake.files.place import Place
from ticklake.gold.dataset import footer_of, proven_parts, signal_files, write_dataset
from ticklake.gold.facts import names_by_role
from ticklake.gold.gates import Gate, GateLimits
from ticklake.gold.plain_file import publish_plain, stage_plain
from ticklake.gold.publish import (
    data_path,
    drop_staged,
    held,
    make_current,
    next_version,
    put_staged,
    seal_version,
    stage_folder,
    sync_staged,
)
from ticklake.gold.survey import Survey, evidence_of, fingerprint_of, refusal_of, survey_version
from ticklake.readers.query import Day
from ticklake.readers.silver import SilverReader

KIND: Final = sets.PROMOTION


class PromotionStatus(StrEnum):
    """How a promotion ended. `skipped`: the current version holds exactly this already."""

    SUCCESS = "success"
    SKIPPED = "skipped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became of a promotion.

    Attributes:
        status: success, skipped or refused.
        dataset_name: the training set.
        silver_version: what was to be promoted.
        version: number of the training set's version; None when refused.
        path: of its rows, absolute; None when refused.
        signal_count: rows.
        feature_count: columns that are features.
        gates: what was demanded and found.
        reason: why it was refused or skipped, or that a version held the same already; "" otherwise.
        run_id: in the run registry.
    """

    status: PromotionStatus
    dataset_name: str
    silver_version: str
    version: int | None
    path: Place | None
    signal_count: int
    feature_count: int
    gates: tuple[Gate, ...]
    reason: str
    run_id: str

    @property
    def passed(self) -> bool:
        """Whether the training set now holds what was asked."""
        return self.status is not PromotionStatus.REFUSED


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be promoted, and as what."""

    silver_version: str
    dataset_name: str
    notes: str = ""
    force: bool = False
    dates: Day | Iterable[Day] | None = None


def promote(root: Place, request: Request, *, limits: GateLimits, clock: Clock) -> Promotion:
    """Promote a feature version; see `GoldCurator.promote_to_training`."""
    name = sets.check_name(request.dataset_name)
    version = SilverReader(root).get_version(request.silver_version)
    survey = survey_version(root, version, dates=request.dates, limits=limits, force=request.force)
    runs = RunRegistry(root, clock=clock)
    inputs = [
        RunInput(path, 1, file.bytes, file.sha256) for _, file, path in signal_files(version.name, survey.records)
    ]
    told = {"silver_version": version.name, "dataset_name": name, "force": request.force, "notes": request.notes}
    run_id = runs.register_run(KIND, parameters=told, inputs=inputs)
    if not survey.passed:
        reason = refusal_of(survey)
        runs.fail(run_id, reason)
        return _result(PromotionStatus.REFUSED, name, survey, None, None, reason, run_id)
    try:
        with held(root, name):
            done = _publish(root, name, survey, request, run_id, clock)
    except BaseException as error:
        runs.fail(run_id, error)
        raise
    if done.status is PromotionStatus.SUCCESS:
        runs.attach_dataset(run_id, f"{sets.TRAINING}/{name}")
    runs.finish(run_id, {"status": done.status.value, "version": done.version, "rows": done.signal_count})
    return done


def current_or_none(root: Place, name: str) -> sets.TrainingMetadata | None:
    """The metadata of the current version; None when nothing was ever promoted under that name."""
    try:
        return sets.read_metadata(root, name)
    except NoDataError:
        return None


def _publish(root: Place, name: str, survey: Survey, request: Request, run_id: str, clock: Clock) -> Promotion:
    fingerprint = fingerprint_of(survey, notes=request.notes)
    current = current_or_none(root, name)
    if current is not None and current.fingerprint == fingerprint and not request.force:
        publish_plain(root, current, stage_plain(root, current))
        reason = f"{sets.version_label(current.version)} is current and holds exactly this already"
        return _result(PromotionStatus.SKIPPED, name, survey, current.version, root, reason, run_id)
    made, reason = _find_made(root, name, fingerprint), ""
    if made is not None:
        then = "it is made once more, by force" if request.force else "it is current again"
        reason = f"{sets.version_label(made)} held exactly this already; {then}"
    if made is None or request.force:
        number = _make_version(root, name, survey, fingerprint, request, run_id, clock)
    else:
        number = made
    make_current(root, name, number)
    return _result(PromotionStatus.SUCCESS, name, survey, number, root, reason, run_id)


def _find_made(root: Place, name: str, fingerprint: str) -> int | None:
    """The youngest whole version that holds exactly this: rolled back, or left by one that died before the swap.

    One with damaged metadata is none: `gold ls` names it, and it keeps nobody from making another.
    """
    versions = sets.try_versions(root, name)
    made = [
        number for number, item in versions if not isinstance(item, UnreadableError) and item.fingerprint == fingerprint
    ]
    return max(made, default=None)


def _make_version(
    root: Place, name: str, survey: Survey, fingerprint: str, request: Request, run_id: str, clock: Clock
) -> int:
    """Write the next version whole, then name it.

    Raises:
        RetryableError: the feature version was built again meanwhile, or another curator took the number.
    """
    number, staged = next_version(root, name), stage_folder(root, name)
    try:
        version = survey.version.name
        data = staged / sets.DATA
        footer = footer_of(name, number, version, survey.rows, survey.columns)
        write_dataset(data, proven_parts(root, version, survey.records), survey.columns, footer=footer)
        sync_staged(data)
        if evidence_of(root, version) != survey.evidence:
            raise RetryableError(f"version {version} was built again while it was promoted; promote again")
        sources = sets.encode_struct(_sources(survey))
        put_staged(staged / sets.SOURCES, sources)
        record = LakeFile(data_path(name, number), survey.rows, data.stat().st_size, hash_file(data))
        sources_sha256 = hashlib.sha256(sources).hexdigest()
        metadata = _metadata(name, number, survey, record, sources_sha256, fingerprint, request, run_id, clock)
        put_staged(staged / sets.METADATA, sets.encode_struct(metadata))
        seal_version(root, name, number, staged)
    finally:
        drop_staged(staged)
    return number


def _metadata(
    name: str, number: int, survey: Survey, data: LakeFile, sources_sha256: str, fingerprint: str,
    request: Request, run_id: str, clock: Clock,
) -> sets.TrainingMetadata:  # fmt: skip
    features = names_by_role(survey.columns, "feature")
    days = survey.dates
    return sets.TrainingMetadata(
        format=sets.FORMAT,
        dataset_name=name,
        version=number,
        silver_version=survey.version.name,
        pipeline=str(survey.manifest.get("pipeline", "")),
        created_at=datetime.fromtimestamp(clock.wall_ns() / 1e9, UTC).isoformat(),
        run_id=run_id,
        notes=request.notes,
        forced=any(gate.forced for gate in survey.gates),
        signal_count=survey.rows,
        feature_count=len(features),
        date_range=sets.DateRange(min(days, default=None), max(days, default=None)),
        dates=days,
        keys=names_by_role(survey.columns, "key"),
        features=features,
        labels=names_by_role(survey.columns, "label"),
        info=names_by_role(survey.columns, "info"),
        data=data,
        sources_sha256=sources_sha256,
        fingerprint=fingerprint,
        gates=tuple(
            sets.GateRecord(gate.name, gate.passed, gate.hard, gate.reason, gate.forced) for gate in survey.gates
        ),
        limits=asdict(survey.limits),
        manifest=_without_inputs(survey.manifest),
    )


def _sources(survey: Survey) -> sets.Sources:
    return sets.Sources(tuple(
        sets.SourceDate(record.date, LakeFile(path, file.rows, file.bytes, file.sha256), record.inputs)
        for record, file, path in signal_files(survey.version.name, survey.records)
    ))  # fmt: skip


def _without_inputs(manifest: Any) -> dict[str, Any]:
    """The manifest without its list of bronze files: a long one, and in `sources.json` date by date."""
    built = manifest.get("built")
    kept = dict(manifest)
    if isinstance(built, dict):
        kept["built"] = {key: value for key, value in built.items() if key != "inputs"}
    return kept


def _result(
    status: PromotionStatus,
    name: str,
    survey: Survey,
    version: int | None,
    root: Place | None,
    reason: str,
    run_id: str,
) -> Promotion:
    return Promotion(
        status=status,
        dataset_name=name,
        silver_version=survey.version.name,
        version=version,
        path=None if root is None or version is None else root / data_path(name, version),
        signal_count=survey.rows,
        feature_count=len(names_by_role(survey.columns, "feature")),
        gates=survey.gates,
        reason=reason,
        run_id=run_id,
    )
