"""The id of a decision, under whatever name a caller has it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from ticklake.base.errors import UsageError


class MissingIdError(UsageError):
    """A record came without an id, so it could never be found again. Give it one and save again."""


def normalize_decision_id(source: Any) -> str | None:
    """The decision id in any of its shapes; None when there is none.

    Understands the id itself (text, integer or UUID) and mappings with `id`, `decision_id`, or `decision` (an id, or a
    mapping that has one). Of several, the first of that order counts. Surrounding blanks are no part of an id.
    """
    if isinstance(source, str):
        return source.strip() or None
    if isinstance(source, bool):
        return None
    if isinstance(source, int | UUID):
        return str(source)
    if isinstance(source, Mapping):
        found = (normalize_decision_id(source[key]) for key in ("id", "decision_id", "decision") if key in source)
        return next((decision_id for decision_id in found if decision_id is not None), None)
    return None


def require_decision_id(source: Any) -> str:
    """The decision id.

    Raises:
        MissingIdError: there is none.
    """
    decision_id = normalize_decision_id(source)
    if decision_id is None:
        shown = sorted(map(str, source)) if isinstance(source, Mapping) else source
        raise MissingIdError(f"no decision id in {shown!r}; give the decision an 'id' (text) and save it again")
    return decision_id
