"""What a data provider answered, kept for a while so that it need not be asked again. Not history: it may vanish.

    {root}/{provider}/{instrument}_{key}.parquet

The key is a hash of the whole question; the question itself is in the footer and compared on reading. The age of an
answer is in the footer too: copying or touching a file does not make it young.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import polars as pl
import structlog

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import UsageError
from ticklake.base.moments import iso_text
from ticklake.files.atomic import locked, remove
from ticklake.files.documents import encode_document
from ticklake.files.errors import UnreadableError
from ticklake.files.names import safe_name
from ticklake.files.place import Place, place_of, sorted_places
from ticklake.files.trees import make_folder
from ticklake.stores.decision_time import Moment, moment_ns
from ticklake.stores.timeseries_frames import TIME, footer_of, read_rows, with_time, write_rows

LONG_TTL: Final = timedelta(days=1)
_KEY_DIGITS: Final = 32  # of a SHA-256: 128 bits, and the question is compared as well
_QUESTION: Final = "question"
_SUFFIX: Final = ".parquet"

_log = structlog.get_logger()


class Registers(Protocol):
    """What is told about each stored answer: a `DataRegistry`."""

    def register_dataset(self, name: str, file_path: Any, instrument: str) -> Any:
        """Note that a file holds data of an instrument."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What a provider was asked.

    Attributes:
        provider: who.
        instrument: for what.
        start: first time, as it was asked; what names no zone is UTC.
        end: last time.
        params: everything else that changes the answer.
    """

    provider: str
    instrument: str
    start: Moment | None = None
    end: Moment | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The whole question, in one spelling."""
        times = [None if time is None else iso_text(moment_ns(time)) for time in (self.start, self.end)]
        parts = [self.provider, self.instrument, *times, dict(self.params)]
        return encode_document(parts, indent=None, sort_keys=True).decode("utf-8")

    @property
    def key(self) -> str:
        """Short name of the question."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()[:_KEY_DIGITS]


class ProviderCache:
    """Answers of data providers below one folder. Threads and processes may share it."""

    def __init__(
        self,
        root: str | os.PathLike[str] = "cache",
        *,
        ttl: timedelta | None = LONG_TTL,
        clock: Clock | None = None,
        registry: Registers | None = None,
    ) -> None:
        """Make the folder.

        Args:
            root: the folder.
            ttl: how long an answer is good; None for ever.
            clock: says how old an answer is.
            registry: told about each stored answer.

        Raises:
            UsageError: the ttl is not positive.
        """
        if ttl is not None and ttl <= timedelta(0):
            raise UsageError(f"ttl is {ttl}; give a positive time, or None to keep answers for ever")
        self.root = place_of(root)
        self._ttl = ttl
        self._clock = clock or SystemClock()
        self._registry = registry
        make_folder(self.root)

    def get(self, question: Question, *, ttl: timedelta | None = None) -> pl.DataFrame | None:
        """The answer; None when there is none, or it is too old. A damaged one is removed and named in the log.

        Args:
            question: what was asked.
            ttl: how long an answer is good this time; default that of the cache.
        """
        path = self.path_of(question)
        try:
            footer = footer_of(path)
            if footer.get(_QUESTION) != question.text or self._is_old(footer, self._ttl if ttl is None else ttl):
                return None
            return read_rows(path)
        except FileNotFoundError:
            return None
        except UnreadableError as error:
            _log.warning("cache.answer_damaged", path=str(path), reason=str(error))
            remove(path)
            return None

    def put(self, question: Question, frame: Any) -> Place:
        """Keep an answer, in place of an older one. Gives its file.

        Raises:
            FrameError: no frame, or no clear times in it.
        """
        path = self.path_of(question)
        self._write(question, path, with_time(frame))
        if self._registry is not None:
            self._registry.register_dataset(f"{question.provider}/{path.stem}", path, question.instrument)
        return path

    def update_current_day(self, question: Question, frame: Any) -> pl.DataFrame:
        """Replace the rows of today (UTC) in an answer by those of `frame`, and give all rows.

        Earlier rows stay as they are, whatever `frame` says of them. Without an answer `frame` becomes it, whole.

        Raises:
            FrameError: no frame, or no clear times in it.
        """
        path = self.path_of(question)
        fresh = with_time(frame)
        today = datetime.fromtimestamp(self._clock.wall_ns() // 1_000_000_000, UTC).date()
        is_today = pl.col(TIME).dt.date() == today
        with locked(path):
            try:
                known = read_rows(path) if footer_of(path).get(_QUESTION) == question.text else None
            except FileNotFoundError:
                known = None
            rows = fresh
            if known is not None:
                parts = [known.filter(~is_today), fresh.filter(is_today)]
                rows = pl.concat(parts, how="diagonal_relaxed").sort(TIME, maintain_order=True)
            self._write(question, path, rows)
        return rows

    def purge_expired(self) -> int:
        """Remove answers that are too old or damaged. How many."""
        count = 0
        for path in sorted_places(self.root.glob(f"*/*{_SUFFIX}")):
            if path.name.startswith("."):
                continue
            try:
                is_old = self._is_old(footer_of(path), self._ttl)
            except FileNotFoundError:
                continue  # somebody else removed it
            except UnreadableError:
                is_old = True
            count += is_old and remove(path)
        return count

    def path_of(self, question: Question) -> Place:
        """Where the answer is, or would be."""
        return self.root / safe_name(question.provider) / f"{safe_name(question.instrument)}_{question.key}{_SUFFIX}"

    def _write(self, question: Question, path: Place, rows: pl.DataFrame) -> None:
        facts = {_QUESTION: question.text, "provider": question.provider, "instrument": question.instrument}
        write_rows(rows, path, facts=facts, saved_ns=self._clock.wall_ns())

    def _is_old(self, footer: Mapping[str, str], ttl: timedelta | None) -> bool:
        if ttl is None:
            return False
        age_ns = self._clock.wall_ns() - int(footer.get("saved_ns", "0"))
        return age_ns > ttl // timedelta(microseconds=1) * 1_000
