from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from ticklake.base.errors import NoDataError
from ticklake.schema.bronze import FUTURES_MBP10, FUTURES_TRADES, OPTIONS_TRADES
from ticklake.schema.session import SessionWindow, previous_sessions, session_window
from ticklake.schema.table import SYSTEM_COLUMNS, TableSpec
from ticklake.silver.stage import check_gives, check_needs
from ticklake.silver.stages.load import STAGE, LoadParameters, in_event_order

_S = 10**9
_MS = 10**6


def _session() -> SessionWindow:
    session = session_window("us_index_futures", date(2025, 6, 3))
    assert session is not None
    return session


DAY = _session()
MONDAY, FRIDAY = reversed(previous_sessions("us_index_futures", DAY.date, 2))


def _bronze(spec: TableSpec, rows: list[dict[str, Any]], **defaults: Any) -> pl.LazyFrame:
    """A bronze frame with every column of the table; what a row does not say is the default, or null."""
    columns = {column.name: column.kind.arrow for column in (*spec.columns, *SYSTEM_COLUMNS)}
    base = dict.fromkeys(columns) | {"message_row": 0} | defaults
    schema = pl.Schema({name: pl.Series([], dtype=_polars(kind)).dtype for name, kind in columns.items()})
    return pl.DataFrame([base | {"stream_seq": n} | row for n, row in enumerate(rows, 1)], schema=schema).lazy()


def _polars(kind: Any) -> Any:
    return pl.from_arrow(pa.array([], type=kind)).dtype


def _trades(*rows: dict[str, Any]) -> pl.LazyFrame:
    return _bronze(FUTURES_TRADES, list(rows), contract="ESM5", price=6000.0, size=1, aggressor=1)


def _book(*rows: dict[str, Any]) -> pl.LazyFrame:
    return _bronze(FUTURES_MBP10, list(rows), contract="ESM5")


def _options(*rows: dict[str, Any]) -> pl.LazyFrame:
    return _bronze(
        OPTIONS_TRADES,
        list(rows),
        **{"option_symbol": "ESM5 C6000", "exp_date": DAY.date, "strike": 6000.0, "right": "C"},
        **{"price": 1.0, "size": 1, "aggressor": 0},
    )


def _load(
    trades: pl.LazyFrame, book: pl.LazyFrame | None = None, options: pl.LazyFrame | None = None, **parameters: Any
) -> dict[str, pl.DataFrame]:
    frames = {
        "bronze_trades": trades,
        "bronze_book": _book() if book is None else book,
        "bronze_options": _options() if options is None else options,
    }
    settings = LoadParameters(**parameters)
    check_needs(frames, STAGE, settings)
    made = STAGE.run(frames, settings, DAY)
    check_gives(made, STAGE, settings)
    return {name: frame.collect() for name, frame in made.items()}


def _at(ns: int, **row: Any) -> dict[str, Any]:
    return {"ts_event_ns": ns, **row}


def _quote(bid: tuple[float, int], ask: tuple[float, int]) -> dict[str, Any]:
    return {"bid_px_1": float(bid[0]), "bid_sz_1": bid[1], "ask_px_1": float(ask[0]), "ask_sz_1": ask[1]}


class TestFrontMonth:
    def test_the_session_before_decides_whatever_today_says(self) -> None:
        made = _load(
            _trades(
                _at(MONDAY.open_ns, contract="ESM5", size=7),
                _at(MONDAY.open_ns + 1, contract="ESU5", size=3),
                _at(DAY.open_ns, contract="ESU5", size=1000),
            )
        )
        row = made["front_month"].row(0, named=True)
        assert (row["contract"], row["basis"], row["known_from_ns"]) == ("ESM5", "previous_session", DAY.start_ns)
        assert (row["runner_up"], row["is_roll"], row["is_dominant"]) == ("ESU5", False, True)
        assert (row["share"], row["runner_up_share"]) == (pytest.approx(0.7), pytest.approx(0.3))
        assert made["trades"]["contract"].unique().to_list() == ["ESM5"]

    def test_another_leader_a_session_earlier_is_a_roll(self) -> None:
        made = _load(
            _trades(
                _at(FRIDAY.open_ns, contract="ESM5", size=9),
                _at(MONDAY.open_ns, contract="ESU5", size=9),
                _at(DAY.open_ns),
            )
        )
        assert made["front_month"].select("contract", "is_roll", "is_dominant").rows() == [("ESU5", True, True)]

    @pytest.mark.parametrize(("leader", "is_dominant"), [(60, True), (59, False)])
    def test_a_day_without_a_dominant_contract_is_a_roll(self, leader: int, is_dominant: bool) -> None:
        made = _load(
            _trades(
                _at(MONDAY.open_ns, contract="ESM5", size=leader),
                _at(MONDAY.open_ns, contract="ESU5", size=100 - leader),
                _at(DAY.open_ns),
            )
        )
        assert made["front_month"].select("is_dominant", "is_roll").rows() == [(is_dominant, not is_dominant)]

    def test_without_look_back_the_volume_before_the_open_decides_and_is_known_at_the_open(self) -> None:
        made = _load(
            _trades(
                _at(DAY.open_ns - 1, contract="ESU5", size=2),
                _at(DAY.open_ns - 2, contract="ESM5", size=1),
                _at(DAY.open_ns, contract="ESM5", size=1000),
            )
        )
        row = made["front_month"].row(0, named=True)
        assert (row["contract"], row["basis"], row["known_from_ns"]) == ("ESU5", "before_open", DAY.open_ns)

    def test_without_trades_before_the_open_the_first_trades_decide_and_later_ones_do_not(self) -> None:
        first_ns = DAY.open_ns + 5 * _S
        trades = (
            _at(first_ns, contract="ESM5", size=2),
            _at(first_ns + 59 * _S, contract="ESU5", size=1),
            _at(first_ns + 60 * _S, contract="ESU5", size=1000),
        )
        row = _load(_trades(*trades))["front_month"].row(0, named=True)
        assert (row["contract"], row["basis"], row["known_from_ns"]) == ("ESM5", "first_trades", first_ns + 60 * _S)
        row = _load(_trades(*trades), first_trades_s=61)["front_month"].row(0, named=True)
        assert row["contract"] == "ESU5"

    def test_a_session_without_trades_has_no_contract(self) -> None:
        with pytest.raises(NoDataError, match=r"2025-06-03.*publish"):
            _load(_trades(_at(MONDAY.open_ns)))


class TestTrades:
    def test_trades_come_in_event_order_with_their_types(self) -> None:
        at = DAY.open_ns
        rows = (
            _at(at, stream_seq=9, message_row=1, price=4.0),
            _at(at, stream_seq=9, message_row=0, price=3.0),
            _at(at, stream_seq=None, price=1.0),
            _at(at, stream_seq=2, price=2.0),
            _at(at - 1, stream_seq=50, price=0.5),
        )
        made = _load(_trades(*rows))["trades"]
        assert made["price"].to_list() == [0.5, 1.0, 2.0, 3.0, 4.0]
        assert made["stream_seq"].to_list() == [50, -1, 2, 9, 9]

    def test_earlier_sessions_are_marked_and_later_ones_left_out(self) -> None:
        made = _load(_trades(_at(MONDAY.open_ns), _at(DAY.start_ns), _at(DAY.end_ns - 1), _at(DAY.end_ns)))["trades"]
        assert made["is_lookback"].to_list() == [True, False, False]


class TestBook:
    def test_the_last_snapshot_of_a_bucket_is_kept_and_stamped_at_its_end(self) -> None:
        at = DAY.open_ns
        book = _book(
            _at(at, bid_px_1=1.0),
            _at(at + 249 * _MS, bid_px_1=2.0, bid_sz_1=5),
            _at(at + 250 * _MS, bid_px_1=3.0),
            _at(at + 900 * _MS, bid_px_1=4.0),
        )
        made = _load(_trades(_at(at)), book)["book"]
        assert ((made["ts_event_ns"] - at) // _MS).to_list() == [250, 500, 1000]
        assert made["bid_px_1"].to_list() == [2.0, 3.0, 4.0]
        assert made["bid_sz_1"].to_list() == [5.0, None, None]  # absent, not zero
        assert made.width == 43

    def test_an_unsorted_book_keeps_the_snapshot_that_happened_last(self) -> None:
        at = DAY.open_ns
        book = _book(
            _at(at + 30, bid_px_1=3.0, stream_seq=8),
            _at(at + 30, bid_px_1=4.0, stream_seq=9),
            _at(at + 10, bid_px_1=1.0, stream_seq=10),
            _at(at + 2 * _S, bid_px_1=9.0, stream_seq=7),
            _at(at + _S, bid_px_1=8.0, stream_seq=11),
        )
        made = _load(_trades(_at(at)), book)["book"]
        assert made["bid_px_1"].to_list() == [4.0, 8.0, 9.0]
        assert ((made["ts_event_ns"] - at) // _MS).to_list() == [250, 1250, 2250]

    @pytest.mark.parametrize("arrived", [(0, 1, 2, 3, 4), (4, 2, 0, 3, 1)])
    def test_the_order_flow_of_a_bucket_is_that_of_all_its_updates(self, arrived: tuple[int, ...]) -> None:
        at = DAY.open_ns
        updates = [
            _at(at, **_quote((99, 10), (100, 20)), bid_px_2=98.0, bid_sz_2=7),
            _at(
                at + 1, **_quote((99.5, 4), (100, 20)), bid_px_2=99.0, bid_sz_2=10
            ),  # a better bid of 4, and of 10 behind
            _at(
                at + 2, **_quote((99, 10), (100, 20)), bid_px_2=98.0, bid_sz_2=7
            ),  # both are gone: the snapshot as before
            _at(at + 3, **_quote((99, 13), (100, 15)), bid_px_2=98.0, bid_sz_2=7),  # the bid grows, the ask shrinks
            _at(
                at + 250 * _MS, **_quote((99, 13), (99.5, 6)), bid_px_2=98.0, bid_sz_2=9
            ),  # a better ask of 6, 2 behind
        ]
        sent = [updates[place] | {"stream_seq": place} for place in arrived]
        made = _load(_trades(_at(at)), _book(*sent))["book"]
        assert made["ofi"].to_list() == [4.0 - 4.0 + 3.0 + 5.0, -6.0]
        assert made["ofi5"].to_list() == [4.0 - 4.0 + 10.0 - 10.0 + 3.0 + 5.0, -6.0 + 2.0]

    def test_the_bucket_is_a_parameter(self) -> None:
        at = DAY.open_ns
        book = _book(_at(at), _at(at + 300 * _MS), _at(at + 999 * _MS))
        made = _load(_trades(_at(at)), book, book_bucket_ms=1000)["book"]
        assert ((made["ts_event_ns"] - at) // _MS).to_list() == [1000]

    def test_other_contracts_and_other_days_stay_out(self) -> None:
        at = DAY.open_ns
        book = _book(_at(at, contract="ESU5"), _at(MONDAY.open_ns), _at(at + _S, bid_px_1=7.0), _at(DAY.end_ns))
        made = _load(_trades(_at(MONDAY.open_ns), _at(at)), book)
        assert made["book"]["bid_px_1"].to_list() == [7.0]

    def test_every_known_action_is_there(self) -> None:
        at = DAY.open_ns
        book = _book(
            *(
                _at(at + n, action=action, side="B", action_price=5.0, action_size=n)
                for n, action in enumerate("ACMTFRN")
            ),
            _at(at + 9),
        )
        made = _load(_trades(_at(at)), book)["book_actions"]
        assert made.columns == ["ts_event_ns", "action", "side", "action_price", "action_size"]
        assert made["action"].to_list() == list("ACMTF")
        assert made["action_size"].to_list() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_options_of_the_session_come_in_event_order() -> None:
    options = _options(
        _at(DAY.open_ns + 1, strike=2.0), _at(DAY.open_ns, strike=1.0), _at(MONDAY.open_ns, strike=9.0), _at(DAY.end_ns)
    )
    made = _load(_trades(_at(DAY.open_ns)), options=options)["options"]
    assert made["strike"].to_list() == [1.0, 2.0]


def test_rows_in_order_are_left_alone_and_others_sorted_stably() -> None:
    frame = pl.DataFrame(
        {"ts_event_ns": [1, 1, 1, 2], "stream_seq": [5, 5, 6, 1], "message_row": [0, 0, 0, 0], "n": [0, 1, 2, 3]}
    )
    assert in_event_order(frame)["n"].to_list() == [0, 1, 2, 3]
    for wrong in (pl.Series([2, 0, 1, 3]), pl.Series([3, 0, 1, 2]), pl.Series([0, 2, 1, 3])):
        assert in_event_order(frame[wrong])["n"].to_list() == [0, 1, 2, 3]
    assert in_event_order(frame.clear()).is_empty()
