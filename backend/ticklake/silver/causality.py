"""The proof that no feature knows the future: rebuild with another future, and compare.

**Claim.** For a cut c, let f be the pipeline and X, Y inputs that are equal in every row with event time <= c. If f
knows nothing later, then f(X) and f(Y) have the same events at or before c, with the same features, bit for bit.
The certificate tries this with Y = X without the rows after c, and with Y = X with absurd values after c. The claim
holds for *any* inputs, so a causal pipeline is never accused, whatever X is.

**How many rebuilds.** A pipeline may remember everything since the start of the session. Then a rebuild whose future
begins at c can only judge events at or before c, and two cuts need two different futures: K cuts take K rebuilds
per variant, and no packing of cuts into fewer rebuilds is sound. What can be saved is the cost of each rebuild:

* Nothing after the cut is rebuilt but half an hour of absurd rows, longer than any window or horizon of the stages.
  What reaches further is seen by the other variant, where those rows are missing too.
* The K cuts are shared out over all sessions of a build (`share_cuts`), not drawn per session: the code is the same.
* Where a build has few sessions, X is a thinned session: every n-th row, but every row within 30 s of a cut, so that
  leaks of the shortest reach (the next row, the rest of a bucket) meet the full stream and those of long reach meet
  every hour. Thinning is fixed before the future is tampered with, so the claim covers it. `density_for` says how
  thin. Given the published events (`built`), one more rebuild with all rows is compared with them.

**Which cuts.** Drawn with a seed, one from each of K equally filled stretches of the events in time. Every other cut
is the time of an event itself: there, the very next row is already tampered with. The others fall between two
events.

Equal means: null like null, NaN like NaN, otherwise the same value (0.0 and -0.0 are the same value).
"""

from __future__ import annotations

import random
import time as timer
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import polars as pl

from ticklake.base.errors import CheckFailedError, TickLakeError, UsageError
from ticklake.schema.session import SessionWindow
from ticklake.silver.certificate import Certificate as Certificate
from ticklake.silver.certificate import Trial, Variant, Violation, make_certificate
from ticklake.silver.certificate import merge_certificates as merge_certificates
from ticklake.silver.frames import Frames
from ticklake.silver.tamper import tampered, thinned

CUTS: Final = 20
THREADS: Final = 2
_AFTER: Final = "__after"
_COST_SHARE: Final = 0.25  # of the build, for rows; as much again is left for what a rebuild costs without rows
_BETWEEN_NS: Final = 1_000_000_000

Run = Callable[[Frames], Frames]
"""The pipeline of one session, without label stages: input frames -> output frames."""


def share_cuts(dates: Sequence[str], cuts: int = CUTS, seed: int = 0) -> dict[str, int]:
    """How many of a build's cuts each date gets: equally many, the odd ones drawn; those with none are left out."""
    ordered = sorted(dates)
    if not ordered:
        return {}
    base, odd = divmod(cuts, len(ordered))
    lucky = set(random.Random(seed).sample(ordered, odd))  # noqa: S311 - a draw, not a secret
    return {date: base + (date in lucky) for date in ordered if base + (date in lucky)}


def density_for(sessions: int, cuts: int = CUTS) -> float:
    """Share of the rows that a rebuild may see, so that all rebuilds cost at most half of the build.

    Two variants of each cut rebuild half a session on average: together as many sessions as there are cuts.
    """
    return min(1.0, _COST_SHARE * sessions / max(cuts, 1))


def certify(
    run: Run,
    inputs: Frames,
    session: SessionWindow,
    *,
    primary: str = "events",
    features: Sequence[str],
    key: Sequence[str] = ("event_id",),
    time: str = "ts_event_ns",
    cuts: int = CUTS,
    seed: int = 0,
    density: float = 1.0,
    built: pl.DataFrame | None = None,
    threads: int = THREADS,
) -> Certificate:
    """Try the pipeline of one session with other futures.

    Args:
        run: the pipeline without label stages. Called about `2 * cuts` times, from several threads.
        inputs: input frames, by event time `ts_event_ns` (where null: `ts_recv_ns`).
        session: the trading day, for its name and the draw.
        primary: frame that is compared.
        features: its columns that are compared.
        key: its columns that tell events apart.
        time: its column of event time, ns UTC.
        cuts: how many cuts to draw; fewer when there are fewer events.
        seed: of the draw.
        density: share of the input rows to use, see `density_for`.
        threads: rebuilds at the same time; small ones leave the cores of one another idle.
        built: the primary frame that the build made of the same inputs; then one cut is also tried with all rows.

    Returns:
        the certificate of this session. Without any event nothing was compared, and it has not passed.

    Raises:
        UsageError: an input has no event time, or the primary frame lacks a column.
        CheckFailedError: two events have the same key.
    """
    started_s = timer.perf_counter()
    whole = dict(zip(inputs, pl.collect_all(list(inputs.values())), strict=True))
    judge = _Judge(run, str(session.date), primary, tuple(features), tuple(key), time)
    draw = random.Random(f"{seed}:{session.date}")  # noqa: S311 - a draw, not a secret
    some = whole if density >= 1 else thinned(whole, density)
    truth = judge.events({name: frame.lazy() for name, frame in some.items()})
    targets = _strata(truth[time].unique().sort().to_list(), cuts, draw)
    if density < 1 and targets:
        some = thinned(whole, density, targets)
        truth = judge.events({name: frame.lazy() for name, frame in some.items()})
    plan = [
        (truth, some, cut_ns, variant, min(density, 1.0))
        for cut_ns in _cut_times(truth[time].unique().sort().to_list(), targets, draw)
        for variant in Variant
    ]
    if built is not None and built.height:
        cut_ns = _strata(built[time].unique().sort().to_list(), 1, draw)[0]
        plan.append((judge.checked(built.lazy()), whole, cut_ns, Variant.ABSURD, 1.0))
    with ThreadPoolExecutor(max_workers=threads) as pool:
        outcomes = list(pool.map(lambda case: judge.try_cut(*case), plan))
    trials = tuple(trial for trial, _ in outcomes)
    violations = tuple(violation for _, found in outcomes for violation in found)
    return make_certificate(judge.features, trials, violations, timer.perf_counter() - started_s)


@dataclass(frozen=True, slots=True)
class _Judge:
    """Runs the pipeline and compares what it gives."""

    run: Run
    date: str
    primary: str
    features: tuple[str, ...]
    key: tuple[str, ...]
    time: str

    def events(self, inputs: Frames) -> pl.DataFrame:
        """What the pipeline gives: key, time and features."""
        frames = self.run(inputs)
        if self.primary not in frames:
            raise UsageError(f"the pipeline gives no frame {self.primary!r}, only {', '.join(frames)}; name another")
        return self.checked(frames[self.primary])

    def checked(self, frame: pl.LazyFrame) -> pl.DataFrame:
        """Key, time and features of the frame; the keys are unique."""
        names = list(dict.fromkeys((*self.key, self.time, *self.features)))
        missing = [name for name in names if name not in frame.collect_schema()]
        if missing:
            raise UsageError(f"frame {self.primary!r} has no column {', '.join(missing)}; compare columns that it has")
        rows = frame.select(names).collect()
        if rows.select(pl.struct(self.key).n_unique()).item() < rows.height:
            raise CheckFailedError(f"{self.date}: two events have the same {', '.join(self.key)}; make it unique")
        return rows

    def try_cut(
        self,
        truth: pl.DataFrame,
        inputs: Mapping[str, pl.DataFrame],
        cut_ns: int,
        variant: Variant,
        density: float,
    ) -> tuple[Trial, list[Violation]]:
        """Rebuild with another future after the cut, and tell what came of it."""
        before = truth.filter(pl.col(self.time) <= cut_ns)
        found: list[tuple[str, str, str, str]] = []
        other = tampered(inputs, cut_ns, variant)
        try:
            after = self.events(other).filter(pl.col(self.time) <= cut_ns)
        except (TickLakeError, pl.exceptions.PolarsError) as error:
            found.append(("", "", "the pipeline ran", f"it failed: {error}"))
        else:
            found += self._differences(before, after)
        trial = Trial(self.date, cut_ns, variant, density, before.height, len(found))
        return trial, [Violation(name, variant, 1, self.date, cut_ns, *change) for name, *change in found]

    def _differences(self, before: pl.DataFrame, after: pl.DataFrame) -> Iterator[tuple[str, str, str, str]]:
        """Column, first event, value before and after, of each column that differs."""
        gone = before.join(after, on=self.key, how="anti", maintain_order="left")
        new = after.join(before, on=self.key, how="anti", maintain_order="left")
        if gone.height:
            yield "", self._name(gone), "event", "no event"
        if new.height:
            yield "", self._name(new), "no event", "event"
        both = before.join(after, on=self.key, how="inner", suffix=_AFTER, maintain_order="left")
        compared = [name for name in dict.fromkeys((self.time, *self.features)) if name not in self.key]
        retyped = [name for name in compared if before.schema[name] != after.schema[name]]
        for name in retyped:
            yield name, "", f"type {before.schema[name]}", f"type {after.schema[name]}"
        same_type = [name for name in compared if name not in retyped]
        changed = both.select(pl.col(name).ne_missing(pl.col(name + _AFTER)).any() for name in same_type)
        for name in (name for name in same_type if changed[name][0]):
            first = both.filter(pl.col(name).ne_missing(pl.col(name + _AFTER))).head(1)
            yield name, self._name(first), repr(first[name][0]), repr(first[name + _AFTER][0])

    def _name(self, events: pl.DataFrame) -> str:
        return ", ".join(str(events[name][0]) for name in self.key)


def _strata(times: Sequence[int], cuts: int, draw: random.Random) -> list[int]:
    """One event time from each of `cuts` equally filled stretches; all of them when there are no more."""
    count = min(cuts, len(times))
    bounds = [number * len(times) // count for number in range(count + 1)] if count else []
    return [times[draw.randrange(low, high)] for low, high in pairwise(bounds)]


def _cut_times(times: Sequence[int], targets: Sequence[int], draw: random.Random) -> list[int]:
    """A cut near each target: in turns at an event, and between it and the next (at most 1 s later)."""
    found: dict[int, None] = {}
    for number, target in enumerate(targets):
        if not times:
            break
        place = min(range(len(times)), key=lambda index: abs(times[index] - target))
        until = times[place] + _BETWEEN_NS
        if place + 1 < len(times):
            until = min(until, times[place + 1])
        found[times[place] if number % 2 == 0 else draw.randrange(times[place], until)] = None
    return list(found)
