"""Events and states in PostgreSQL. The documents are those of the files, byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ticklake.base.clock import Clock
from ticklake.stores.events import decode_event, encode_event, present_events, wanted_types
from ticklake.stores.models import Event
from ticklake.stores.postgres_database import Database, from_text, to_text
from ticklake.stores.spans import Moment, Span, as_utc, day_of, from_ns
from ticklake.stores.state import (
    StateConflictError,
    StateVersion,
    check_keep_count,
    checked_state,
    decode_state,
    encode_state,
)

_EVENTS: Final = """
SELECT document FROM events WHERE happened_at >= coalesce(%s, '-infinity'::timestamptz)
    AND happened_at <= coalesce(%s, 'infinity'::timestamptz) AND (%s::text[] IS NULL OR type = ANY(%s::text[]))
ORDER BY happened_at, number
"""


class PostgresEvents:
    """The `EventStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write_event(self, event: Event) -> None:
        """Keep an event; the same event written twice is there twice."""
        values = (as_utc(event.timestamp), to_text(event.type), encode_event(event))
        with self._database.transaction() as cursor:
            cursor.execute("INSERT INTO events (happened_at, type, document) VALUES (%s, %s, %s)", values)

    def read_events(self, start: Moment, end: Moment, types: Iterable[str] | None = None) -> list[Event]:
        """Events from `start` to `end`, both included, by time, then in the order of writing."""
        span, wanted = Span.of(start, end), wanted_types(types)
        names = None if wanted is None else [to_text(name) for name in wanted]
        rows = self._database.rows(_EVENTS, span.start, span.end, names, names)
        return present_events((decode_event(document, where="events") for (document,) in rows), span)

    def count_events(self) -> dict[tuple[str, str], int]:
        """Events by UTC day and type."""
        rows = self._database.rows("SELECT happened_at, type FROM events")
        return dict(sorted(Counter((day_of(happened), from_text(kind)) for happened, kind in rows).items()))


class PostgresState:
    """The `StateStore` of a database."""

    def __init__(self, database: Database, *, clock: Clock, versions_kept: int) -> None:
        self._database = database
        self._clock = clock
        self._kept = versions_kept

    def save_strategy_state(
        self,
        strategy_name: str,
        state: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        schema: str | None = None,
    ) -> int:
        """Save the next version and give its number.

        Raises:
            StateConflictError: `expected_version` is not the current one.
            RejectedError: the state is no mapping.
        """
        content, name = checked_state(strategy_name, state), to_text(strategy_name)
        saved_at = from_ns(self._clock.wall_ns())
        while True:
            with self._database.transaction() as cursor:
                newest = "SELECT coalesce(max(version), 0) FROM states WHERE strategy_name = %s"
                (current,) = cursor.execute(newest, [name]).fetchone()
                if expected_version not in (None, current):
                    raise StateConflictError(strategy_name, expected=expected_version or 0, current=current)
                document = encode_state(StateVersion(strategy_name, current + 1, saved_at, content, schema))
                insert = "INSERT INTO states VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
                if cursor.execute(insert, [name, current + 1, document]).rowcount:
                    forget = "DELETE FROM states WHERE strategy_name = %s AND version <= %s"
                    cursor.execute(forget, [name, current + 1 - self._kept])
                    return int(current) + 1
            # Somebody took the number: look again, which ends in a conflict if one was asked for.

    def load_strategy_state(self, strategy_name: str) -> dict[str, Any] | None:
        """The current state; None when there is none."""
        found = self.read_strategy_state(strategy_name)
        return None if found is None else found.state

    def read_strategy_state(self, strategy_name: str, *, version: int | None = None) -> StateVersion | None:
        """A version with its number and time; the current one by default."""
        query = """SELECT document FROM states WHERE strategy_name = %s AND version = coalesce(%s, version)
            ORDER BY version DESC LIMIT 1"""
        rows = self._database.rows(query, to_text(strategy_name), version)
        return decode_state(rows[0][0], path=f"state of {strategy_name!r}") if rows else None

    def list_state_versions(self, strategy_name: str) -> list[int]:
        """The versions kept, oldest first."""
        query = "SELECT version FROM states WHERE strategy_name = %s ORDER BY version"
        return [version for (version,) in self._database.rows(query, to_text(strategy_name))]

    def delete_old_states(self, strategy_name: str, keep_count: int = 10) -> int:
        """Remove all but the newest `keep_count` versions; how many.

        Raises:
            UsageError: fewer than one would stay.
        """
        check_keep_count(keep_count)
        delete = """DELETE FROM states WHERE strategy_name = %s AND version NOT IN
            (SELECT version FROM states WHERE strategy_name = %s ORDER BY version DESC LIMIT %s)"""
        name = to_text(strategy_name)
        with self._database.transaction() as cursor:
            return int(cursor.execute(delete, [name, name, keep_count]).rowcount)

    def list_strategies(self) -> list[str]:
        """Names of all strategies with a state, sorted."""
        return sorted(from_text(name) for (name,) in self._database.rows("SELECT DISTINCT strategy_name FROM states"))
