"""A feature version looked at before promotion: every gate, and what they were judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import msgspec
import polars as pl

from ticklake.base.errors import CorruptError
from ticklake.catalog.feature_versions import BUILT, Column, DateRecord, columns_of, version_folder
from ticklake.files.errors import ChangedError
from ticklake.files.place import Place, sorted_places
from ticklake.gold import gates
from ticklake.gold.dataset import other_files, proven_bytes, read_proven, signal_files
from ticklake.gold.facts import DateFacts, count_duplicates, gather_facts, key_columns
from ticklake.gold.gates import Gate, GateLimits, apply_force, may_pass
from ticklake.readers.query import Day, days_of
from ticklake.readers.silver import SIGNALS, FeatureVersion, select_dates
from ticklake.schema.session import session_window

_EVIDENCE: Final = ("state.json", "manifest.yaml", "validation.json")


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found.

    Attributes:
        version: the feature version.
        gates: each with its reason; those that could not be judged without an earlier one are not there.
        manifest: of the version; empty when it is not complete.
        columns: of its signals.
        records: of the selected dates, in order of dates.
        facts: of the dates that could be read.
        limits: what the soft gates demanded.
        evidence: hash of the documents that were judged: a build in between changes it.
    """

    version: FeatureVersion
    gates: tuple[Gate, ...]
    manifest: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    records: tuple[DateRecord, ...] = ()
    facts: tuple[DateFacts, ...] = ()
    limits: GateLimits = field(default_factory=GateLimits)
    evidence: str = ""

    @property
    def passed(self) -> bool:
        """Whether it may be promoted."""
        return may_pass(self.gates)

    @property
    def rows(self) -> int:
        """Rows of all dates."""
        return sum(fact.rows for fact in self.facts)

    @property
    def dates(self) -> tuple[date, ...]:
        """The dates that give rows."""
        return tuple(fact.date for fact in self.facts if fact.rows)


def survey_version(
    root: Place,
    version: FeatureVersion,
    *,
    dates: Day | Iterable[Day] | None = None,
    limits: GateLimits,
    force: bool = False,
) -> Survey:
    """Judge a version. Reads every selected silver file once, one date at a time.

    Raises:
        NoDataError: an asked date is not part of the version.
        UnreadableError: a document of the version is damaged.
    """
    complete = gates.complete_gate(version.state, version.reason)
    if not complete.passed:
        return Survey(version, (complete,))
    evidence = evidence_of(root, version.name)
    try:
        manifest, validation = version.manifest(), version.validation()
    except FileNotFoundError as error:
        lost = Gate("complete", passed=False, reason=f"{error.filename} is missing; build the version again")
        return Survey(version, (lost,))
    columns = columns_of(manifest, SIGNALS, path=f"manifest of {version.name}")
    wanted = days_of(dates)
    records = select_dates(version, wanted)
    facts, keys, faults = _look_through(root, version.name, records, columns)
    duplicates, sample = count_duplicates(keys, key_columns(columns))
    found = (
        complete,
        gates.certificate_gate(validation, columns),
        gates.cuts_gate(validation, manifest, sum(fact.rows for fact in facts), limits),
        gates.checks_gate(validation),
        gates.checksum_gate(faults, len(signal_files(version.name, records))),
        gates.schema_gate(facts, columns),
        gates.null_gate(facts, columns),
        gates.key_gate(duplicates, sample, columns),
        gates.order_gate(facts),
        gates.coverage_gate(records, open_days(str(manifest.get("calendar")), records, wanted), limits),
        gates.label_gate(facts, limits),
        gates.rows_gate(facts, limits),
    )
    return Survey(
        version=version,
        gates=apply_force(found, force=force),
        manifest=manifest,
        columns=columns,
        records=tuple(records),
        facts=tuple(facts),
        limits=limits,
        evidence=evidence,
    )


def evidence_of(root: Place, version: str) -> str:
    """One hash over the documents and records of a version; a missing one counts as such."""
    folder, digest = version_folder(root, version), hashlib.sha256()
    for path in [*(folder / name for name in _EVIDENCE), *sorted_places((folder / "records").glob("*.json"))]:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b"\0missing"
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def open_days(calendar: str, records: Sequence[DateRecord], wanted: frozenset[date] | None) -> list[date]:
    """The days on which the calendar is open: the asked ones, or all from the first built date to the last.

    An empty or failed date before or after these counts by itself: somebody wanted it, and it is a gap. The days
    between it and the others do not.

    Raises:
        UsageError: there is no such calendar, or its table ends before.
    """
    built = [record.date for record in records if record.status == BUILT]
    if wanted is None and built:
        first, last = built[0], built[-1]
        between = {first + timedelta(days=step) for step in range((last - first).days + 1)}
        days = sorted(between | {record.date for record in records})
    else:
        days = sorted(wanted or ())
    return [day for day in days if session_window(calendar, day) is not None]


def fingerprint_of(survey: Survey, *, notes: str) -> str:
    """Equal for promotions that would make the same version: same rows, columns, notes, and force."""
    told = {
        "silver_version": survey.version.name,
        "files": [(path, file.sha256) for _, file, path in signal_files(survey.version.name, survey.records)],
        "columns": survey.columns,
        "notes": notes,
        "forced": any(gate.forced for gate in survey.gates),
    }
    return hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()


def _look_through(
    root: Place, version: str, records: Sequence[DateRecord], columns: Sequence[Column]
) -> tuple[list[DateFacts], list[pl.DataFrame], list[str]]:
    """Facts and keys of each date that can be read, and what is wrong with those that cannot."""
    facts, keys, faults = [], [], []
    for record, file, path in signal_files(version, records):
        try:
            rows = read_proven(root / path, file)
        except (ChangedError, CorruptError) as error:
            faults.append(str(error))
            continue
        facts.append(gather_facts(record.date, rows, columns))
        names = [name for name in key_columns(columns) if name in rows.columns]
        if len(names) == len(key_columns(columns)):
            keys.append(rows.select(names))
    for file, path in other_files(version, records):
        try:
            proven_bytes(root / path, file)
        except ChangedError as error:
            faults.append(str(error))
    faults += [f"{record.date} is built, but no {SIGNALS}.parquet is recorded" for record in _without_file(records)]
    return facts, keys, faults


def _without_file(records: Iterable[DateRecord]) -> list[DateRecord]:
    return [record for record in records if record.status == BUILT and record.file(f"{SIGNALS}.parquet") is None]


def refusal_of(survey: Survey) -> str:
    """Why a version is refused, gate by gate."""
    failed = [gate for gate in survey.gates if not gate.passed and not gate.forced]
    return "; ".join(f"{gate.name}: {gate.reason}" for gate in failed)
