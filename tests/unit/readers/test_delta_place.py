"""A Delta log lies beside the tables, never among the lake's own files."""

from __future__ import annotations

import pytest
from tests.integration.small_lake import TABLES

from ticklake.base.errors import UsageError
from ticklake.readers.delta_files import TableFile
from ticklake.readers.delta_place import find_delta_place
from ticklake.readers.relation import relation_of

TRADES = relation_of(TABLES.get("futures.trades"))
FILE = TableFile("bronze/futures/trades/symbol=a%2Fb/x.parquet", "symbol=a%2Fb/x.parquet", {}, 1, 1, 0)


@pytest.mark.parametrize(
    ("root", "to", "absolute", "uri", "address"),
    [
        ("/lake", None, False, "/lake/delta/futures.trades", FILE.below),
        ("/lake", "/lake/exports/x/", False, "/lake/exports/x", FILE.below),
        ("/lake", "file:///mnt/a%20b", False, "/mnt/a b", FILE.below),
        ("/lake", "/mnt/x", True, "/mnt/x", f"file:///lake/{FILE.path}"),
        ("s3://b/p", None, False, "s3://b/p/delta/futures.trades", f"s3://b/p/{FILE.path}"),
        ("s3://b/p", "s3://other/x/", False, "s3://other/x", f"s3://b/p/{FILE.path}"),
    ],
)
def test_the_log_names_files_as_its_place_allows(
    root: str, to: str | None, absolute: bool, uri: str, address: str
) -> None:
    place = find_delta_place(root, TRADES, to, absolute=absolute)
    assert (place.uri, place.address(FILE), place.is_linked) == (uri, address, address == FILE.below)


@pytest.mark.parametrize(
    ("root", "to", "absolute", "why"),
    [
        ("/lake", "/lake/bronze/futures/trades", False, "mix with the lake"),
        ("/lake", "/lake/delta/../gold", False, "mix with the lake"),
        ("/lake", "/lake", False, "mix with the lake"),
        ("/data/lake", "/data", False, "mix with the lake"),
        ("s3://b/p", "s3://b/p/bronze/futures/trades", False, "mix with the lake"),
        ("/lake", "s3://b/p", False, "could not reach"),
        ("/lake", "/mnt/100%", False, "escape"),
        ("/la#ke", "/mnt/x", True, "cannot hold `#`"),
    ],
)
def test_places_that_would_do_harm_are_refused(root: str, to: str, absolute: bool, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        find_delta_place(root, TRADES, to, absolute=absolute)
