"""The root of a futures contract: `ESZ5` -> `ES`, `ES.c.0` -> `ES`; anything else is its own root."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_CONTRACT = "([A-Z0-9]{1,8}?)[FGHJKMNQUVXZ][0-9]{1,2}"
_CONTINUOUS = r"([A-Z0-9]{1,8})\.[a-z]\.[0-9]{1,2}"
_EITHER = re.compile(f"{_CONTRACT}|{_CONTINUOUS}")


def futures_root(contract: str) -> str:
    """Root of one futures symbol.

    A contract is root, month letter, one or two digits of the year; `ES.c.0`, `ES.n.1`, `ES.v.0` are continuous
    series. Calendar spreads (`ESZ5-ESH6`) and all other symbols are their own root.
    """
    found = _EITHER.fullmatch(contract)
    return contract if found is None else found[1] or found[2]


def futures_roots(contracts: pl.Expr) -> pl.Expr:
    """The same for a column of strings. Null stays null."""
    import polars as pl

    contract, continuous = (contracts.str.extract(f"^{pattern}$", 1) for pattern in (_CONTRACT, _CONTINUOUS))
    return pl.coalesce(contract, continuous, contracts)
