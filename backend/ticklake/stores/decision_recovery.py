"""Finding the decision behind a position after a restart, so that it is not invented a second time. No I/O.

Brokers report positions in their own words: `BTC-USD` for `BTCUSD`, LONG for BUY, contracts for fractions of a coin,
an average price that is a little off. These rules say which recorded decision is meant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

RECOVERY_PROVIDER: Final = "recovery"
"""`ai_provider` of decisions that were made up from an open position at a restart."""

LOOKBACK: Final = 250
"""How many of the newest decisions are looked at: days of trading, and still read in milliseconds."""

_EXACT: Final = 1e-9  # more is no rounding any more: the price and size were copied from one another
_PRICE_SHARE: Final = 0.01  # slippage and averaging stay below one per cent ...
_PRICE_FLOOR: Final = 1.0  # ... or one unit of the quote currency, for what costs little
_SEPARATORS: Final = re.compile(r"[\s/_:.\-]+")
_SIDES: Final = {"BUY": "BUY", "LONG": "BUY", "SELL": "SELL", "SHORT": "SELL"}
_PRICES: Final = ("entry_price", "price")
_SIZES: Final = ("position_size", "recommended_position_size", "quantity", "size")
_PLATFORMS: Final = ("platform", "trading_platform", "exchange")
_PAIRS: Final = ("asset_pair", "pair", "symbol", "product_id")


def canonical_pair(name: str) -> str:
    """The instrument without separators, in capitals: `btc-usd`, `BTC/USD` and `BTCUSD` are one."""
    return _SEPARATORS.sub("", name).upper()


def canonical_side(name: Any) -> str | None:
    """BUY for what is long, SELL for what is short, None for anything else."""
    return _SIDES.get(str(getattr(name, "value", name)).strip().upper())


@dataclass(frozen=True, slots=True)
class RecoveryKey:
    """What makes two synthetic records the same. Compare with `matches`; None means "none", not "any".

    Attributes:
        asset_pair: instrument, in any spelling.
        action: BUY, SELL, LONG or SHORT.
        entry_price: of the position, in the quote currency.
        position_size: in the unit of the record.
        platform: where the position is held.
        product_id: the platform's own name of the instrument.
    """

    asset_pair: str
    action: str
    entry_price: float | None
    position_size: float | None
    platform: str | None = None
    product_id: str | None = None

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Whether a record stands for exactly this position; price and size to 1e-9."""
        return (
            record.get("ai_provider") == RECOVERY_PROVIDER
            and canonical_pair(self.asset_pair) in _pairs_of(record)
            and _same_action(record.get("action"), self.action)
            and _same_number(_number(record, _PRICES), _float(self.entry_price))
            and _same_number(_number(record, _SIZES), _float(self.position_size))
            and _first(record, _PLATFORMS) == self.platform
            and record.get("product_id") == self.product_id
        )


@dataclass(frozen=True, slots=True)
class Position:
    """An open position as a platform reports it. None means "not known", and matches anything.

    Attributes:
        asset_pair: instrument, in any spelling.
        side: LONG, SHORT, BUY or SELL.
        entry_price: average, in the quote currency.
        size: in coins or in contracts.
        contract_size: coins per contract, when the platform counts contracts.
        aliases: other names of the instrument, such as the platform's product id.
    """

    asset_pair: str
    side: str
    entry_price: float | None = None
    size: float | None = None
    contract_size: float | None = None
    aliases: tuple[str, ...] = ()

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Whether a decision can have opened this position."""
        names = {canonical_pair(name) for name in (self.asset_pair, *self.aliases)}
        side = canonical_side(self.side)
        return (
            not names.isdisjoint(_pairs_of(record))
            and side is not None
            and canonical_side(record.get("action")) == side
            and self._price_fits(_number(record, _PRICES))
            and self._size_fits(_number(record, _SIZES))
        )

    def _price_fits(self, decided: float | None) -> bool:
        price = _float(self.entry_price)
        if price is None or decided is None:
            return True
        return abs(price - decided) <= max(_PRICE_FLOOR, _PRICE_SHARE * abs(price))

    def _size_fits(self, decided: float | None) -> bool:
        """Equal, or one counts contracts and the other coins."""
        size = _float(self.size)
        if size is None or decided is None:
            return True
        size, decided = abs(size), abs(decided)
        if math.isclose(size, decided, rel_tol=_EXACT, abs_tol=_EXACT):
            return True
        if self.contract_size is not None:
            one = abs(self.contract_size)
            return any(
                math.isclose(first * one, second, rel_tol=1e-6, abs_tol=_EXACT)
                for first, second in ((size, decided), (decided, size))
            )
        # Whole contracts against a fraction of a coin: without the contract size nothing speaks against it.
        contracts, coins = max(size, decided), min(size, decided)
        return contracts >= 1 and contracts.is_integer() and 0 < coins < 1


def first_match(records: Iterable[Mapping[str, Any]], key: RecoveryKey | Position) -> Mapping[str, Any] | None:
    """The first record that matches; records come newest first."""
    return next((record for record in records if key.matches(record)), None)


def _pairs_of(record: Mapping[str, Any]) -> set[str]:
    return {canonical_pair(str(record[key])) for key in _PAIRS if record.get(key)}


def _same_action(first: Any, second: Any) -> bool:
    """Equal, or of one side: LONG is BUY."""
    texts = [str(getattr(value, "value", value)).strip().upper() for value in (first, second)]
    return texts[0] == texts[1] or (
        canonical_side(texts[0]) is not None and canonical_side(texts[0]) == canonical_side(texts[1])
    )


def _same_number(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return abs(first - second) <= _EXACT


def _number(record: Mapping[str, Any], keys: tuple[str, ...]) -> float | None:
    return _float(_first(record, keys))


def _first(record: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((record[key] for key in keys if record.get(key) is not None), None)


def _float(value: Any) -> float | None:
    """The number, when it is one: records hold floats, Decimals and text of either."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
