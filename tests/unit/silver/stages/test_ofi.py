from __future__ import annotations

import polars as pl
import pytest
from tests.unit.silver.stages.feature_rows import book, events, values

from ticklake.silver.orderflow import ofi_term, ofi_terms
from ticklake.silver.stages.ofi import ofi_columns

QUOTES = ("bid_px", "bid_sz", "ask_px", "ask_sz")


def added_by(*quotes):
    rows = pl.DataFrame(list(quotes), schema=dict.fromkeys(QUOTES, pl.Float64), orient="row")
    return rows.select(ofi_term(*QUOTES)).to_series().to_list()


@pytest.mark.parametrize(
    ("before", "after", "contribution"),
    [
        ((99, 10, 100, 20), (99, 13, 100, 20), 3),  # bid grows
        ((99, 10, 100, 20), (99, 10, 100, 15), 5),  # ask shrinks
        ((99, 10, 100, 20), (99.5, 4, 100, 20), 4),  # a better bid of 4
        ((99, 10, 100, 20), (98.5, 7, 100, 20), -10),  # the bid of 10 is gone
        ((99, 10, 100, 20), (99, 10, 99.5, 6), -6),  # a better ask of 6
        ((99, 10, 100, 20), (99, 10, 100.5, 9), 20),  # the ask of 20 is gone
        ((99, 10, 100, 20), (99.5, 4, 100.5, 9), 24),  # both move up
        ((99, 10, 100, 20), (None, None, 100, 20), -10),  # no bid any more
        ((None, None, 100, 20), (99, 10, 100, 20), 10),  # a first bid
        ((None, None, None, None), (None, None, None, None), 0),
    ],
)
def test_the_contribution_of_one_update(before, after, contribution):
    assert added_by(before, after) == [None, contribution]


def test_levels_are_numbered_from_the_best():
    rows = book((0, [(99.0, 1.0), (98.0, 2.0)], []), (1, [(99.0, 4.0), (98.0, 7.0)], []))

    assert rows.select(ofi_terms(2)).row(1, named=True) == {"ofi_level_1": 3.0, "ofi_level_2": 5.0}


BOOK = book(
    (0, [(94.75, 10.0), (94.5, 10.0)], [(95.0, 10.0), (95.25, 10.0)]),
    (30, [(94.75, 13.0), (94.5, 14.0)], [(95.0, 10.0), (95.25, 10.0)]),  # +3, level two +4; below the zone
    (70, [(94.75, 13.0), (94.5, 14.0)], [(95.0, 8.0), (95.25, 5.0)]),  # +2, level two +5; in the zone
    (100, [(95.0, 1.0), (94.75, 13.0)], [(95.25, 5.0), (95.5, 6.0)]),  # bids +1, +13; asks +8, +5
    (100.25, [(99.0, 1e6)], [(99.25, 1.0)]),
)


def test_windows_sum_the_rows_stamped_inside_them():
    found = values(ofi_columns(events({"second": 100}), BOOK, windows_s=(30, 70, 100)))

    assert found["ofi_30s"] == [9.0]  # the row stamped exactly 30 s ago is outside
    assert found["ofi_70s"] == [11.0]
    assert found["ofi_100s"] == [14.0]
    assert found["ofi5_30s"] == [27.0]
    assert found["ofi5_100s"] == [41.0]


def test_the_flow_is_that_of_the_updates_of_each_bucket_not_of_its_last_snapshots():
    busy = BOOK.with_columns(ofi=pl.lit(100.0), ofi5=pl.lit(1000.0))  # came and went inside the buckets

    found = values(ofi_columns(events({"second": 100}), busy, windows_s=(30, 70)))

    assert (found["ofi_30s"], found["ofi_70s"]) == ([100.0], [200.0])
    assert (found["ofi5_30s"], found["ofi5_70s"]) == ([1000.0], [2000.0])


def test_the_near_variant_counts_flow_at_prices_inside_the_zone():
    found = values(ofi_columns(events({"second": 100, "level": 100.0, "zone": 5.0}), BOOK, windows_s=(30, 70, 100)))

    # at 100 s: bid 95.0 came (+1); 94.75 moved down a level and 94.5 left: below the zone; asks 95.0 (8) and 95.25 (5)
    # left: +13
    assert found["ofi_near_30s"] == [14.0]
    assert found["ofi_near_70s"] == [21.0]  # and the asks that shrank by 2 and 5
    assert found["ofi_near_100s"] == [21.0]  # what happened below 95.0 is not near


def test_a_wide_zone_holds_all_of_the_five_levels():
    found = values(ofi_columns(events({"second": 100, "zone": 50.0}), BOOK, windows_s=(30, 100)))

    assert found["ofi_near_30s"] == found["ofi5_30s"]
    assert found["ofi_near_100s"] == found["ofi5_100s"]


def test_a_window_that_the_book_does_not_reach_is_null():
    found = values(ofi_columns(events({"second": 100}), BOOK, windows_s=(100, 101)))

    assert found["ofi_100s"] == [14.0]
    assert found["ofi_101s"] == found["ofi5_101s"] == found["ofi_near_101s"] == [None]


def test_no_book_at_all():
    found = values(ofi_columns(events({"second": 100}), book(), windows_s=(30,)))

    assert found == {"ofi_30s": [None], "ofi5_30s": [None], "ofi_near_30s": [None]}
