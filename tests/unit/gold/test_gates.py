"""Each gate: what it refuses, what it lets through, and what no force passes."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from tests.unit.gold.small_version import COLUMNS, DAYS, MONDAY, rows_of

from ticklake.catalog.feature_versions import Column, DateRecord
from ticklake.gold import gates
from ticklake.gold.facts import DateFacts, count_duplicates, gather_facts, key_columns, merge_labels
from ticklake.gold.gates import Gate, GateLimits

LIMITS = GateLimits()
DESCRIBED = tuple(Column(name, dtype, role, null=null) for name, dtype, role, null in COLUMNS)


def facts_of(frame: pl.DataFrame, day: date = MONDAY) -> DateFacts:
    return gather_facts(day, frame, DESCRIBED)


def test_good_rows_pass_every_gate() -> None:
    facts = [facts_of(rows_of(day), day) for day in DAYS]
    found = [
        gates.schema_gate(facts, DESCRIBED),
        gates.null_gate(facts, DESCRIBED),
        gates.order_gate(facts),
        gates.label_gate(facts, LIMITS),
        gates.rows_gate(facts, LIMITS),
        gates.key_gate(*count_duplicates([rows_of(day) for day in DAYS], key_columns(DESCRIBED)), DESCRIBED),
    ]
    assert [gate.name for gate in found if not gate.passed] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows.drop("kind"), "kind is missing"),
        (lambda rows: rows.with_columns(more=pl.lit(1)), "more is not declared"),
        (lambda rows: rows.with_columns(pl.col("distance_points").cast(pl.Float32)), "is Float32, declared Float64"),
    ],
)
def test_a_column_that_is_not_as_declared_fails_the_schema(change: Any, reason: str) -> None:
    gate = gates.schema_gate([facts_of(change(rows_of(MONDAY)))], DESCRIBED)
    assert not gate.passed
    assert reason in gate.reason


@pytest.mark.parametrize("role", ["key", "feature"])
def test_a_version_without_keys_or_features_fails_the_schema(role: str) -> None:
    columns = tuple(column for column in DESCRIBED if column.role != role)
    assert f"declares no {role}" in gates.schema_gate([], columns).reason


def test_nulls_fail_where_none_may_be_and_where_a_feature_has_nothing_else() -> None:
    torn = rows_of(MONDAY).with_columns(kind=pl.lit(None, pl.String), tape_imbalance=pl.lit(None, pl.Float64))
    gate = gates.null_gate([facts_of(torn)], DESCRIBED)
    assert "kind has 60 nulls" in gate.reason
    assert "tape_imbalance is null in every row" in gate.reason
    both = [facts_of(rows_of(MONDAY)), facts_of(torn.with_columns(kind=pl.lit("PM_HIGH")), DAYS[1])]
    assert gates.null_gate(both, DESCRIBED).passed


def test_a_key_that_names_two_rows_fails_also_across_dates() -> None:
    monday = rows_of(MONDAY)
    duplicates, sample = count_duplicates([monday, monday.head(2)], key_columns(DESCRIBED))
    assert (duplicates, sample) == (2, monday["event_id"].head(2).to_list())
    assert not gates.key_gate(duplicates, sample, DESCRIBED).passed
    no_keys = tuple(column for column in DESCRIBED if column.role != "key")
    assert not gates.key_gate(0, [], no_keys).passed


def test_keys_without_an_event_id_count_together() -> None:
    columns = (Column("ts_event_ns", "Int64", "key"), Column("symbol", "String", "key"))
    frame = pl.DataFrame({"ts_event_ns": [1, 1, 2], "symbol": ["a", "b", "a"]})
    assert count_duplicates([frame], key_columns(columns))[0] == 0
    assert count_duplicates([frame, frame.head(1)], key_columns(columns))[0] == 1


def test_rows_out_of_order_fail_within_a_date_and_between_dates() -> None:
    assert (
        "1 rows come before"
        in gates.order_gate([facts_of(pl.concat([rows_of(MONDAY), rows_of(MONDAY).head(1)]))]).reason
    )
    swapped = [facts_of(rows_of(DAYS[1])), facts_of(rows_of(MONDAY), DAYS[1])]
    assert "begins before" in gates.order_gate(swapped).reason


def test_rows_of_one_instant_are_ordered_by_their_sequence() -> None:
    columns = (*DESCRIBED, Column("stream_seq", "Int64", "info"))
    rows = rows_of(MONDAY, 2).with_columns(ts_event_ns=pl.lit(1, pl.Int64), stream_seq=pl.Series([2, 1]))
    assert gather_facts(MONDAY, rows, columns).unsorted == 1
    assert gather_facts(MONDAY, rows.with_columns(stream_seq=pl.Series([None, 1])), columns).unsorted == 0
    later = rows.with_columns(ts_event_ns=pl.Series([1, 2]))
    assert gather_facts(MONDAY, later, columns).unsorted == 0


def with_labels(*values: str | None) -> list[DateFacts]:
    return [facts_of(rows_of(MONDAY, len(values)).with_columns(outcome_2min=pl.Series(values, dtype=pl.String)))]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["BREAK"] * 96 + ["REJECT"] * 4, "is BREAK in 96 of 100"),
        (["BREAK"] * 40, "is BREAK in 40 of 40"),
        (["NO_DATA"] * 10, "has no value"),
        (["BREAK", "REJECT", "NO_DATA", None, None], "is unknown in 3 of 5"),
    ],
)
def test_labels_with_nothing_to_learn_fail(values: list[str | None], reason: str) -> None:
    gate = gates.label_gate(with_labels(*values), LIMITS)
    assert not gate.passed
    assert not gate.hard
    assert reason in gate.reason


def test_balanced_labels_pass_and_numbers_must_differ() -> None:
    assert gates.label_gate(with_labels(*["BREAK"] * 95, *["REJECT"] * 5), LIMITS).passed
    constant = [facts_of(rows_of(MONDAY).with_columns(favorable_2min=pl.lit(1.5)))]
    assert "favorable_2min is 1.5 in every row" in gates.label_gate(constant, LIMITS).reason
    assert "no label" in gates.label_gate([], LIMITS).reason


def test_labels_are_counted_over_all_dates() -> None:
    merged = merge_labels([*with_labels("BREAK", "NO_DATA"), *with_labels("CHOP", "BREAK", None)])
    assert merged["outcome_2min"].classes == {"BREAK": 2, "CHOP": 1}
    assert merged["outcome_2min"].missing == 2


def test_too_few_rows_fail_softly_and_none_at_all_hard() -> None:
    few = gates.rows_gate([facts_of(rows_of(MONDAY, 99))], LIMITS)
    assert (few.passed, few.hard) == (False, False)
    assert gates.rows_gate([facts_of(rows_of(MONDAY, 100))], LIMITS).passed
    assert gates.rows_gate([], GateLimits(rows_min=0)).hard


def test_coverage_counts_open_days_and_names_those_that_are_missing() -> None:
    records = [DateRecord(DAYS[0], "built"), DateRecord(DAYS[1], "failed", reason="no book")]
    gate = gates.coverage_gate(records, DAYS, LIMITS)
    assert "1 of 3 open days are built" in gate.reason
    assert "2024-12-17 failed: no book" in gate.reason
    assert "2024-12-18 was not asked for" in gate.reason
    assert (gate.passed, gate.hard) == (False, False)
    nine_of_ten = [DateRecord(MONDAY + timedelta(days=step), "built") for step in range(9)]
    days = [MONDAY + timedelta(days=step) for step in range(10)]
    assert gates.coverage_gate(nine_of_ten, days, LIMITS).passed
    assert gates.coverage_gate([], DAYS, LIMITS).hard
    empty = gates.coverage_gate([DateRecord(MONDAY, "empty", reason="no row")], DAYS, LIMITS)
    assert (empty.hard, empty.reason) == (True, "no date is built: 2024-12-16 empty: no row")


CERTIFICATE = {"passed": True, "events_compared": 9, "columns": ["distance_points", "tape_imbalance"], "violations": []}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"passed": "yes"}, "did not pass"),
        ({"passed": False, "violations": [{"column": "tape_imbalance"}]}, "tape_imbalance know the future"),
        ({"events_compared": 0}, "compared 0 events"),
        ({"columns": ["distance_points"]}, "says nothing about tape_imbalance"),
        ({"columns": None}, "says nothing about distance_points, tape_imbalance"),
    ],
)
def test_only_a_certificate_that_passed_for_every_feature_passes(change: dict[str, Any], reason: str) -> None:
    assert gates.certificate_gate({"causality": CERTIFICATE}, DESCRIBED).passed
    gate = gates.certificate_gate({"causality": {**CERTIFICATE, **change}}, DESCRIBED)
    assert (gate.passed, gate.hard) == (False, True)
    assert reason in gate.reason


@pytest.mark.parametrize("validation", [{}, {"causality": None}])
def test_no_certificate_is_refused(validation: dict[str, Any]) -> None:
    assert not gates.certificate_gate(validation, DESCRIBED).passed


def test_a_failed_check_refuses_unless_it_is_a_warning() -> None:
    check = {"name": "constant", "column": "x", "status": "failed", "severity": "error"}
    assert "constant of x" in gates.checks_gate({"checks": [check]}).reason
    assert gates.checks_gate({"checks": [{**check, "severity": "warning"}]}).passed


def test_force_passes_soft_gates_only() -> None:
    soft, hard = Gate("a", passed=False, reason="", hard=False), Gate("b", passed=False, reason="")
    assert gates.may_pass(gates.apply_force([soft], force=True))
    assert not gates.may_pass(gates.apply_force([soft], force=False))
    assert not gates.may_pass(gates.apply_force([hard], force=True))
    assert not gates.apply_force([Gate("c", passed=True, reason="", hard=False)], force=True)[0].forced


@pytest.mark.parametrize(
    ("tried", "asked", "rows", "passed"),
    [
        (20, 20, 500, True),
        (4, 4, 500, False),
        (17, 20, 500, True),  # a date had fewer events than its share of the cuts
        (4, 4, 4, True),
        (0, 0, 500, False),
        (10, 20, 500, True),
        (9, 20, 500, False),  # the sessions that were rebuilt hardly had an event
        (1, 20, 500, False),
    ],
)
def test_a_certificate_of_few_cuts_is_no_certificate(tried: int, asked: int, rows: int, passed: bool) -> None:
    validation = {"causality": {**CERTIFICATE, "cuts": tried}}
    gate = gates.cuts_gate(validation, {"certificate": {"cuts": asked}}, rows, LIMITS)
    assert (gate.passed, gate.hard) == (passed, True)
    if not passed:
        then = "build more dates" if asked == 20 else "raise `certificate.cuts`"
        assert f"from {tried} cut times, at least 20 wanted; {then}" in gate.reason
    assert gates.cuts_gate(validation, {}, rows, GateLimits(cuts_min=tried)).passed
