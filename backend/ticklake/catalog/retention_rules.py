"""What may be deleted, and why not. Pure: files and rules in, one verdict per file out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Final

from ticklake.base.errors import UsageError

_DAY_NS: Final = 86_400_000_000_000
_TEMP_DAYS_MIN: Final = 0.05  # 72 minutes; writing one file takes seconds


class Verdict(StrEnum):
    """Why a file goes or stays."""

    OLDER_THAN_MAX_AGE = "older_than_max_age"
    EXCEEDS_MAX_COUNT = "exceeds_max_count"
    EXCEEDS_MAX_BYTES = "exceeds_max_bytes"
    PINNED = "pinned"
    REFERENCED = "referenced"
    IN_USE = "in_use"
    KEEP_LAST = "keep_last"
    WITHIN_LIMITS = "within_limits"


_DELETES: Final = frozenset({Verdict.OLDER_THAN_MAX_AGE, Verdict.EXCEEDS_MAX_COUNT, Verdict.EXCEEDS_MAX_BYTES})


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Limits for one kind. At least one of the three limits is set; what no limit asks for stays.

    Attributes:
        kind: which files; see `retention.Retention`.
        max_age_days: delete what is older.
        max_count: delete the oldest beyond so many.
        max_bytes: delete the oldest until the rest is no larger.
        keep_last: so many of the youngest stay whatever the limits say.
        pins: patterns (`*` and `?`) of paths relative to the root, or of names, that stay.
    """

    kind: str
    max_age_days: float | None = None
    max_count: int | None = None
    max_bytes: int | None = None
    keep_last: int = 0
    pins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        limits = [limit for limit in (self.max_age_days, self.max_count, self.max_bytes) if limit is not None]
        if not limits:
            raise UsageError(f"retention of {self.kind} has no limit; give an age, a count or a size")
        if any(limit < 0 for limit in (*limits, self.keep_last)):
            raise UsageError(f"retention of {self.kind}: a limit is below zero; give 0 or more")
        if self.kind == "temp" and (len(limits) > 1 or self.max_age_days is None or self.max_age_days < _TEMP_DAYS_MIN):
            raise UsageError("retention of temp takes an age of at least 0.05 days only: younger files may be in use")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One file that a policy looks at.

    Attributes:
        path: relative to the root.
        bytes: its size.
        time_ns: what its age counts from, UTC ns.
        group: files of one group share the limits of count and size, and `keep_last`.
    """

    path: str
    bytes: int
    time_ns: int
    group: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """One file with its verdict.

    Attributes:
        candidate: the file.
        verdict: why it goes or stays.
        detail: who references or pins it; empty otherwise.
    """

    candidate: Candidate
    verdict: Verdict
    detail: str = ""

    @property
    def deletes(self) -> bool:
        """Whether the file goes."""
        return self.verdict in _DELETES


def decide(
    candidates: Sequence[Candidate],
    policy: RetentionPolicy,
    *,
    now_ns: int,
    references: Mapping[str, str],
    held: Mapping[str, str] | None = None,
) -> list[Decided]:
    """A verdict for every file, group by group, youngest first. What is protected counts, but never goes.

    Args:
        candidates: the files of the policy's kind.
        policy: the limits.
        now_ns: the present, UTC ns.
        references: path of a file or folder -> who needs it.
        held: path of a file -> why it may still be in use.
    """
    ordered = sorted(candidates, key=lambda item: (item.group, -item.time_ns, item.path))
    groups = [list(members) for _, members in groupby(ordered, key=lambda item: item.group)]
    return [found for group in groups for found in _decide_group(group, policy, now_ns, references, held or {})]


def _decide_group(
    youngest_first: Sequence[Candidate],
    policy: RetentionPolicy,
    now_ns: int,
    references: Mapping[str, str],
    held: Mapping[str, str],
) -> list[Decided]:
    decided: list[Decided] = []
    kept_count = kept_bytes = 0
    protected = [_protection(item, place, policy, references, held) for place, item in enumerate(youngest_first)]
    bytes_owed = sum(item.bytes for item, shield in zip(youngest_first, protected, strict=True) if shield)
    count_owed = sum(shield is not None for shield in protected)
    for item, shield in zip(youngest_first, protected, strict=True):
        if shield is not None:
            decided.append(shield)
            continue
        verdict = _limit(item, policy, now_ns, kept_count + count_owed + 1, kept_bytes + bytes_owed + item.bytes)
        kept_count, kept_bytes = kept_count + 1, kept_bytes + item.bytes  # what is older than one that goes, goes too
        decided.append(Decided(item, verdict))
    return decided


def _protection(
    item: Candidate, place: int, policy: RetentionPolicy, references: Mapping[str, str], held: Mapping[str, str]
) -> Decided | None:
    if item.path in held:
        return Decided(item, Verdict.IN_USE, held[item.path])
    name = item.path.rpartition("/")[2]
    for pin in policy.pins:
        if fnmatchcase(item.path, pin) or fnmatchcase(name, pin):
            return Decided(item, Verdict.PINNED, pin)
    path = item.path
    while path:
        if path in references:
            return Decided(item, Verdict.REFERENCED, references[path])
        path = path.rpartition("/")[0]
    if place < policy.keep_last:
        return Decided(item, Verdict.KEEP_LAST)
    return None


def _limit(item: Candidate, policy: RetentionPolicy, now_ns: int, count: int, size: int) -> Verdict:
    if policy.max_age_days is not None and now_ns - item.time_ns > policy.max_age_days * _DAY_NS:
        return Verdict.OLDER_THAN_MAX_AGE
    if policy.max_count is not None and count > policy.max_count:
        return Verdict.EXCEEDS_MAX_COUNT
    if policy.max_bytes is not None and size > policy.max_bytes:
        return Verdict.EXCEEDS_MAX_BYTES
    return Verdict.WITHIN_LIMITS
