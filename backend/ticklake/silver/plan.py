"""Which dates of a version must be built: those that are missing, stale, damaged or forced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from ticklake.base.errors import CorruptError
from ticklake.readers.dates import available_dates
from ticklake.readers.lake import Lake
from ticklake.schema.session import session_window
from ticklake.silver.folder import VersionFolder
from ticklake.silver.inputs import InputHasher, SessionInputs, find_inputs, inputs_hash, listing_hash
from ticklake.silver.recipe import Recipe
from ticklake.silver.record import DateRecord, DateStatus, InputFile, Warmup

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
    """The dates of the version, ascending: those asked for (all dates with bronze rows when None), and those it has."""
    if asked is None:
        first = next(iter(recipe.manifest.tables.values()))
        asked = available_dates(lake.data_root, lake.relation(first), recipe.manifest.symbol)
    return sorted({*asked, *(date.fromisoformat(day) for day in known)})


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
