"""ProviderCache: answers that grow old, apart from history."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ticklake.base.errors import UsageError
from ticklake.stores.cache import ProviderCache, Question
from ticklake.testing.clock import ManualClock

ASKED = Question("bloomberg", "CDX.IG", "2024-01-01", "2024-12-16", {"field": "PX_LAST"})


def rows(*days: int, value: float = 1.0) -> pl.DataFrame:
    times = [datetime(2024, 12, day, tzinfo=UTC) for day in days]
    return pl.DataFrame({"timestamp": times, "value": [value] * len(days)})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cache(tmp_path: Path, clock: ManualClock) -> ProviderCache:
    return ProviderCache(tmp_path / "cache", ttl=timedelta(days=1), clock=clock)


def test_an_answer_is_good_for_its_time_and_no_longer(cache: ProviderCache, clock: ManualClock) -> None:
    assert cache.get(ASKED) is None
    cache.put(ASKED, rows(1, 2))
    clock.advance(86_400)
    assert cache.get(ASKED).equals(rows(1, 2))
    clock.advance(1)
    assert cache.get(ASKED) is None
    assert cache.get(ASKED, ttl=timedelta(days=9)).height == 2


def test_an_answer_may_be_good_for_ever(tmp_path: Path, clock: ManualClock) -> None:
    cache = ProviderCache(tmp_path, ttl=None, clock=clock)
    cache.put(ASKED, rows(1))
    clock.advance(10**9)
    assert cache.get(ASKED).height == 1
    assert cache.purge_expired() == 0


def test_touching_a_file_does_not_make_it_young(cache: ProviderCache, clock: ManualClock) -> None:
    path = cache.put(ASKED, rows(1))
    clock.advance(2 * 86_400)
    os.utime(path)
    assert cache.get(ASKED) is None


@pytest.mark.parametrize(
    "other",
    [
        Question("yahoo", "CDX.IG", "2024-01-01", "2024-12-16", {"field": "PX_LAST"}),
        Question("bloomberg", "CDX.HY", "2024-01-01", "2024-12-16", {"field": "PX_LAST"}),
        Question("bloomberg", "CDX.IG", "2024-01-02", "2024-12-16", {"field": "PX_LAST"}),
        Question("bloomberg", "CDX.IG", "2024-01-01", None, {"field": "PX_LAST"}),
        Question("bloomberg", "CDX.IG", "2024-01-01", "2024-12-16", {"field": "PX_MID"}),
        Question("bloomberg|CDX.IG", "", "2024-01-01", "2024-12-16", {"field": "PX_LAST"}),
    ],
    ids=str,
)
def test_another_question_has_another_answer(cache: ProviderCache, other: Question) -> None:
    cache.put(ASKED, rows(1))
    assert cache.get(other) is None


def test_the_same_question_in_other_words_is_the_same(cache: ProviderCache) -> None:
    cache.put(Question("p", "i", "2024-01-01", params={"a": 1, "b": 2}), rows(1))
    assert cache.get(Question("p", "i", datetime(2024, 1, 1, tzinfo=UTC), params={"b": 2, "a": 1})) is not None


def test_a_file_in_the_place_of_another_answer_is_no_answer(cache: ProviderCache) -> None:
    other = Question("bloomberg", "CDX.HY")
    path = cache.put(ASKED, rows(1))
    path.rename(cache.path_of(other))
    assert cache.get(other) is None


def test_today_is_replaced_and_the_days_before_stay(cache: ProviderCache) -> None:
    cache.put(ASKED, rows(14, 15, 16))
    assert cache.update_current_day(ASKED, rows(15, 16, value=2.0))["value"].to_list() == [1.0, 1.0, 2.0]
    assert cache.get(ASKED)["value"].to_list() == [1.0, 1.0, 2.0]


def test_today_without_an_answer_is_the_answer(cache: ProviderCache) -> None:
    assert cache.update_current_day(ASKED, rows(16)).height == 1
    assert cache.get(ASKED).height == 1


def test_purging_removes_old_and_damaged_answers_only(cache: ProviderCache, clock: ManualClock) -> None:
    cache.put(Question("p", "old"), rows(1))
    cache.put(Question("p", "bad"), rows(1)).write_bytes(b"no parquet")
    clock.advance(86_401)
    kept = cache.put(Question("p", "new"), rows(1))
    assert cache.purge_expired() == 2
    assert list(cache.root.rglob("*.parquet")) == [kept]


def test_a_damaged_answer_is_no_answer_and_makes_room(cache: ProviderCache) -> None:
    path = cache.put(ASKED, rows(1))
    path.write_bytes(b"no parquet")
    assert cache.get(ASKED) is None
    assert not path.exists()
    cache.put(ASKED, rows(1))
    assert cache.get(ASKED).height == 1


def test_names_of_providers_cannot_leave_the_folder(cache: ProviderCache, tmp_path: Path) -> None:
    for name in ("../x", "..", "a/b", "*", "", "x" * 300):
        question = Question(name, name)
        assert cache.put(question, rows(1)).is_relative_to(cache.root)
        assert cache.get(question).height == 1
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_a_registry_is_told(tmp_path: Path) -> None:
    told: list[tuple[Any, ...]] = []

    class Registry:
        def register_dataset(self, name: str, file_path: Any, instrument: str) -> None:
            told.append((name, file_path, instrument))

    path = ProviderCache(tmp_path, registry=Registry()).put(ASKED, rows(1))
    assert told == [(f"bloomberg/{path.stem}", path, "CDX.IG")]


def test_a_time_to_live_is_longer_than_nothing() -> None:
    with pytest.raises(UsageError, match="ttl"):
        ProviderCache("cache", ttl=timedelta(0))
