"""The pipelines of the package, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ticklake.base.errors import UsageError
from ticklake.silver.pipeline import Pipeline, SecondPass

_TRADES: Final = "bronze_trades"


def es_levels() -> Pipeline:
    """Futures trades, order book and option trades: what happens when price meets a level."""
    from ticklake.silver.stages import episodes
    from ticklake.silver.stages.es_levels import STAGES

    return Pipeline(
        name="es_levels",
        doc="Events where price meets a level, with tape, book and dealer features and what happened next.",
        stages=STAGES,
        tables={_TRADES: "futures.trades", "bronze_book": "futures.mbp10", "bronze_options": "options.trades"},
        calendar="us_index_futures",
        symbol="ES",
        second_pass=SecondPass(
            stage=episodes.STAGE.name,
            frame="episodes",
            statistics=episodes.episode_statistics,
            apply=episodes.normalise_episodes,
        ),
    )


def book_flow() -> Pipeline:
    """Trades and a ten-level book on a regular grid."""
    from ticklake.silver.stages.book_flow import STAGES

    return Pipeline(
        name="book_flow",
        doc="Order flow, book shape and forward returns on a regular grid, from trades and a ten-level book.",
        stages=STAGES,
        tables={_TRADES: "crypto.trades", "bronze_book": "crypto.mbp10"},
        calendar="always_open",
        symbol="BTCUSDT",
    )


def book_flow_quotes() -> Pipeline:
    """Trades and best quotes on a regular grid."""
    from ticklake.silver.stages.book_flow import QUOTES_STAGES

    return Pipeline(
        name="book_flow_quotes",
        doc="Order flow, best quotes and forward returns on a regular grid, from trades and quotes.",
        stages=QUOTES_STAGES,
        tables={_TRADES: "crypto.trades", "bronze_quotes": "crypto.quotes"},
        calendar="always_open",
        symbol="BTCUSDT",
    )


PIPELINES: Final[Mapping[str, Callable[[], Pipeline]]] = {
    "es_levels": es_levels,
    "book_flow": book_flow,
    "book_flow_quotes": book_flow_quotes,
}


def find_pipeline(name: str) -> Pipeline:
    """A pipeline of the package, or one of yours by `module:attribute`.

    Raises:
        UsageError: there is no such pipeline.
    """
    if name in PIPELINES:
        return PIPELINES[name]()
    if ":" in name:
        return _import_pipeline(name)
    raise UsageError(f"no pipeline {name!r}; there are {', '.join(PIPELINES)}, or give `module:attribute` of yours")


def _import_pipeline(target: str) -> Pipeline:
    from importlib import import_module

    module, _, attribute = target.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"pipeline {target!r} cannot be imported: {error}; correct `pipeline` in the manifest"
        ) from error
    if not isinstance(found, Pipeline):
        raise UsageError(f"{target!r} is {type(found).__name__}, no Pipeline; correct `pipeline` in the manifest")
    return found
