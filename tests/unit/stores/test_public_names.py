"""The names of the contract, where it says they are."""

import ticklake.catalog
import ticklake.stores

STORES = [
    "DecisionStore",
    "TimeSeriesDataStore",
    "DataStore",
    "FileDataStore",
    "PriceBar",
    "FundamentalData",
    "Event",
    "Decision",
    "Order",
    "OrderResult",
    "save_parquet",
    "load_parquet",
    "list_parquet_files",
    "save_json",
    "load_json",
]
CATALOG = [
    "DataRegistry",
    "RunRegistry",
    "ArtifactRef",
    "save_dataframe",
    "load_dataframe",
    "save_json",
    "load_json",
    "save_binary",
    "load_binary",
    "file_exists",
    "PersistentStoreError",
]


def test_the_names_of_the_contract_are_there() -> None:
    for room, names in ((ticklake.stores, STORES), (ticklake.catalog, CATALOG)):
        assert set(names) <= set(room.__all__)
        for name in room.__all__:
            assert getattr(room, name).__name__ == name or name == "RuleVersionRegistry"
