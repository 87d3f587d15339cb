"""What must hold before a feature version becomes a training set, each with its reason. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any, Final

from ticklake.base.words import count
from ticklake.catalog.feature_versions import BUILT, COMPLETE, Column, DateRecord
from ticklake.gold.facts import DateFacts, LabelFacts, key_columns, merge_labels

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What the gates with a limit demand; all but that of the cuts are soft.

    Attributes:
        rows_min: fewest rows of a training set.
        coverage_min: smallest share of the calendar's open days that must be built.
        class_share_max: largest share that one class of a label may have among its known rows.
        missing_share_max: largest share of rows for which a label in words may be unknown (null or NO_DATA).
        cuts_min: fewest cut times of the causality certificate; of fewer events, one for each. No force passes it.
    """

    rows_min: int = 100
    coverage_min: float = 0.9
    class_share_max: float = 0.95
    missing_share_max: float = 0.5
    cuts_min: int = 20


@dataclass(frozen=True, slots=True)
class Gate:
    """What one gate found.

    Attributes:
        name: of the gate.
        passed: whether it holds.
        reason: what was found, in words, also when it holds.
        hard: whether no force passes it.
        forced: whether it was passed by force.
    """

    name: str
    passed: bool
    reason: str
    hard: bool = True
    forced: bool = False


def apply_force(gates: Sequence[Gate], *, force: bool) -> tuple[Gate, ...]:
    """The gates as they count: with force, a soft one that failed is passed and says so."""
    return tuple(replace(gate, forced=True) if force and not gate.passed and not gate.hard else gate for gate in gates)


def may_pass(gates: Sequence[Gate]) -> bool:
    """Whether every gate holds or is passed by force."""
    return all(gate.passed or gate.forced for gate in gates)


def complete_gate(state: str, reason: str) -> Gate:
    """The version was built to its end."""
    text = "the version is complete" if state == COMPLETE else f"the version is {state}{': ' * bool(reason)}{reason}"
    return Gate("complete", state == COMPLETE, text)


def certificate_gate(validation: Mapping[str, Any], columns: Sequence[Column]) -> Gate:
    """The causality certificate is there, passed, compared something, and covers every feature."""
    found = validation.get("causality")
    if not isinstance(found, Mapping):
        return Gate("certificate", passed=False, reason="validation.json holds no causality certificate; build again")
    compared = found.get("events_compared") or 0
    if found.get("passed") is not True:
        leaks = [str(item.get("column") or "the events themselves") for item in found.get("violations") or ()]
        seen = f": {_some(list(dict.fromkeys(leaks)))} know the future" if leaks else ""
        return Gate("certificate", passed=False, reason=f"the causality certificate did not pass{seen}")
    covered = set(found.get("columns") or ())
    bare = [column.name for column in columns if column.role == "feature" and column.name not in covered]
    if bare or not compared:
        reason = f"the certificate compared {compared} events and says nothing about {_some(bare) or 'any of them'}"
        return Gate("certificate", passed=False, reason=reason)
    return Gate("certificate", passed=True, reason=f"{compared} events compared, no feature knows the future")


def cuts_gate(validation: Mapping[str, Any], manifest: Mapping[str, Any], rows: int, limits: GateLimits) -> Gate:
    """The causality certificate was drawn from enough cut times: few are easily missed by what leaks now and then.

    Args:
        validation: `validation.json`.
        manifest: of the version; where dates have few events, up to half of the cuts asked for there may be missing.
        rows: events of the version.
        limits: how many.
    """
    tried = int((validation.get("causality") or {}).get("cuts") or 0)
    asked = int((manifest.get("certificate") or {}).get("cuts") or 0)
    wanted = min(limits.cuts_min, rows)
    if tried >= wanted or (asked >= wanted and 2 * tried >= wanted):
        return Gate("cuts", passed=True, reason=f"the certificate was drawn from {tried} cut times")
    what = "build more dates" if asked >= wanted else "raise `certificate.cuts` in the manifest and build again"
    told = f"the certificate was drawn from {tried} cut times, at least {wanted} wanted; {what}"
    return Gate("cuts", passed=False, reason=told)


def checks_gate(validation: Mapping[str, Any]) -> Gate:
    """No check of severity error failed when the version was built."""
    failed = [
        f"{check.get('name')} of {check.get('column') or 'the version'}"
        for check in validation.get("checks", ())
        if check.get("status") == "failed" and check.get("severity") == "error"
    ]
    reason = f"checks failed: {_some(failed)}" if failed else "every check of the build passed"
    return Gate("checks", not failed, reason)


def checksum_gate(faults: Sequence[str], files: int) -> Gate:
    """Every silver file is the one its record speaks of."""
    return Gate("checksums", not faults, _some(faults) if faults else f"{count(files, 'file')} as recorded")


def schema_gate(facts: Sequence[DateFacts], columns: Sequence[Column]) -> Gate:
    """Every date has the declared columns and types, and there are keys, features and times."""
    faults = [f"{fact.date}: {fault}" for fact in facts for fault in fact.schema_faults]
    roles = {column.role for column in columns}
    faults += [f"the manifest declares no {role}" for role in ("key", "feature") if role not in roles]
    if "ts_event_ns" not in {column.name for column in columns}:
        faults.append("the manifest declares no ts_event_ns")
    return Gate("schema", not faults, _some(faults) if faults else f"{len(columns)} columns as declared on every date")


def null_gate(facts: Sequence[DateFacts], columns: Sequence[Column]) -> Gate:
    """No null where none may be, and no feature that is null everywhere."""
    rows = sum(fact.rows for fact in facts)
    nulls = {column.name: sum(fact.nulls.get(column.name, 0) for fact in facts) for column in columns}
    faults = [
        f"{column.name} has {nulls[column.name]} nulls" for column in columns if nulls[column.name] and not column.null
    ]
    faults += [
        f"{column.name} is null in every row"
        for column in columns
        if column.role == "feature" and column.null and rows and nulls[column.name] == rows
    ]
    return Gate(
        "nulls", not faults, _some(faults) if faults else "no null where none may be, no feature without a value"
    )


def key_gate(duplicates: int, sample: Sequence[str], columns: Sequence[Column]) -> Gate:
    """No key names two rows."""
    keys = ", ".join(key_columns(columns)) or "no key"
    if duplicates:
        return Gate("unique_keys", passed=False, reason=f"{duplicates} rows repeat a key ({keys}): {_some(sample)}")
    return Gate("unique_keys", bool(key_columns(columns)), f"{keys} names one row each")


def order_gate(facts: Sequence[DateFacts]) -> Gate:
    """Rows come in the order of their times, within a date and from date to date."""
    faults = [f"{fact.date}: {fact.unsorted} rows come before their predecessor" for fact in facts if fact.unsorted]
    timed = [fact for fact in facts if fact.first_ns is not None]
    faults += [
        f"{later.date} begins before {earlier.date} ends"
        for earlier, later in pairwise(timed)
        if earlier.last_ns is not None and later.first_ns is not None and later.first_ns < earlier.last_ns
    ]
    return Gate("order", not faults, _some(faults) if faults else "sorted by time")


def coverage_gate(records: Sequence[DateRecord], open_days: Collection[date], limits: GateLimits) -> Gate:
    """Enough of the calendar's open days are built.

    Args:
        records: of the selected dates.
        open_days: days of the calendar that should be there; see `survey.open_days`.
        limits: how many.
    """
    built = {record.date for record in records if record.status == BUILT}
    told = {
        record.date: f"{record.date} {record.status}{': ' * bool(record.reason)}{record.reason or ''}"
        for record in records
    }
    if not built:
        reason = f"no date is built{': ' * bool(told)}{_some(list(told.values()))}"
        return Gate("coverage", passed=False, hard=True, reason=reason)
    if not open_days:
        return Gate("coverage", passed=False, hard=False, reason="the calendar has no open day there")
    missing = [told.get(day, f"{day} was not asked for") for day in sorted(set(open_days) - built)]
    share = 1 - len(missing) / len(open_days)
    text = f"{len(open_days) - len(missing)} of {len(open_days)} open days are built"
    if missing:
        text += f"; missing: {_some(missing)}; get their data and build them, or name the days with --date"
    return Gate("coverage", share >= limits.coverage_min, text, hard=False)


def label_gate(facts: Sequence[DateFacts], limits: GateLimits) -> Gate:
    """Every label has something to learn: two classes and no overwhelming one, or numbers that differ."""
    rows = sum(fact.rows for fact in facts)
    labels = merge_labels(facts)
    faults = [fault for name, label in labels.items() for fault in _label_faults(name, label, rows, limits)]
    if not labels:
        faults = ["there is no label"]
    return Gate(
        "label_balance", not faults, _some(faults) if faults else f"{len(labels)} labels are balanced", hard=False
    )


def rows_gate(facts: Sequence[DateFacts], limits: GateLimits) -> Gate:
    """There are enough rows. No force makes a training set of none."""
    rows = sum(fact.rows for fact in facts)
    reason = f"{rows} rows, at least {limits.rows_min} wanted"
    return Gate("minimum_rows", rows >= max(1, limits.rows_min), reason, hard=rows == 0)


def _label_faults(name: str, label: LabelFacts, rows: int, limits: GateLimits) -> list[str]:
    if label.low is not None:
        return [f"{name} is {label.low} in every row"] if label.low == label.high else []
    known = sum(label.classes.values())
    if known == 0:
        return [f"{name} has no value"]
    faults = []
    value, count = max(label.classes.items(), key=lambda item: (item[1], item[0]))
    if count > limits.class_share_max * known:
        faults.append(f"{name} is {value} in {count} of {known} known rows")
    if label.missing > limits.missing_share_max * rows:
        faults.append(f"{name} is unknown in {label.missing} of {rows} rows")
    return faults


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
