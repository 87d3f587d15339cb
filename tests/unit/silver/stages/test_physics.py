from __future__ import annotations

import msgspec
import pytest
from tests.unit.silver.stages.feature_rows import actions, at, book, events, options, session, trades

from ticklake.base.errors import UsageError
from ticklake.silver.stages.barrier import BarrierParameters
from ticklake.silver.stages.distances import DistanceParameters
from ticklake.silver.stages.gex import GexParameters
from ticklake.silver.stages.kinematics import KinematicsParameters
from ticklake.silver.stages.ofi import OfiParameters
from ticklake.silver.stages.physics import STAGE, PhysicsParameters

BEFORE_SESSION_S = (session().start_ns - at(0)) // 10**9 - 1


def physics(**changes):
    frames = {
        "events": events({"second": 300}),
        "trades": trades((250, 100.0, 2, 1), (250.2, 100.25, 6, -1)),
        "book": book((5, [(95.0, 10.0)], [(95.25, 40.0), (97.25, 20.0)])),
        "book_actions": actions((100, "A", "A", 95.25, 5), (101, "C", "A", 95.25, 10)),
        "options": options((BEFORE_SESSION_S, 100.0, "C", 1e9), (10, 90.0, "C", 60.0), (20, 110.0, "P", 50.0)),
    }
    lazy = {name: frame.lazy() for name, frame in frames.items()}
    return STAGE.run(lazy, PhysicsParameters(**changes), session())["events"].collect().row(0, named=True)


def test_tape_barrier_and_fuel_stand_beside_each_event():
    found = physics()

    assert (found["tape_buy_volume"], found["tape_sell_volume"], found["tape_imbalance"]) == (2.0, 6.0, -0.5)
    assert (found["sweep_notional"], found["sweep_detected"]) == (100.25 * 6 * 50, False)
    assert (found["barrier_depth"], found["barrier_state"]) == (60.0, "NORMAL")
    assert (found["barrier_added"], found["barrier_canceled"], found["barrier_replenishment"]) == (5.0, 10.0, 0.5)
    assert (found["fuel_gamma"], found["fuel_effect"]) == (110.0, "DAMPEN")


@pytest.mark.parametrize(
    ("change", "column", "value"),
    [
        ({"tape_s": 50}, "tape_buy_volume", 0.0),
        ({"tape_points": 0.0}, "tape_sell_volume", 0.0),
        ({"sweep_notional": 30_000.0}, "sweep_detected", True),
        ({"contract_multiplier": 5.0}, "sweep_notional", 100.25 * 6 * 5),
        ({"barrier_s": 199}, "barrier_added", None),
        ({"barrier_ticks": 7}, "barrier_depth", 40.0),
        ({"tick_size": 0.125}, "barrier_depth", 40.0),
        ({"weak_depth": 61.0}, "barrier_state", "WEAK"),
        ({"thin_ratio": 1.0}, "barrier_state", "THIN"),
        ({"wall_ratio": 1.0}, "barrier_state", "WALL"),
        ({"fuel_points": 9.0}, "fuel_gamma", 0.0),
        ({"fuel_gamma_min": 110.0}, "fuel_effect", "NEUTRAL"),
    ],
)
def test_every_threshold_comes_from_the_manifest(change, column, value):
    assert physics(**change)[column] == value


def test_unknown_parameters_are_refused():
    with pytest.raises(msgspec.ValidationError, match="tape_seconds"):
        msgspec.convert({"tape_seconds": 60}, PhysicsParameters)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        (OfiParameters, "windows_s"),
        (KinematicsParameters, "windows_min"),
        (BarrierParameters, "changes_min"),
        (DistanceParameters, "stacking_points"),
        (GexParameters, "strikes"),
    ],
)
@pytest.mark.parametrize("numbers", [(2, 1), (1, 1), (0, 1), (-1,)])
def test_windows_out_of_order_are_refused(parameters, name, numbers):
    with pytest.raises(UsageError, match=f"{name} is .*ascending"):
        msgspec.convert({name: numbers}, parameters)
