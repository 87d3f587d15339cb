from __future__ import annotations

import pytest
from tests.unit.silver.stages.feature_rows import events, options, values

from ticklake.silver.stages.fuel import fuel_columns


def fuel(event_rows, option_rows):
    return values(fuel_columns(event_rows, option_rows, near_points=15.0, gamma_min=100.0))


def test_flow_so_far_near_the_level():
    found = fuel(
        events({"second": 10}, {"second": 20}),
        options(
            (1, 100.0, "C", -60.0),
            (2, 115.0, "P", -50.0),  # 15 points away
            (3, 120.0, "C", 1e9),  # 20 points away
            (4, 85.0, "P", None),  # of unknown gamma
            (10, 85.0, "C", 4.0),  # at t
            (11, 100.0, "C", 300.0),
        ),
    )

    assert found["fuel_gamma"] == [-106.0, 194.0]
    assert found["fuel_effect"] == ["AMPLIFY", "DAMPEN"]


@pytest.mark.parametrize(("flow", "effect"), [(-100.0, "NEUTRAL"), (100.0, "NEUTRAL"), (100.5, "DAMPEN")])
def test_thresholds_belong_to_neutral(flow, effect):
    assert fuel(events({"second": 10}), options((1, 100.0, "C", flow)))["fuel_effect"] == [effect]


def test_before_the_first_known_gamma_nothing_is_said():
    found = fuel(events({"second": 10}), options((1, 100.0, "C", None), (11, 100.0, "C", 7.0)))

    assert found == {"fuel_gamma": [None], "fuel_effect": [None]}
