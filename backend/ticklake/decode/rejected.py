"""What was not stored as a row, and why. The reasons are a fixed list: people count and alert by them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ticklake.base.errors import RejectedError


class Reason(StrEnum):
    """Why a row or a message went to quarantine."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    BAD_UTF8 = "bad_utf8"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    NOT_FINITE = "not_finite"
    TS_OUT_OF_RANGE = "ts_out_of_range"
    UNDEFINED_PRICE = "undefined_price"
    UNKNOWN_SCHEMA = "unknown_schema"
    UNKNOWN_CONTENT_TYPE = "unknown_content_type"
    UNKNOWN_SUBJECT = "unknown_subject"
    BAD_ARROW = "bad_arrow"
    EMPTY_BATCH = "empty_batch"
    TOO_LARGE = "too_large"
    TOO_MANY_PARTITIONS = "too_many_partitions"


DETAIL_CHARS_MAX = 200
"""Longest explanation kept: a hostile value must not fill the quarantine with itself."""


class BadInputError(RejectedError):
    """One value, row or message cannot be stored.

    Attributes:
        reason: which rule it breaks.
        detail: what was found, shortened.
        path: JSON path of the value; `$` for the whole.
    """

    def __init__(self, reason: Reason, detail: str, path: str = "$") -> None:
        super().__init__(f"{path}: {detail}; see `ticklake quarantine show`")
        self.reason = reason
        self.detail = detail[:DETAIL_CHARS_MAX]
        self.path = path[:DETAIL_CHARS_MAX]


@dataclass(frozen=True, slots=True)
class Rejected:
    """One quarantine row.

    Attributes:
        table: the table it was meant for; `unknown` when its subject belongs to none.
        reason: which rule it breaks.
        path: JSON path of the offending value, `$` for the whole.
        detail: what was found, at most 200 characters.
        subject: as received.
        headers: header block as received; None when there was none.
        payload: the row's own bytes, in the format of the message, so that it can be published again by itself:
            its JSON object, or an Arrow stream of one row. The whole message where it could not be taken apart.
        stream_seq: sequence in the stream; None for core NATS.
        message_row: row number inside the message.
        server_ns: when the server stored it (UTC ns); None for core NATS.
        ingest_ns: when we took it (UTC ns).
        number: running number of its message in the segment; not stored.
    """

    table: str
    reason: Reason
    path: str
    detail: str
    subject: bytes
    headers: bytes | None
    payload: bytes
    stream_seq: int | None
    message_row: int
    server_ns: int | None
    ingest_ns: int
    number: int


def shown(value: object) -> str:
    """A value as it may appear in a detail: its representation, cut before it grows."""
    if isinstance(value, str | bytes):
        value = value[:DETAIL_CHARS_MAX]
    elif isinstance(value, int) and value.bit_length() > 256:  # repr of huge integers is slow or refused
        return f"an integer of {value.bit_length()} bits"
    elif isinstance(value, dict | list):
        return f"a {'JSON object' if isinstance(value, dict) else 'JSON array'} of {len(value)}"
    return repr(value)[:DETAIL_CHARS_MAX]
