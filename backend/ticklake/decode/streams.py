"""Arrow messages of one table out of one segment: opened one by one, gathered by layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from ticklake.decode.arrow import check_values, open_stream, schema_message
from ticklake.decode.rejected import BadInputError
from ticklake.decode.segment import Message

Stream = tuple[Message, pa.Table]
"""A message and its rows."""


class Streams:
    """Gathers messages. What a schema says is looked at once: publishers repeat it in every message, byte by byte."""

    def __init__(self, *, rows_max: int) -> None:
        """Empty.

        Args:
            rows_max: most rows of one message.
        """
        self._rows_max = rows_max
        self._by_schema: dict[bytes, list[Stream]] = {}

    def add(self, message: Message) -> None:
        """Open a message.

        Raises:
            BadInputError: it cannot be read as a whole; see `open_stream`.
        """
        schema = schema_message(message.payload)
        known = self._by_schema.get(schema)
        rows = open_stream(message.payload, rows_max=self._rows_max, is_known=known is not None)
        if known is None:
            known = self._by_schema[schema] = []
        known.append((message, rows))

    def layouts(self, reject: Callable[[Message, BadInputError], None]) -> Iterator[list[Stream]]:
        """The messages of each layout, in the order they were added, their values checked; damaged ones go to `reject`.

        All of a layout are checked at once. Only where that finds damage each is checked for itself.
        """
        for streams in self._by_schema.values():
            try:
                check_values(pa.concat_tables([rows for _, rows in streams]))
            except BadInputError:
                streams = [stream for stream in streams if _is_sound(stream, reject)]
            if streams:
                yield streams


def _is_sound(stream: Stream, reject: Callable[[Message, BadInputError], None]) -> bool:
    message, rows = stream
    try:
        check_values(rows)
    except BadInputError as error:
        reject(message, error)
        return False
    return True
