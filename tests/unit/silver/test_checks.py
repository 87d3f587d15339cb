"""Each check fails on what it is for, and on nothing else; the file of validations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
import pytest
from tests.unit.silver.small_market import market_of, session, simulate

from ticklake.base.errors import CorruptError, NoDataError
from ticklake.silver.causality import certify
from ticklake.silver.checks import check_date, check_empty, sum_up
from ticklake.silver.finding import Finding, Severity, Status
from ticklake.silver.stage import ColumnSpec, Role
from ticklake.silver.validation import (
    Validation,
    decode_validation,
    encode_validation,
    read_validation,
    write_validation,
)

COLUMNS = (
    ColumnSpec("event_id", pl.String(), "", Role.KEY, "", null=False),
    ColumnSpec("ts_event_ns", pl.Int64(), "ns", Role.KEY, "", null=False),
    ColumnSpec("imbalance", pl.Float64(), "ratio", Role.FEATURE, "", low=-1, high=1),
    ColumnSpec("effect", pl.String(), "", Role.FEATURE, ""),
    ColumnSpec("outcome", pl.String(), "", Role.LABEL, ""),
)
ROWS = 60


def good(rows: int = ROWS) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "event_id": [f"e{row}" for row in range(rows)],
            "ts_event_ns": list(range(rows)),
            "imbalance": [row / rows - 0.5 if row else None for row in range(rows)],
            "effect": ["AMPLIFY" if row % 2 else "DAMPEN" for row in range(rows)],
            "outcome": ["CHOP"] * rows,
        },
        schema_overrides={"imbalance": pl.Float64},
    )


def check(frame: pl.DataFrame, columns: Sequence[ColumnSpec] = COLUMNS) -> tuple[Finding, ...]:
    return check_date(frame.lazy(), columns, date="2026-11-20").findings


def check_all(
    frames: Mapping[str, pl.DataFrame], columns: Sequence[ColumnSpec] = COLUMNS, *, warmed_up: bool = True
) -> list[Finding]:
    dates = [check_date(frame.lazy(), columns, date=date) for date, frame in frames.items()]
    return sum_up(dates, columns, warmed_up=warmed_up)


def failures(frame: pl.DataFrame) -> set[tuple[str, str]]:
    return {(finding.name, finding.column) for finding in check(frame) if finding.fails}


def test_a_good_frame_passes_and_every_check_is_listed():
    found = check(good())
    assert {finding.status for finding in found} == {Status.PASSED}
    assert {finding.name for finding in found} == {
        "column_missing", "type", "empty_date", "null", "finite", "range", "duplicate_key", "unsorted"
    }  # fmt: skip


PRICE = pl.col("imbalance")
BROKEN: Mapping[tuple[str, str], pl.DataFrame] = {
    ("column_missing", "effect"): good().drop("effect"),
    ("column_extra", "more"): good().with_columns(more=1),
    ("type", "imbalance"): good().cast({"imbalance": pl.Float32}),
    ("null", "event_id"): good().with_columns(event_id=pl.when(pl.col("ts_event_ns") > 0).then("event_id")),
    ("range", "imbalance"): good().with_columns(imbalance=PRICE * 2.5),
    ("duplicate_key", "event_id"): pl.concat([good().head(1), good()]),
    ("unsorted", "ts_event_ns"): good().reverse(),
    ("empty_date", ""): good().head(0),
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken[0])
def test_each_check_fails_on_its_fault_alone(broken):
    assert failures(BROKEN[broken]) == {broken}


def test_events_of_one_instant_are_ordered_by_their_sequence_and_row():
    columns = (
        *COLUMNS,
        ColumnSpec("stream_seq", pl.Int64(), "", Role.INFO, ""),
        ColumnSpec("message_row", pl.Int32(), "", Role.INFO, ""),
    )
    rows = good(4).with_columns(
        ts_event_ns=pl.Series([0, 0, 0, 1]),
        stream_seq=pl.Series([None, 3, 3, 1], dtype=pl.Int64),
        message_row=pl.Series([7, 0, 1, 0], dtype=pl.Int32),
    )

    def late(frame: pl.DataFrame) -> int:
        return next(finding.n_failed for finding in check(frame, columns) if finding.name == "unsorted")

    assert late(rows) == 0
    assert late(rows.with_columns(message_row=pl.Series([7, 1, 0, 0], dtype=pl.Int32))) == 1
    assert late(rows.with_columns(stream_seq=pl.Series([4, 3, 3, 1]))) == 1


def test_a_failure_says_how_many_how_much_and_shows_some():
    found = check(BROKEN["range", "imbalance"])
    finding = next(finding for finding in found if finding.fails)
    assert finding.n == ROWS
    assert finding.n_failed == BROKEN["range", "imbalance"].filter(PRICE.abs() > 1).height
    assert finding.threshold == "-1 to 1"
    assert finding.sample[0] == f"2026-11-20: {2.5 * (1 / ROWS - 0.5)}"
    assert len(finding.sample) == 3


def test_a_date_without_rows_needs_its_reason():
    with_reason, without = (check_empty(reason, date="2026-11-24") for reason in ("no session", ""))
    assert not any(finding.fails for finding in sum_up([with_reason], COLUMNS))
    (finding,) = (finding for finding in sum_up([with_reason, without], COLUMNS) if finding.fails)
    assert (finding.name, finding.n, finding.n_failed, finding.sample) == (
        "empty_date",
        2,
        1,
        ("2026-11-24: no reason",),
    )


def test_without_event_id_all_keys_together_are_unique():
    columns = [ColumnSpec(name, pl.Int64(), "", Role.KEY, "", null=False) for name in ("a", "b")]
    pairs = pl.DataFrame({"a": [1, 1, 2], "b": [1, 2, 1]})
    assert not any(finding.fails for finding in check(pairs, columns))
    twice = check(pl.concat([pairs, pairs]), columns)
    assert [(finding.column, finding.n_failed) for finding in twice if finding.fails] == [("a, b", 3)]


def test_nan_is_out_of_no_range_but_warns():
    frame = good().with_columns(imbalance=float("nan"))
    found = check(frame)
    broken = {(finding.name, finding.severity) for finding in found if finding.status is Status.FAILED}
    assert broken == {("finite", Severity.WARNING)}


def features(**columns: list[object]) -> tuple[pl.DataFrame, list[ColumnSpec]]:
    frame = pl.DataFrame(columns, strict=False)
    return frame, [ColumnSpec(name, dtype, "", Role.FEATURE, "") for name, dtype in frame.schema.items()]


def version_failures(frame: pl.DataFrame, columns: list[ColumnSpec]) -> set[tuple[str, str]]:
    half = frame.height // 2
    frames = {"2026-11-20": frame.head(half), "2026-11-23": frame.tail(-half)}
    return {(finding.name, finding.column) for finding in check_all(frames, columns) if finding.fails}


def test_constant_features_are_judged_over_all_dates():
    half = ROWS // 2
    frame, columns = features(
        steps=[1.0] * half + [2.0] * half,
        same=[7.0] * ROWS,
        same_or_null=[None, "NEUTRAL"] * half,
        never=pl.Series([None] * ROWS, dtype=pl.Float64),
        flag=[False] * (ROWS - 1) + [True],
    )
    assert version_failures(frame, columns) == {
        ("constant_feature", "same"),
        ("constant_feature", "same_or_null"),
        ("never_known", "never"),
    }


def test_large_whole_numbers_are_told_apart():
    frame, columns = features(nth=[2**60 + row for row in range(ROWS)])
    assert version_failures(frame, columns) == set()


def test_a_feature_without_warm_up_only_warns():
    frame, columns = features(steps=list(range(ROWS)), never=pl.Series([None] * ROWS, dtype=pl.Float64))
    found = check_all({"d": frame}, columns, warmed_up=False)
    assert not any(finding.fails for finding in found)
    assert [finding.column for finding in found if finding.status is Status.FAILED] == ["never"]


def test_identical_features_are_found_with_their_nulls_and_nans():
    values = [float(row) for row in range(ROWS - 2)]
    frame, columns = features(
        one=[*values, None, float("nan")],
        two=[*values, None, float("nan")],
        null_elsewhere=[*values, float("nan"), None],
        nearly=[*values, None, 0.0],
        zero_for_null=[*values, 0.0, float("nan")],
        counted=[*range(ROWS - 2), None, 5],
    )
    assert version_failures(frame, columns) == {("identical_features", "two")}


def test_identical_features_are_found_whatever_the_type_of_their_numbers():
    frame, columns = features(
        share=[float(row % 2) for row in range(ROWS)],
        count=pl.Series([row % 2 for row in range(ROWS)], dtype=pl.Int32),
        flag=[row % 2 == 1 for row in range(ROWS)],
        word=[str(row % 2) for row in range(ROWS)],
    )
    assert version_failures(frame, columns) == {("identical_features", "count"), ("identical_features", "flag")}


def test_few_rows_only_warn():
    frame, columns = features(same=[7.0] * 10)
    found = check_all({"d": frame}, columns)
    constant = next(finding for finding in found if finding.name == "constant_feature")
    assert (constant.status, constant.severity) == (Status.FAILED, Severity.WARNING)
    assert constant.sample == ("always 7.0",)


def test_a_version_sums_up_its_dates():
    found = check_all({"2026-11-20": good(), "2026-11-23": BROKEN["range", "imbalance"]})
    finding = next(finding for finding in found if finding.fails)
    assert (finding.name, finding.column, finding.n) == ("range", "imbalance", 2 * ROWS)
    assert all(text.startswith("2026-11-23: ") for text in finding.sample)
    assert len({(each.name, each.column) for each in found}) == len(found)


def test_a_validation_comes_back_from_its_file(tmp_path):
    inputs = simulate()
    certificate = certify(
        lambda frames: {"events": market_of(frames).events.lazy()}, inputs, session(), features=["price"], cuts=2
    )
    validation = Validation(check(good()), certificate)
    path = tmp_path / "validation.json"
    write_validation(path, validation)
    back = read_validation(path)
    assert back.checks == validation.checks
    assert back.causality.trials == certificate.trials
    assert back.passed
    assert encode_validation(back) == path.read_bytes() == encode_validation(validation)


def test_a_failing_check_or_certificate_is_not_passed():
    failing = check(good().reverse())
    assert not Validation(failing).passed
    assert [finding.name for finding in Validation(failing).failures] == ["unsorted"]


def test_a_broken_or_missing_file_is_named(tmp_path):
    with pytest.raises(NoDataError, match=r"x\.json"):
        read_validation(tmp_path / "x.json")
    for content in (b"{", b'{"format": "ticklake.validation/9", "passed": true, "checks": [], "causality": null}'):
        with pytest.raises(CorruptError, match=r"x\.json"):
            decode_validation(content, path="x.json")
