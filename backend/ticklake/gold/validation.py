"""A training set looked at again: is it whole, is it what was promoted, and does it still pass?"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import polars as pl

from ticklake.base.errors import CorruptError
from ticklake.catalog import training_sets as sets
from ticklake.catalog.artifact_ref import hash_file
from ticklake.catalog.feature_versions import Column, columns_of
from ticklake.files.place import Place
from ticklake.gold import gates
from ticklake.gold.facts import DateFacts, count_duplicates, gather_facts, key_columns, merge_labels
from ticklake.gold.gates import Gate, GateLimits
from ticklake.lake.parquet import read_footer
from ticklake.readers.silver import SIGNALS

HIGH_NULL_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class DatasetValidation:
    """What was found.

    Attributes:
        dataset_name: the training set.
        version: which of its versions.
        passed: whether every hard finding holds, and every soft one that was not passed by force at promotion.
        findings: each with its reason; `hard` ones make it unusable.
        row_count: rows in the file.
        column_count: columns in the file.
        null_summary: `total_nulls`, and `high_null_columns`: column -> share of nulls, for more than 10 %.
        label_distribution: label -> class -> rows; `missing` counts null and NO_DATA.
        date_coverage: `start_date`, `end_date`, `unique_dates`, `signals_per_date`.
        metadata_match: `signal_count_match`, `expected_count`, `actual_count`.
    """

    dataset_name: str
    version: int
    passed: bool
    findings: tuple[Gate, ...]
    row_count: int = 0
    column_count: int = 0
    null_summary: dict[str, Any] = field(default_factory=dict)
    label_distribution: dict[str, dict[str, int]] = field(default_factory=dict)
    date_coverage: dict[str, Any] = field(default_factory=dict)
    metadata_match: dict[str, Any] = field(default_factory=dict)


def validate(
    root: Place, name: str, version: int | str | None = None, *, limits: GateLimits | None = None
) -> DatasetValidation:
    """Check one version of a training set, the current one when None; reads all of it.

    Args:
        root: the data root.
        name: of the training set.
        version: number or label.
        limits: what the soft gates demand; what they demanded at the promotion when None.

    Raises:
        NoDataError: there is no such set or version.
        UnreadableError: its metadata is damaged.
    """
    metadata = sets.read_metadata(root, name, version)
    is_current = version is None or sets.read_metadata(root, name).version == metadata.version
    findings = [*_current_findings(root, metadata)] if is_current else []
    findings.append(_sources_finding(root, metadata))
    rows, fault = _proven_rows(root, metadata)
    findings.insert(0, Gate("checksum", rows is not None, fault or "the file is the one that was promoted"))
    if rows is None:
        return DatasetValidation(name, metadata.version, passed=False, findings=tuple(findings))
    columns = columns_of(metadata.manifest, SIGNALS, path=f"manifest in the metadata of {name}")
    facts = gather_facts(metadata.date_range.end or metadata.dates[-1], rows, columns)
    findings += [_footer_finding(root, metadata), _count_finding(rows, metadata)]
    findings += _data_findings(rows, facts, columns, metadata, limits or _limits_of(metadata))
    return DatasetValidation(
        dataset_name=name,
        version=metadata.version,
        passed=gates.may_pass(findings),
        findings=tuple(findings),
        row_count=rows.height,
        column_count=rows.width,
        null_summary=_null_summary(facts),
        label_distribution={
            label: {**found.classes, "missing": found.missing} for label, found in merge_labels([facts]).items()
        },
        date_coverage=_date_coverage(rows, metadata),
        metadata_match={
            "signal_count_match": rows.height == metadata.signal_count,
            "expected_count": metadata.signal_count,
            "actual_count": rows.height,
        },
    )


def _limits_of(metadata: sets.TrainingMetadata) -> GateLimits:
    """What the soft gates demanded when the version was promoted."""
    return msgspec.convert(metadata.limits, GateLimits, strict=False)


def _proven_rows(root: Place, metadata: sets.TrainingMetadata) -> tuple[pl.DataFrame | None, str]:
    """The rows when the bytes are those that were promoted; else None and why."""
    path = root / metadata.data.path
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, f"{path} is gone; restore it from a copy, or roll back to another version"
    found = hashlib.sha256(content).hexdigest()
    if found != metadata.data.sha256:
        return None, (
            f"{path} has sha256 {found[:12]}, promoted was {metadata.data.sha256[:12]}; "
            "restore it from a copy, or roll back to another version"
        )
    return pl.read_parquet(io.BytesIO(content), hive_partitioning=False), ""


def _current_findings(root: Place, metadata: sets.TrainingMetadata) -> list[Gate]:
    """Whether what plain globs and other programs see is the current version."""
    name = metadata.dataset_name
    kept = sets.history_folder(root, name) / sets.version_label(metadata.version) / sets.METADATA
    same = kept.is_file() and kept.read_bytes() == sets.pointer(root, name).read_bytes()
    pointer = Gate("pointer", same, "the pointer is the metadata of its version" if same else
                   f"{sets.pointer(root, name)} differs from {kept}; run `ticklake gold rollback`")  # fmt: skip
    plain = sets.current_data(root, name)
    if not plain.is_file():
        return [
            pointer,
            Gate("plain_file", passed=False, reason=f"{plain} is missing; promote or roll back to heal it"),
        ]
    found, wanted = hash_file(plain)[:12], metadata.data.sha256[:12]
    differs = f"{plain} has sha256 {found}, the current version {wanted}; promote or roll back to heal it"
    return [
        pointer,
        Gate("plain_file", found == wanted, "the plain file is the current version" if found == wanted else differs),
    ]


def _sources_finding(root: Place, metadata: sets.TrainingMetadata) -> Gate:
    path = sets.history_folder(root, metadata.dataset_name) / sets.version_label(metadata.version) / sets.SOURCES
    same = path.is_file() and hash_file(path) == metadata.sources_sha256
    reason = "the sources are as promoted" if same else f"{path} is not as promoted; restore it from a copy"
    return Gate("sources", same, reason)


def _footer_finding(root: Place, metadata: sets.TrainingMetadata) -> Gate:
    try:
        footer = read_footer(root / metadata.data.path)
    except CorruptError as error:
        return Gate("footer", passed=False, reason=str(error))
    told = (footer.get("dataset"), footer.get("dataset_version"), footer.get("silver_version"))
    wanted = (metadata.dataset_name, str(metadata.version), metadata.silver_version)
    reason = "the footer names the version" if told == wanted else f"the footer names {told}, not {wanted}; restore it"
    return Gate("footer", told == wanted, reason)


def _count_finding(rows: pl.DataFrame, metadata: sets.TrainingMetadata) -> Gate:
    same = rows.height == metadata.signal_count
    return Gate("row_count", same, f"{rows.height} rows, promoted were {metadata.signal_count}")


def _data_findings(
    rows: pl.DataFrame, facts: DateFacts, columns: tuple[Column, ...], metadata: sets.TrainingMetadata,
    limits: GateLimits,
) -> list[Gate]:  # fmt: skip
    """The gates of promotion once more, on the rows alone. A soft one that force passed then counts as passed."""
    keys = key_columns(columns)
    duplicates, sample = count_duplicates([rows], keys) if set(keys) <= set(rows.columns) else (0, [])
    forced = {gate.name for gate in metadata.gates if gate.forced}
    found = [
        gates.schema_gate([facts], columns),
        gates.null_gate([facts], columns),
        gates.key_gate(duplicates, sample, columns),
        gates.order_gate([facts]),
        gates.label_gate([facts], limits),
        gates.rows_gate([facts], limits),
    ]
    return [found_one for gate in found for found_one in gates.apply_force([gate], force=gate.name in forced)]


def _null_summary(facts: DateFacts) -> dict[str, Any]:
    high = {
        name: round(count / facts.rows, 4)
        for name, count in facts.nulls.items()
        if count > HIGH_NULL_SHARE * facts.rows
    }
    return {"total_nulls": sum(facts.nulls.values()), "high_null_columns": high}


def _date_coverage(rows: pl.DataFrame, metadata: sets.TrainingMetadata) -> dict[str, Any]:
    start, end = metadata.date_range.start, metadata.date_range.end
    counted = {} if "date" not in rows.columns else dict(rows.group_by("date", maintain_order=True).len().rows())
    return {
        "start_date": None if start is None else start.isoformat(),
        "end_date": None if end is None else end.isoformat(),
        "unique_dates": len(metadata.dates),
        "signals_per_date": {str(day): count for day, count in counted.items()},
    }
