"""Roots of futures symbols."""

from __future__ import annotations

import pytest

from ticklake.schema.instrument import futures_root


@pytest.mark.parametrize(
    ("symbol", "root"),
    [
        ("ESZ5", "ES"),
        ("ESZ25", "ES"),
        ("ESH6", "ES"),
        ("MNQZ5", "MNQ"),
        ("6EZ5", "6E"),
        ("ZNH5", "ZN"),
        ("MESH25", "MES"),
        ("M2KU5", "M2K"),
        ("ES.c.0", "ES"),
        ("CL.n.12", "CL"),
        ("ESA5", "ESA5"),
        ("ESZ", "ESZ"),
        ("ESZ125", "ESZ125"),
        ("esz5", "esz5"),
        ("Z5", "Z5"),
        ("ESZ5-ESH6", "ESZ5-ESH6"),
        ("BTCUSDT", "BTCUSDT"),
        ("ESZ5\n", "ESZ5\n"),
        ("ESZ٥", "ESZ٥"),
        ("", ""),
    ],
)
def test_root(symbol, root):
    assert futures_root(symbol) == root
