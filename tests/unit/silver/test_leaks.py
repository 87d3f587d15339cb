"""The certificate catches every seeded leak and accuses no clean feature."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl
import pytest
from tests.unit.silver.clean import CLEAN
from tests.unit.silver.leaks import LEAKS
from tests.unit.silver.small_market import Market, market_of, session, simulate

from ticklake.silver.causality import certify
from ticklake.silver.certificate import Certificate
from ticklake.silver.frames import Frames

Features = Mapping[str, Callable[[Market], pl.Series]]


def certificate_of(features: Features, density: float) -> Certificate:
    """All features in one pipeline; each is judged by its own column."""

    def run(inputs: Frames) -> Frames:
        market = market_of(inputs, 25 if density >= 1 else 100)
        columns = [make(market).alias(name) for name, make in features.items()]
        return {"events": market.events.with_columns(columns).lazy()}

    inputs = simulate() if density >= 1 else simulate(12_000, 12_000)
    return certify(run, inputs, session(), features=list(features), cuts=20, seed=3, density=density)


@pytest.fixture(scope="module", params=[1.0, 0.05], ids=["all_rows", "thinned"])
def accused(request: pytest.FixtureRequest) -> set[str]:
    """Columns with a violation, leaks and clean features in one pipeline."""
    certificate = certificate_of({**LEAKS, **CLEAN}, request.param)
    assert not certificate.passed
    assert certificate.cuts == 20
    return {violation.column for violation in certificate.violations}


def test_there_are_enough_of_both():
    assert len(LEAKS) >= 40
    assert len(CLEAN) >= 40


@pytest.mark.parametrize("name", LEAKS)
def test_every_leak_is_caught(accused, name):
    assert name in accused


@pytest.mark.parametrize("name", CLEAN)
def test_no_clean_feature_is_accused(accused, name):
    assert name not in accused


def test_clean_features_alone_pass():
    certificate = certificate_of(CLEAN, 1.0)
    assert certificate.passed
    assert certificate.violations == ()
    assert certificate.events_compared > 1_000
