"""ManualClock: time moves when told to, and never otherwise."""

import pytest

from ticklake.base.clock import Clock
from ticklake.testing.clock import NS_PER_S, ManualClock


def test_time_stands_still() -> None:
    clock: Clock = ManualClock()
    assert (clock.wall_ns(), clock.monotonic_s()) == (clock.wall_ns(), clock.monotonic_s())


def test_advance_moves_both_hands() -> None:
    clock = ManualClock(wall_ns=5 * NS_PER_S, monotonic_s=2.0)
    clock.advance(1.5)
    assert clock.wall_ns() == 6_500_000_000
    assert clock.monotonic_s() == 3.5


def test_only_the_wall_clock_jumps_back() -> None:
    clock = ManualClock(wall_ns=5 * NS_PER_S)
    clock.advance(1)
    clock.set_wall_ns(1)
    assert (clock.wall_ns(), clock.monotonic_s()) == (1, 1.0)


def test_advance_refuses_to_go_back() -> None:
    with pytest.raises(ValueError, match="set_wall_ns"):
        ManualClock().advance(-1)
