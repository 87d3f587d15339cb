"""A condition means the same in SQL and for one decision."""

import itertools
from pathlib import Path

import pytest

from ticklake.stores.decision_filter import DecisionFilter
from ticklake.stores.decision_record import summarize
from ticklake.stores.decisions import DecisionStore

TIMES = ("2024-12-01T00:00:00Z", "2024-12-01T00:00:00.000000001Z", "2024-12-02T00:00:00Z")
FILTERS = [
    {},
    {"start": TIMES[1]},
    {"end": TIMES[1]},
    {"start": TIMES[1], "end": TIMES[2]},
    {"pair": "BTCUSD"},
    {"pair": ["BTCUSD", "ETHUSD"], "action": "BUY"},
    {"action": []},
    {"status": "open", "end": TIMES[2]},
    {"strategy": "trend"},
    {"provider": "recovery", "start": TIMES[0]},
    {"pair": "btcusd"},
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DecisionStore:
    store = DecisionStore({"storage_path": tmp_path_factory.mktemp("decisions")})
    choices = itertools.product(TIMES, ("BTCUSD", "ETHUSD", None), ("BUY", None))
    for number, (time, pair, action) in enumerate(choices):
        store.save_decision(
            {
                "id": str(number),
                "timestamp": time,
                "asset_pair": pair,
                "action": action,
                "status": "open" if number % 2 else "closed",
                "strategy": "trend" if number % 3 else None,
                "ai_provider": "recovery" if number % 4 else "model",
            }
        )
    return store


@pytest.mark.parametrize("words", FILTERS, ids=str)
def test_sql_and_the_check_of_one_decision_agree(store: DecisionStore, words: dict[str, object]) -> None:
    wanted = DecisionFilter.of(**words)  # type: ignore[arg-type]
    everything = store.get_decisions(limit=None)
    assert len(everything) == 18
    accepted = {record["id"] for record in everything if wanted.accepts(summarize(record))}
    selected = {name.partition("_")[2].removesuffix(".json") for name in store._index.select(wanted, limit=None)}
    assert selected == accepted
    assert store._index.count(wanted) == len(accepted)


def test_the_end_is_not_included_and_the_start_is() -> None:
    record = {"id": "a", "timestamp": TIMES[1]}
    assert DecisionFilter.of(start=TIMES[1]).accepts(summarize(record))
    assert not DecisionFilter.of(end=TIMES[1]).accepts(summarize(record))
    assert DecisionFilter.of(end=TIMES[2]).accepts(summarize(record))


def test_the_folder_holds_documents_by_date_and_id(tmp_path: Path) -> None:
    DecisionStore({"storage_path": tmp_path}).save_decision({"id": "x", "timestamp": "2024-12-01T23:30:00-01:00"})
    assert [path.name for path in tmp_path.glob("*.json")] == ["2024-12-02_x.json"]
