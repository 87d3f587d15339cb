"""Which dates of a version must be built: those that are missing, stale, damaged or forced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from ticklake.base.errors import CorruptError, NoDataError
from ticklake.readers.dates import available_dates
from ticklake.readers.lake import Lake
from ticklake.schema.session import DAY_NS, session_window
from ticklake.silver.folder import VersionFolder
from ticklake.silver.inputs import InputHasher, SessionInputs, find_inputs, inputs_hash, listing_hash
from ticklake.silver.recipe import Recipe
from ticklake.silver.record import DateRecord, DateStatus, InputFile, Warmup

_EPOCH: Final = date(1970, 1, 1)
_NAMED_MAX: Final = 5
_SETTLED: Final = frozenset({DateStatus.BUILT, DateStatus.EMPTY, DateStatus.CLOSED})


@dataclass(frozen=True, slots=True)
class DateDraft:
    """What is known about one date before any bronze file is read.

    Attributes:
        date: YYYY-MM-DD.
        inputs: where its rows lie; None when there is no session.
        cause: why it must be built whatever bronze says; "" when bronze decides.
    """

    date: str
    inputs: SessionInputs | None
    cause: str

    @property
    def bytes(self) -> int:
        """Of its bronze files."""
        return self.inputs.bytes if self.inputs is not None else 0


@dataclass(frozen=True, slots=True)
class DatePlan:
    """What to do about one date.

    Attributes:
        date: YYYY-MM-DD.
        base: its record as far as it is known before building: inputs and hashes.
        listing: paths and sizes of its inputs, hashed.
        cause: why it must be built; "" to leave it as it is.
    """

    date: str
    base: DateRecord
    listing: str
    cause: str

    @property
    def bytes(self) -> int:
        """Of its bronze files."""
        return sum(file.bytes for file in self.base.inputs)


def dates_of(lake: Lake, recipe: Recipe, asked: Iterable[date] | None, known: Iterable[str]) -> list[date]:
    """The dates of the version, ascending: those asked for (all dates with bronze rows when None), and those it has.

    A date within what bronze has, but without rows itself, is a gap in the data and becomes `empty`. One before the
    first or after the last is a slip of the pen.

    Raises:
        NoDataError: a date that is asked for, and that the version has not yet, lies outside of what bronze has; or
            there is no date at all.
    """
    table, symbol = next(iter(recipe.manifest.tables.values())), recipe.manifest.symbol
    there = available_dates(lake.data_root, lake.relation(table), symbol)
    kept = {date.fromisoformat(day) for day in known}
    wanted = set(there if asked is None else asked)
    if (not there and wanted - kept) or not wanted | kept:
        raise NoDataError(f"{table} has no row of {symbol} to build {recipe.manifest.version} of; see `ticklake ls`")
    outside = [day for day in sorted(wanted - kept) if not _lies_within(recipe.manifest.calendar, day, there)]
    if outside:
        named = ", ".join(map(str, outside[:_NAMED_MAX])) + f" and {len(outside) - _NAMED_MAX} more" * (
            len(outside) > _NAMED_MAX
        )
        raise NoDataError(
            f"{table} has {symbol} from {there[0]} to {there[-1]}, nothing to build {named} of; correct the dates, "
            "or name none to build every date there is"
        )
    return sorted(wanted | kept)


def _lies_within(calendar: str, day: date, there: Sequence[date]) -> bool:
    """Whether a day's session overlaps the UTC days from the first to the last; without one, its neighbour's there."""
    step = timedelta(days=1 if day < there[0] else -1)
    while (session := session_window(calendar, day)) is None:
        day += step
    return session.end_ns > _midnight_ns(there[0]) and session.start_ns < _midnight_ns(there[-1]) + DAY_NS


def _midnight_ns(day: date) -> int:
    return (day - _EPOCH).days * DAY_NS


def draft_date(lake: Lake, recipe: Recipe, day: date, records: Mapping[str, DateRecord], *, force: bool) -> DateDraft:
    """Look for the bronze files of a date, and compare code and manifest with those it was made by. Reads no bronze."""
    session = session_window(recipe.manifest.calendar, day)
    inputs = None if session is None else find_inputs(lake, recipe, session)
    text = day.isoformat()
    return DateDraft(text, inputs, "forced" if force else _plain_cause(recipe, records.get(text)))


def plan_date(
    recipe: Recipe, draft: DateDraft, folder: VersionFolder, records: Mapping[str, DateRecord], hasher: InputHasher
) -> DatePlan:
    """Compare what a date would be made from with what it was made from."""
    text, inputs = draft.date, draft.inputs
    if inputs is None:
        reason = f"{recipe.manifest.calendar} has no session on that day"
        base, listing = _base(recipe, text, (), Warmup(), DateStatus.CLOSED, reason), ""
    else:
        listing = listing_hash(inputs)
        try:
            base = _base(recipe, text, hasher.hash(inputs), inputs.warmup)
        except CorruptError as error:
            base = _base(recipe, text, (), inputs.warmup, DateStatus.FAILED, f"CorruptError: {error}")
            return DatePlan(text, base, listing, "bronze is damaged")
    return DatePlan(text, base, listing, draft.cause or _cause(folder, records[text], base))


def _base(
    recipe: Recipe,
    day: str,
    files: tuple[InputFile, ...],
    warmup: Warmup,
    status: DateStatus = DateStatus.BUILT,
    reason: str = "",
) -> DateRecord:
    return DateRecord(
        date=day, status=status, reason=reason, inputs=files, warmup=warmup, inputs_hash=inputs_hash(files),
        manifest_hash=recipe.manifest_hash, code_hash=recipe.code_hash,
    )  # fmt: skip


def _plain_cause(recipe: Recipe, old: DateRecord | None) -> str:
    if old is None:
        return "missing"
    if old.status not in _SETTLED:
        return "failed before"
    if old.manifest_hash != recipe.manifest_hash:
        return "manifest changed"
    return "code changed" if old.code_hash != recipe.code_hash else ""


def _cause(folder: VersionFolder, old: DateRecord, base: DateRecord) -> str:
    if old.inputs_hash != base.inputs_hash or (old.status is DateStatus.CLOSED) != (base.status is DateStatus.CLOSED):
        return "bronze changed"
    return "" if folder.is_whole(old) else "files changed"
