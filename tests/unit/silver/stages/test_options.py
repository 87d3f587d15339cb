from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from statistics import NormalDist

import polars as pl
import pytest

from ticklake.silver.stages.black76 import complementary_error, normal_cdf, with_greeks
from ticklake.silver.stages.options import OptionParameters, add_dealer_flow

_HOUR_NS = 3600 * 10**9
_YEAR_NS = 365 * 24 * _HOUR_NS


def _ns(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 10**9


def _options(*rows: tuple[int, float, str, int, int], expiry: date = date(2025, 6, 3)) -> pl.LazyFrame:
    """Rows (ts_event_ns, strike, right, size, aggressor)."""
    return pl.LazyFrame(
        rows,
        schema={
            "ts_event_ns": pl.Int64,
            "strike": pl.Float64,
            "right": pl.String,
            "size": pl.Int64,
            "aggressor": pl.Int8,
        },
        orient="row",
    ).with_columns(exp_date=pl.lit(expiry))


def _trades(*rows: tuple[int, float]) -> pl.LazyFrame:
    return pl.LazyFrame(rows, schema={"ts_event_ns": pl.Int64, "price": pl.Float64}, orient="row")


def _value(
    forward: float, strike: float, years: float, rate: float, volatility: float, *, right: str, years_rate: float
) -> float:
    """Black (1976), by the standard library's normal distribution."""
    deviation = volatility * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + deviation / 2
    sign = 1 if right == "C" else -1
    cdf = NormalDist().cdf
    return math.exp(-rate * years_rate) * sign * (forward * cdf(sign * d1) - strike * cdf(sign * (d1 - deviation)))


def test_the_error_function_is_the_standard_one_to_the_last_digits() -> None:
    points = [n / 500 for n in range(-4000, 4001)] + [-40.0, -26.5, 26.5, 40.0, 1e8, -1e8, 0.0]
    frame = pl.DataFrame({"x": points}).select("x", made=complementary_error(pl.col("x")))
    worst = max(abs(made - math.erfc(x)) for x, made in frame.rows())
    assert worst < 2e-15
    tail = [(made, math.erfc(x)) for x, made in frame.rows() if 0 <= x < 26]
    assert max(abs(made / exact - 1) for made, exact in tail) < 2e-13


def test_the_normal_distribution_is_symmetric_and_keeps_nulls() -> None:
    frame = pl.DataFrame({"x": [0.0, 1.5, -1.5, None]}).select(p=normal_cdf(pl.col("x")))["p"].to_list()
    assert frame[0] == 0.5
    assert frame[1] + frame[2] == pytest.approx(1.0, abs=1e-15)
    assert frame[1] == pytest.approx(NormalDist().cdf(1.5), abs=1e-15)
    assert frame[3] is None


@pytest.mark.parametrize("right", ["C", "P"])
def test_greeks_are_the_derivatives_of_the_price(right: str) -> None:
    rate, volatility = 0.045, 0.20
    cases = [
        (forward, strike, years)
        for forward in (5200.0, 5990.0, 6000.0, 6013.25, 6800.0)
        for strike in (5500.0, 6000.0, 6005.0, 6600.0)
        for years in (0.02, 0.25, 1.0, 2.5)
    ]
    frame = pl.LazyFrame(cases, schema=["spot", "strike", "years"], orient="row").with_columns(right=pl.lit(right))
    made = with_greeks(frame, rate=rate, volatility=volatility).collect()
    for (forward, strike, years), delta, gamma in zip(cases, made["delta"], made["gamma"], strict=True):

        def value(at: float, strike: float = strike, years: float = years) -> float:
            return _value(at, strike, years, rate, volatility, right=right, years_rate=years)

        assert delta == pytest.approx(_derivative(value, forward, step=2.0), abs=1e-9)
        assert gamma == pytest.approx(_second_derivative(value, forward, step=8.0), abs=1e-9)


def test_greeks_have_the_textbook_values_at_the_money() -> None:
    # F = K, T = 1, s = 0.2, r = 0: d1 = 0.1, delta = N(0.1), gamma = n(0.1) / (F 0.2).
    frame = pl.LazyFrame({"spot": [100.0, 100.0], "strike": [100.0, 100.0], "years": [1.0, 1.0], "right": ["C", "P"]})
    made = with_greeks(frame, rate=0.0, volatility=0.2).collect()
    assert made["delta"].to_list() == pytest.approx([0.539827837277029, 0.539827837277029 - 1], abs=1e-14)
    assert made["gamma"].to_list() == pytest.approx([0.3969525474770118 / 20] * 2, abs=1e-16)


def test_the_spot_is_the_last_trade_at_or_before_the_option_trade() -> None:
    trades = _trades((_HOUR_NS, 100.0), (2 * _HOUR_NS, 101.0), (2 * _HOUR_NS, 102.0), (3 * _HOUR_NS, 103.0))
    options = _options(*((at, 100.0, "C", 1, 1) for at in (0, _HOUR_NS, 2 * _HOUR_NS - 1, 2 * _HOUR_NS, 9 * _HOUR_NS)))
    made = add_dealer_flow(options, trades, OptionParameters()).collect()
    assert made["spot"].to_list() == [None, 100.0, 100.0, 102.0, 103.0]
    assert made["gamma"].is_null().to_list() == [True, False, False, False, False]
    assert made["dealer_gamma_flow"].is_null().to_list() == [True, False, False, False, False]


def test_dealers_take_the_other_side() -> None:
    at = _ns(2025, 6, 3, 14)
    options = _options(
        (at, 6000.0, "C", 3, 1), (at, 6000.0, "C", 3, -1), (at, 6000.0, "P", 3, 1), (at, 6000.0, "C", 3, 0)
    )
    made = add_dealer_flow(options, _trades((at, 6001.0)), OptionParameters(multiplier=50.0)).collect()
    gamma, call, put = made["gamma"][0], made["delta"][0], made["delta"][2]
    assert made["dealer_gamma_flow"].to_list() == pytest.approx([-150 * gamma, 150 * gamma, -150 * gamma, 0.0])
    assert made["dealer_delta_flow"].to_list() == pytest.approx([-150 * call, 150 * call, -150 * put, 0.0])
    assert gamma > 0
    assert call > 0 > put


@pytest.mark.parametrize(
    ("expiry", "settles_ns"),
    [(date(2025, 6, 3), _ns(2025, 6, 3, 20)), (date(2025, 12, 3), _ns(2025, 12, 3, 21))],
    ids=["summer time", "winter time"],
)
def test_options_expire_at_four_in_new_york(expiry: date, settles_ns: int) -> None:
    before_ns = settles_ns - _HOUR_NS
    options = _options(
        *((at, 6000.0, "C", 1, 1) for at in (before_ns, settles_ns - 1, settles_ns, settles_ns + _HOUR_NS)),
        expiry=expiry,
    )
    made = add_dealer_flow(options, _trades((0, 6001.0)), OptionParameters(rate=0.0)).collect()
    deviation = 0.2 * math.sqrt(_HOUR_NS / _YEAR_NS)
    d1 = math.log(6001 / 6000) / deviation + deviation / 2
    assert made["delta"][0] == pytest.approx(NormalDist().cdf(d1), abs=1e-12)
    assert made["delta"].to_list()[1:] == [1.0, None, None]  # a nanosecond left: surely in the money; then no option
    assert made["dealer_gamma_flow"].is_null().to_list() == [False, False, True, True]


def test_the_settlement_is_a_parameter() -> None:
    at = _ns(2025, 6, 3, 14)  # 10:00 in New York
    made = add_dealer_flow(
        _options((at, 6000.0, "C", 1, 1)), _trades((0, 6001.0)), OptionParameters(settlement=time(9, 30))
    )
    assert made.collect()["delta"].to_list() == [None]


def _derivative(value: Callable[[float], float], at: float, *, step: float) -> float:
    """Central differences, extrapolated twice (Richardson): error of order step^6."""
    one, two, four = ((value(at + h) - value(at - h)) / (2 * h) for h in (step, 2 * step, 4 * step))
    return _extrapolated(one, two, four)


def _second_derivative(value: Callable[[float], float], at: float, *, step: float) -> float:
    middle = value(at)
    one, two, four = ((value(at + h) - 2 * middle + value(at - h)) / h**2 for h in (step, 2 * step, 4 * step))
    return _extrapolated(one, two, four)


def _extrapolated(one: float, two: float, four: float) -> float:
    near, far = (4 * one - two) / 3, (4 * two - four) / 3
    return (16 * near - far) / 15
