"""The fast way and the row-by-row way mean the same, for every message alone and in company."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.decode.corpus import GOOD, VALUES, good, heavy_mutations, render, value_mutations, whole_mutations
from tests.unit.decode.outcomes import CATALOG, LIMITS, alone, decode, group_of, outcomes

from ticklake.decode.routes import route
from ticklake.decode.segment import Segment
from ticklake.decode.uniform import WORTH_ROWS, decode_uniform

TABLES = sorted(GOOD)
NATIVE = [table for table in TABLES if table != "levels.signals"]
TELLING = [value for value in VALUES if value[0] in '"[n']


def fast_pieces(table, payloads):
    segment = Segment([group_of(table, payloads)])
    (lot,) = route(segment, CATALOG, LIMITS).plain[table]
    return list(decode_uniform(CATALOG.get(table), lot, LIMITS))


@pytest.mark.parametrize("table", NATIVE)
def test_good_messages_take_the_fast_way(table):
    (piece,) = fast_pieces(table, [good(table, number) for number in range(WORTH_ROWS)])
    assert piece.checked is not None
    assert piece.checked.good is None


@pytest.mark.parametrize("table", NATIVE)
def test_good_messages_mean_the_same_both_ways(table):
    payloads = [good(table, number) for number in range(WORTH_ROWS)]
    assert outcomes(decode(group_of(table, payloads))) == [alone(table, payload) for payload in payloads]


def some_value_mutations(table, values=VALUES):
    """Every third: each key meets a third of the values, the next key another third."""
    return islice(value_mutations(table, values), 0, None, 3)


@pytest.mark.parametrize("table", TABLES)
def test_odd_messages_mean_the_same_in_a_crowd_of_their_own(table):
    in_a_crowd_of_their_own(table, [*some_value_mutations(table, TELLING), *whole_mutations(table)])


@pytest.mark.nightly
@pytest.mark.parametrize("table", TABLES)
def test_all_odd_messages_mean_the_same_in_a_crowd_of_their_own(table):
    in_a_crowd_of_their_own(table, value_mutations(table, TELLING))


def in_a_crowd_of_their_own(table, odd):
    """The samples that decide how a batch is read are odd themselves: texts for numbers, lists for levels."""
    for payload in odd:
        expected = alone(table, payload)
        assert expected, payload
        assert outcomes(decode(group_of(table, [payload] * WORTH_ROWS))) == [expected] * WORTH_ROWS, payload


@pytest.mark.parametrize("table", NATIVE)
@pytest.mark.parametrize("mutations", [some_value_mutations, whole_mutations])
def test_odd_messages_mean_the_same_hidden_among_good_ones(table, mutations):
    hidden_among_good_ones(table, mutations(table))


@pytest.mark.nightly
@pytest.mark.parametrize("table", NATIVE)
def test_all_odd_messages_mean_the_same_hidden_among_good_ones(table):
    hidden_among_good_ones(table, value_mutations(table))


def hidden_among_good_ones(table, odd):
    """The samples that decide how a batch is read are good; the native reader meets the odd ones unprepared."""
    company = [good(table, number) for number in range(WORTH_ROWS)]
    expected = [alone(table, payload) for payload in company]
    for payload in odd:
        crowd, wanted = list(company), list(expected)
        crowd[3:5], wanted[3:5] = [payload] * 2, [alone(table, payload)] * 2
        assert outcomes(decode(group_of(table, crowd))) == wanted, payload


def test_one_object_in_two_messages_and_two_in_one_do_not_cancel_out():
    """The count of rows is right, yet no row belongs to its message."""
    whole = good("futures.trades")
    half = whole.index(b',"price"')
    for first, second in ((whole[:half], whole[half:]), (whole[: half + 1], whole[half + 1 :])):
        for at in (4, 6):
            crowd = [whole] * 20
            crowd[at : at + 3] = [first, second, whole + whole]
            expected = [alone("futures.trades", payload) for payload in crowd]
            assert outcomes(decode(group_of("futures.trades", crowd))) == expected


def test_heavy_messages_mean_the_same_both_ways():
    table = "futures.trades"
    for payload in heavy_mutations(table):
        expected = alone(table, payload)
        crowd = [good(table)] * 3 + [payload] + [good(table)] * WORTH_ROWS
        assert outcomes(decode(group_of(table, crowd)))[3] == expected, payload[:200]
        assert expected[0][1] in ("not_json", "out_of_range"), payload[:200]


@pytest.mark.parametrize("table", TABLES)
def test_odd_messages_do_not_touch_their_neighbours(table):
    odd = [*whole_mutations(table), *list(value_mutations(table))[::17]]
    payloads = [payload for message in odd for payload in (good(table, 1), message, good(table, 2))]
    assert outcomes(decode(group_of(table, payloads))) == [alone(table, payload) for payload in payloads]


@pytest.mark.parametrize("table", NATIVE)
def test_bad_values_in_a_uniform_batch_are_found_without_leaving_the_fast_way(table):
    late = render(GOOD[table] | {"ts_event_ns": "946684799999999999"})
    payloads = [good(table, number) for number in range(40)]
    payloads[7] = payloads[23] = late
    (piece,) = fast_pieces(table, payloads)
    assert piece.checked is not None
    assert outcomes(decode(group_of(table, payloads))) == [alone(table, payload) for payload in payloads]


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_random_mutations_mean_the_same_both_ways(data):
    table = data.draw(st.sampled_from(TABLES))
    keys = st.sampled_from([*sorted(GOOD[table]), "foo", "contract", "levels", "bid_px_1"])
    change = st.dictionaries(keys, st.sampled_from(VALUES), max_size=2)
    changes = data.draw(st.lists(change, min_size=1, max_size=3))
    odd = [render(GOOD[table] | fields) for fields in changes]
    payloads = odd * WORTH_ROWS
    assert outcomes(decode(group_of(table, payloads))) == [alone(table, payload) for payload in odd] * WORTH_ROWS


@given(cuts=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=3))
@settings(max_examples=150, deadline=None)
def test_random_bytes_mean_the_same_both_ways(cuts):
    payload = good("futures.trades")
    for at, junk in cuts:
        payload = payload[:at] + junk + payload[at + 1 :]
    expected = alone("futures.trades", payload)
    assert outcomes(decode(group_of("futures.trades", [payload] * WORTH_ROWS))) == [expected] * WORTH_ROWS
