"""What one check of `ticklake doctor` found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"  # we cannot know; the person can
    WARN = "warn"  # works, but a promise is weaker or it is slow
    FAIL = "fail"  # does not work, or a promise does not hold


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at.
        grade: how bad.
        found: the fact, with its unit.
        next_step: what to do; empty when nothing.
    """

    check: str
    grade: Grade
    found: str
    next_step: str = ""


def grade(check: str, found: str, *, when: bool, grade: Grade = Grade.WARN, next_step: str = "") -> Finding:
    """A finding that is `ok` unless `when` holds."""
    return Finding(check, grade, found, next_step) if when else Finding(check, Grade.OK, found)
