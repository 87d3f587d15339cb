"""The table of old calls and new ones tells the truth: every new name exists, and the capability tests run it."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import pytest
from tests.integration import test_capabilities_files, test_capabilities_stores

PAGE = Path(__file__).parents[2] / "backend/docs/reference/catalog.md"
NAME = re.compile(r"`(ticklake(?:\.\w+)+)`")
OLD_CALLS = """
    save_parquet load_parquet list_parquet_files save_json load_json register_dataset get_dataset_info list_datasets
    update_dataset_stats remove_dataset get_dataset_entry to_dict from_dict save_to_cache update_current_day
    register_evaluation get_enabled save_decision get_decision_by_id get_decisions get_recent_decisions update_decision
    delete_decision cleanup_old_decisions wipe_all_decisions get_decision_count normalize_decision_id
    normalize_decision_record find_equivalent_recovery_decision find_recent_decision_for_position save_data load_data
    save_dataframe load_dataframe read_json write_json atomic_write_context exists delete create_backup list_snapshots
    load_snapshot delete_old_snapshots readonly save_binary load_binary file_exists ArtifactRef register_run
    attach_artifact create_snapshot verify_data_hash register_rule_version load_rule_version deprecate_version purge
    purge_all enforce_disk_limits get_protected_files simulate_purge get_storage_stats write_bars read_bars
    write_fundamental read_fundamental write_event read_events save_strategy_state load_strategy_state log_decision
    log_order PriceBar FundamentalData Event Decision Order OrderResult PersistentStoreError start_run
    track_bronze_file track_gold_file update_event_count complete_run mark_crashed get_current_run_id load_manifest
    list_runs get_crashed_runs get_run_directory DataRegistry DecisionStore TimeSeriesDataStore DataStore FileDataStore
"""
"""Every public call of the reference systems (their sections A14 and B0 to B3)."""


def rows() -> list[list[str]]:
    """The cells of every row of the tables of old calls."""
    section = PAGE.read_text().split("## Old calls and new ones")[1].split("\n## ")[0]
    lines = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [cells for cells in lines if cells[0].strip() != "old call"]


NAMES = sorted({name for cells in rows() for name in NAME.findall(cells[1])})


def find(name: str) -> Any:
    """What a dotted name stands for: the longest module, then attributes."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        return functools.reduce(getattr, parts[length:], found)
    raise AssertionError(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_new_name_exists(name: str) -> None:
    assert find(name) is not None


def test_every_old_call_is_in_the_table_and_has_a_new_name() -> None:
    assert len(NAMES) > 100
    old = {word for cells in rows() for word in re.findall(r"\w+", cells[0])}
    assert set(OLD_CALLS.split()) - old == set()
    assert [cells for cells in rows() if len(cells) < 3 or not NAME.search(cells[1])] == []


def code_of(name: str) -> set[CodeType]:
    """The code that runs when the name is used: the function, or what makes or checks an object of the class."""
    found = find(name)
    if not inspect.isclass(found):
        return {inspect.unwrap(found).__code__}
    makers = (getattr(found, maker, None) for maker in ("__init__", "__post_init__"))
    return {maker.__code__ for maker in makers if hasattr(maker, "__code__")}


def test_every_new_name_is_run_by_the_capability_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            ran.add(frame.f_code)

    tests = [test for module in (test_capabilities_files, test_capabilities_stores) for test in capabilities_of(module)]
    assert len(tests) >= 30
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for number, test in enumerate(tests):
            given = {"tmp_path": tmp_path / str(number), "monkeypatch": monkeypatch}
            given["tmp_path"].mkdir()
            test(**{name: given[name] for name in inspect.signature(test).parameters})
    finally:
        sys.setprofile(before)
    protocols = {"ticklake.stores.DataStore"}  # asked by isinstance, which runs no code of its own
    assert [name for name in NAMES if name not in protocols and not code_of(name) & ran] == []


def capabilities_of(module: ModuleType) -> list[Callable[..., None]]:
    """The test functions of a module, in order."""
    return [test for name, test in vars(module).items() if name.startswith("test_")]
