"""All real market data beside the repository: through the real lane, made features, promoted, checked, rolled back."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl
import pytest
from tests.benchmarks.lakes import lay_binance
from tests.e2e.real_data import source_rows

from ticklake.gold.curator import GoldCurator
from ticklake.gold.gates import GateLimits
from ticklake.gold.promotion import PromotionStatus
from ticklake.readers.gold import GoldReader
from ticklake.silver.baselines import baseline_manifest
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.manifest import Certificate, Manifest
from ticklake.silver.record import VersionStatus

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BTCUSD_PERP")
CUTS = 4
LIMITS = GateLimits(coverage_min=0.0, cuts_min=CUTS)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trades, quotes and books of every instrument and date, as Arrow messages through the real lane and encoder."""
    return lay_binance(tmp_path_factory.mktemp("real"))


def manifest(symbol: str, version: str | None = None) -> Manifest:
    """book_flow as shipped, for one instrument, with a short certificate. Books carry the time of the exchange."""
    name = version or f"flow-{symbol.lower()}"
    base = baseline_manifest("book_flow", name)
    return msgspec.structs.replace(base, symbol=symbol, certificate=Certificate(cuts=CUTS))


@pytest.fixture(scope="module")
def built(root: Path) -> SilverFeatureBuilder:
    builder = SilverFeatureBuilder(root)
    for symbol in SYMBOLS:
        result = builder.build_feature_set(manifest(symbol))
        assert result.status is VersionStatus.COMPLETE, result.errors
        assert result.certificate_passed, result.reason
    return builder


def test_every_date_of_every_instrument_is_built(root: Path, built: SilverFeatureBuilder) -> None:
    """Dates with events are those on which the source has books, each with at least a row for every other second."""
    books = pl.DataFrame(source_rows("mbp10")).select("contract", "ts_event_ns", day=_day())
    for symbol in SYMBOLS:
        rows = built.load_features(f"flow-{symbol.lower()}").select("date", "contract", "ts_event_ns")
        source = books.filter(pl.col("contract") == symbol)
        assert set(rows["date"]) == set(source["day"]), symbol
        assert set(rows["contract"]) == {symbol}
        seconds = source["ts_event_ns"] // 10**9
        assert rows.height >= seconds.n_unique() / 2, symbol


def test_the_mid_is_the_last_book_of_the_source_at_or_before_the_instant(
    root: Path, built: SilverFeatureBuilder
) -> None:
    """Against the source files, by an as-of join that shares no code with the stages."""
    for symbol in SYMBOLS:
        rows = built.load_features(f"flow-{symbol.lower()}", columns=["ts_event_ns", "venue", "mid"])
        books = pl.DataFrame(source_rows("mbp10")).filter(pl.col("contract") == symbol)
        last = books.sort("ts_event_ns", "update_id").group_by("venue", "ts_event_ns", maintain_order=True).last()
        joined = rows.sort("ts_event_ns").join_asof(
            last.select("venue", "ts_event_ns", "bid_px_1", "ask_px_1").sort("ts_event_ns"),
            on="ts_event_ns",
            by="venue",
            check_sortedness=False,
        )
        wrong = joined.filter((pl.col("mid") - (pl.col("bid_px_1") + pl.col("ask_px_1")) * 0.5).abs() > 1e-9)
        assert joined.height > 0
        assert wrong.is_empty(), (symbol, wrong)


def test_promote_validate_and_roll_back(root: Path, built: SilverFeatureBuilder) -> None:
    curator, reader = GoldCurator(root, limits=LIMITS), GoldReader(root)
    promoted = [curator.promote_to_training(f"flow-{symbol.lower()}", "real_flow") for symbol in SYMBOLS]
    assert [done.status for done in promoted] == [PromotionStatus.SUCCESS] * 3, [done.reason for done in promoted]
    for number, symbol in enumerate(SYMBOLS, 1):
        validation = curator.validate_dataset("real_flow", number)
        assert validation.passed, validation.findings
        rows = reader.load_training_data("real_flow", number)
        assert rows.height == built.load_features(f"flow-{symbol.lower()}").height
    assert set(reader.load_training_data("real_flow")["contract"]) == {SYMBOLS[-1]}
    assert curator.rollback("real_flow").version == 2
    assert set(reader.load_training_data("real_flow")["contract"]) == {SYMBOLS[1]}


def _day() -> pl.Expr:
    return pl.from_epoch(pl.col("ts_event_ns"), time_unit="ns").dt.date()
