"""Batch messages of JSON: one message into the documents it holds."""

from __future__ import annotations

import msgspec

from ticklake.decode.rejected import BadInputError, Reason

_SPACE = b" \t\r\n"


def is_array(payload: bytes) -> bool:
    """Whether a JSON payload is an array rather than one object."""
    return payload.lstrip(_SPACE).startswith(b"[")


def split_array(payload: bytes) -> list[bytes]:
    """The elements of a JSON array, as they stand.

    Raises:
        BadInputError: it is no JSON array, or an empty one.
    """
    try:
        elements = msgspec.json.decode(payload, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError, ValueError) as error:
        raise BadInputError(Reason.NOT_JSON, str(error)) from error
    return _not_empty([bytes(element) for element in elements])


def split_lines(payload: bytes) -> list[bytes]:
    """The lines of an NDJSON payload that are not blank.

    Raises:
        BadInputError: all lines are blank.
    """
    return _not_empty([line for line in payload.split(b"\n") if line.strip(_SPACE)])


def _not_empty(documents: list[bytes]) -> list[bytes]:
    if not documents:
        raise BadInputError(Reason.EMPTY_BATCH, "the batch holds no row")
    return documents
