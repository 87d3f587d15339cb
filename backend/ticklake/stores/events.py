"""Events in files: one JSON line each, in the file of the UTC day on which they happened.

    {folder}/2026-01-05.jsonl

Any number of processes append; a line is whole and on disk when the call returns. A last line without its line feed
belongs to a writer that was killed before that, and is not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from ticklake.base.errors import RejectedError
from ticklake.files.atomic import append_line, read_lines
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.errors import UnreadableError
from ticklake.files.place import Place, sorted_places
from ticklake.stores.models import Event
from ticklake.stores.spans import ALWAYS, Moment, Span, as_utc, day_of


class FileEvents:
    """Events below one folder. Safe between threads and processes."""

    def __init__(self, folder: Place) -> None:
        self._folder = folder

    def write_event(self, event: Event) -> None:
        """Append an event. It is on disk when this returns; the same event written twice is there twice.

        Raises:
            UsageError: the payload holds a value that no document can keep.
        """
        append_line(self._folder / f"{day_of(event.timestamp)}.jsonl", encode_event(event))

    def read_events(self, start: Moment, end: Moment, types: Iterable[str] | None = None) -> list[Event]:
        """Events that happened from `start` to `end`, both included, by time, then in the order of writing.

        Args:
            start: first time.
            end: last time.
            types: only these; all when None.

        Raises:
            UnreadableError: a line is damaged; the text names it.
        """
        span, wanted = Span.of(start, end), wanted_types(types)
        found = [event for event in self._read(span) if wanted is None or event.type in wanted]
        return present_events(found, span)

    def count_events(self) -> dict[tuple[str, str], int]:
        """How many events of each UTC day and type there are."""
        counts = Counter((day_of(event.timestamp), event.type) for event in self._read(ALWAYS))
        return dict(sorted(counts.items()))

    def _read(self, span: Span) -> Iterator[Event]:
        first = "" if span.start is None else day_of(span.start)
        last = "9999-12-31" if span.end is None else day_of(span.end)
        for path in sorted_places(self._folder.glob("[0-9]*.jsonl")):
            if first <= path.stem <= last:
                try:
                    *lines, _torn = read_lines(path).split(b"\n")
                except FileNotFoundError:
                    continue  # retention took the day since it was listed
                for number, line in enumerate(lines, start=1):
                    event = decode_event(line, where=f"{path} line {number}")
                    if span.holds(event.timestamp):
                        yield event


def wanted_types(types: Iterable[str] | None) -> frozenset[str] | None:
    """The filter as a set.

    Raises:
        RejectedError: one text was given where a list of types belongs.
    """
    if isinstance(types, str):
        raise RejectedError(f"types is the text {types!r}; give a list of types, such as [{types!r}]")
    return None if types is None else frozenset(types)


def present_events(events: Iterable[Event], span: Span) -> list[Event]:
    """Events by time, with times in the form of the question."""
    ordered = sorted(events, key=lambda event: event.timestamp)
    return [
        Event(
            event.type,
            event.symbol,
            span.present(event.timestamp),
            span.present(event.ingested_at),
            event.source,
            event.payload,
        )
        for event in ordered
    ]


def encode_event(event: Event) -> bytes:
    """One line of JSON without line feed; times in UTC."""
    fields: dict[str, Any] = {
        "type": event.type,
        "symbol": event.symbol,
        "timestamp": as_utc(event.timestamp),
        "ingested_at": as_utc(event.ingested_at),
        "source": event.source,
        "payload": dict(event.payload),
    }
    return encode_document(fields, indent=None)


def decode_event(line: bytes, *, where: str) -> Event:
    """The event of a line, with aware UTC times.

    Raises:
        UnreadableError: the line is damaged.
    """
    fields = decode_document(line, path=where)
    try:
        return Event(
            fields["type"],
            fields["symbol"],
            fields["timestamp"],
            fields["ingested_at"],
            fields["source"],
            fields["payload"],
        )
    except (KeyError, TypeError, RejectedError) as error:
        raise UnreadableError(f"{where}: no event ({error}); restore the line", path=where) from error
