"""Batch messages of JSON: one message into the documents it holds."""

from __future__ import annotations

import msgspec

from ticklake.decode.rejected import BadInputError, Reason

_SPACE = b" \t\r\n"


def is_array(payload: bytes) -> bool:
    """Whether a JSON payload is an array rather than one object."""
    return payload.lstrip(_SPACE).startswith(b"[")


def split_array(payload: bytes, *, rows_max: int) -> list[bytes]:
    """The elements of a JSON array, as they stand.

    Raises:
        BadInputError: it is no JSON array, an empty one, or one of too many elements.
    """
    try:
        elements = msgspec.json.decode(payload, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError, ValueError) as error:
        raise BadInputError(Reason.NOT_JSON, str(error)) from error
    return _counted([bytes(element) for element in elements], rows_max)


def split_lines(payload: bytes, *, rows_max: int) -> list[bytes]:
    """The lines of an NDJSON payload that are not blank.

    Raises:
        BadInputError: all lines are blank, or there are too many.
    """
    return _counted([line for line in payload.split(b"\n") if line.strip(_SPACE)], rows_max)


def _counted(documents: list[bytes], rows_max: int) -> list[bytes]:
    if not documents:
        raise BadInputError(Reason.EMPTY_BATCH, "the batch holds no row")
    if len(documents) > rows_max:
        raise BadInputError(Reason.TOO_LARGE, f"a batch of {len(documents)} rows, at most {rows_max}")
    return documents
