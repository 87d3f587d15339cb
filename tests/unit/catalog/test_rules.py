"""Versions of rules."""

from decimal import Decimal
from pathlib import Path

import pytest

from ticklake.base.errors import UsageError
from ticklake.catalog.rules import RuleRegistry
from ticklake.files.errors import AlreadyStoredError, NotStoredError, UnreadableError
from ticklake.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def rules(tmp_path: Path, clock: ManualClock) -> RuleRegistry:
    return RuleRegistry(tmp_path, clock=clock)


def test_a_version_is_kept_as_registered(rules: RuleRegistry) -> None:
    rules.register_rule_version("s", "1.0", {"stop": Decimal("0.5")}, "first", ["b", "a"])
    found = rules.load_rule_version("s", "1.0")
    assert (found.rules, found.description, found.tags, found.status) == (
        {"stop": Decimal("0.5")},
        "first",
        ("a", "b"),
        "active",
    )


def test_a_version_is_never_overwritten(rules: RuleRegistry) -> None:
    first = rules.register_rule_version("s", "1", {"a": 1})
    assert rules.register_rule_version("s", "1", {"a": 1}) == first
    with pytest.raises(AlreadyStoredError, match="new version"):
        rules.register_rule_version("s", "1", {"a": 2})
    assert rules.load_rule_version("s", "1").rules == {"a": 1}


def test_versions_are_listed_in_the_order_of_their_registration(rules: RuleRegistry, clock: ManualClock) -> None:
    for setup, version in (("s", "10"), ("s", "9"), ("t", "1"), ("s", "11")):
        clock.advance(1)
        rules.register_rule_version(setup, version, [])
    assert rules.list_versions("s") == [("s", "10"), ("s", "9"), ("s", "11")]
    assert len(rules.list_versions()) == 4
    assert rules.latest("s").version == "11"
    rules.deprecate_version("s", "11")
    assert rules.latest("s").version == "9"
    assert rules.load_rule_version("s", "11").status == "deprecated"
    assert rules.list_versions("s", include_deprecated=False) == [("s", "10"), ("s", "9")]


def test_names_that_would_run_together_stay_apart(rules: RuleRegistry) -> None:
    for setup, version in (("a@b", "c"), ("a", "b@c"), ("../a", "/"), ("x" * 300, "1"), ("x" * 301, "1")):
        rules.register_rule_version(setup, version, [setup, version])
        assert rules.load_rule_version(setup, version).rules == [setup, version]


def test_what_is_not_there_says_so(rules: RuleRegistry) -> None:
    for call in (
        lambda: rules.load_rule_version("s", "1"),
        lambda: rules.latest("s"),
        lambda: rules.deprecate_version("s", "1"),
    ):
        with pytest.raises(NotStoredError, match="s has no"):
            call()
    with pytest.raises(UsageError):
        rules.register_rule_version("", "1", [])


def test_rules_that_were_edited_by_hand_are_noticed(rules: RuleRegistry, tmp_path: Path) -> None:
    rules.register_rule_version("s", "1", {"a": 1})
    (path,) = (tmp_path / "catalog/rules").glob("*.json")
    path.write_bytes(path.read_bytes().replace(b'"a": 1', b'"a": 2'))
    with pytest.raises(UnreadableError, match="changed"):
        rules.load_rule_version("s", "1")
