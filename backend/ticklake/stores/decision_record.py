"""What a stored decision looks like: the caller's own fields, and the few that we add. No I/O.

id, decision_id       both, so that either name finds it
timestamp             when it was decided; the time of saving when the caller gave none
_schema_version       form of the record
_revision             1 for the first save, one more for each later one
_saved_at             when this revision was saved, ISO text UTC
_deleted              true in the last line of the history of a deleted decision, nowhere else
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from ticklake.base.errors import UsageError
from ticklake.base.moments import iso_text
from ticklake.files.documents import encode_document
from ticklake.stores.decision_ids import require_decision_id
from ticklake.stores.decision_time import moment_ns

Record = dict[str, Any]
"""One decision. Any: the fields are the caller's."""

SCHEMA_VERSION: Final = 1
REVISION: Final = "_revision"
SAVED_AT: Final = "_saved_at"
DELETED: Final = "_deleted"
_PAIR_KEYS: Final = ("asset_pair", "pair", "symbol")
_STRATEGY_KEYS: Final = ("strategy", "strategy_name")


@dataclass(frozen=True, slots=True)
class Summary:
    """The fields by which decisions are found.

    Attributes:
        decision_id: its id.
        decision_ns: when it was decided, ns UTC.
        pair: instrument, exactly as the record says it.
        action: such as BUY; None when the record has none. So with the rest.
        status: such as executed.
        strategy: who decided.
        provider: which model or module (`ai_provider`).
        revision: 1 for the first save, also for a file that another program wrote.
    """

    decision_id: str
    decision_ns: int
    pair: str | None
    action: str | None
    status: str | None
    strategy: str | None
    provider: str | None
    revision: int


def normalize_decision_record(decision: Any, *, now_ns: int) -> Record:
    """A copy of a decision (mapping or dataclass) with both names of its id, a time and the version of its form.

    Times, Decimals and everything else that a document holds stay what they are, but see `plain_copy`.

    Raises:
        MissingIdError: it has no id.
        UsageError: it is no mapping, or its `timestamp` is no time.
    """
    record = plain_copy(decision)
    if not isinstance(record, dict):
        raise UsageError(f"a decision is a mapping or a dataclass, not {type(decision).__name__}")
    if (wrong := next((key for key in record if not isinstance(key, str)), None)) is not None:
        raise UsageError(f"the key {wrong!r} of a decision is no text; rename it")
    decision_id = require_decision_id(record)
    record["id"] = record["decision_id"] = decision_id
    if record.get("timestamp") is None:
        record["timestamp"] = iso_text(now_ns)
    moment_ns(record["timestamp"])
    record["_schema_version"] = SCHEMA_VERSION
    return record


def plain_copy(value: Any) -> Any:
    """A deep copy that any other program can read, without numpy, pandas or the caller's classes.

    Dataclasses become dicts, enums and numpy scalars their values, pandas Timestamps datetimes (text when they have
    nanoseconds), NaT null. Arrays stay arrays.
    """
    if isinstance(value, Enum):
        return plain_copy(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_copy(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain_copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        kind = next(kind for kind in (list, tuple, set, frozenset) if isinstance(value, kind))
        return kind(plain_copy(item) for item in value)
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    if isinstance(value, datetime) and hasattr(value, "to_pydatetime"):
        return _from_pandas(value)
    return copy.deepcopy(value)


def _from_pandas(moment: Any) -> datetime | str | None:
    """A pandas Timestamp or NaT, which is no time and so not equal to itself."""
    if moment != moment:
        return None
    return str(moment.isoformat()) if moment.nanosecond else moment.to_pydatetime()


def summarize(record: Mapping[str, Any]) -> Summary:
    """The fields by which a normalised record is found."""
    revision = record.get(REVISION)
    return Summary(
        decision_id=require_decision_id(record),
        decision_ns=moment_ns(record["timestamp"]),
        pair=_text(record, _PAIR_KEYS),
        action=_text(record, ("action",)),
        status=_text(record, ("status",)),
        strategy=_text(record, _STRATEGY_KEYS),
        provider=_text(record, ("ai_provider",)),
        revision=revision if isinstance(revision, int) else 1,
    )


def same_decision(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two records say the same, apart from when and how often they were saved."""
    return encode_document(_own_fields(first), sort_keys=True) == encode_document(_own_fields(second), sort_keys=True)


def _own_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in (REVISION, SAVED_AT, DELETED)}


def _text(record: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = record.get(key)
        if isinstance(value, Enum):
            value = value.value
        if value is not None and not isinstance(value, Mapping | list):
            return str(value)
    return None
