"""The proof that no feature knows the future: rebuild with another future, and compare.

**Claim.** For a cut c, let f be the pipeline and X, Y inputs that are equal in every row with event time <= c (time of
receipt, where the pipeline runs on that clock). If f knows nothing later, then f(X) and f(Y) have the same events at or
before c, with the same features, bit for bit.
The certificate tries this with Y = X without the rows after c, and with Y = X with absurd values after c. The claim
holds for *any* inputs, so a causal pipeline is never accused, whatever X is.

**How many rebuilds.** A pipeline may remember everything since the start of the session. Then a rebuild whose future
begins at c can only judge events at or before c, and two cuts need two different futures: K cuts take K rebuilds
per variant, and no packing of cuts into fewer rebuilds is sound. What can be saved is the cost of each rebuild:

* Nothing after the cut is rebuilt but half an hour of absurd rows, longer than any window or horizon of the stages.
  What reaches further is seen by the other variant, where those rows are missing too.
* The K cuts are shared out over all sessions of a build (`share_cuts`), not drawn per session: the code is the same.
* Where a build has few sessions, X is a thinned session: a share of its seconds, each whole, and every row within 15 s
  of a cut, so that leaks of the shortest reach (the next row, the rest of a bucket, a burst) meet the full stream and
  those of long reach meet every minute or two. What is more than an hour older than the session is context of the
  first input alone: an eighth of that share is kept of it, and none of the others. X is fixed before the future is
  tampered with, so the claim covers it. `density_for` says how thin.
* One rebuild with all rows before an early cut is compared with the published events (`all_rows`).

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
from functools import partial
from itertools import pairwise
from typing import Final

import polars as pl

from ticklake.base.errors import CheckFailedError, TickLakeError, UsageError
from ticklake.schema.session import SessionWindow
from ticklake.silver.certificate import Certificate as Certificate
from ticklake.silver.certificate import Trial, Variant, Violation, make_certificate
from ticklake.silver.frames import Frames
from ticklake.silver.tamper import NO_TIMES, Futures, absurd_after, thinned, times_of

CUTS: Final = 20
_THREADS: Final = 2
_AFTER: Final = "__after"
_ROWS_SHARE: Final = 0.08  # of the rows of a build, read by all rebuilds together
_EARLY_SHARE: Final = 0.1  # of the events: what comes before is read whole for the trial with all rows
_WARM_NS: Final = 3600 * 1_000_000_000
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
    """Share of the rows that a rebuild may see.

    Two variants of each cut rebuild half a session on average: together as many sessions as there are cuts. They see
    8 % of the rows of the build between them; most of the cost of a rebuild does not depend on rows.
    """
    return min(1.0, _ROWS_SHARE * sessions / max(cuts, 1))


def certify(
    run: Run,
    inputs: Frames,
    session: SessionWindow,
    *,
    primary: str = "events",
    features: Sequence[str],
    key: Sequence[str] = ("event_id",),
    time: str = "ts_event_ns",
    times: Mapping[str, str] = NO_TIMES,
    cuts: int = CUTS,
    seed: int = 0,
    density: float = 1.0,
    built: pl.DataFrame | None = None,
    all_rows: bool = False,
    piece: tuple[int, int] = (0, 1),
    threads: int | None = None,
) -> Certificate:
    """Try the pipeline of one session with other futures.

    Args:
        run: the pipeline without label stages. Called about `2 * cuts` times, from several threads.
        inputs: input frames.
        session: the trading day, for its name and the draw.
        primary: frame that is compared.
        features: its columns that are compared.
        key: its columns that tell events apart.
        time: its column of event time, ns UTC.
        times: input frame -> the column that says when a row was known; where left out as in `tamper.time_of`.
        cuts: how many cuts to draw; fewer when there are fewer events.
        seed: of the draw.
        density: share of the input rows to use, see `density_for`.
        built: the primary frame that the build made of the same inputs; cuts are drawn from its events then.
        all_rows: try one more cut, an early one, with every row before it, and compare with `built`.
        piece: which piece of the rebuilds to try (from 0), of how many; all pieces, in order, are the same rebuilds.
        threads: rebuilds at the same time; None for two, for one where Polars itself has one. Small ones leave the
            cores of one another idle.

    Returns:
        the certificate of this session, or its piece. Without any event nothing was compared, and it has not passed.

    Raises:
        UsageError: an input has no event time, or the primary frame lacks a column.
        CheckFailedError: two events have the same key.
    """
    started_s = timer.perf_counter()
    judge = _Judge(run, str(session.date), primary, tuple(features), tuple(key), time)
    draw = random.Random(f"{seed}:{session.date}")  # noqa: S311 - a draw, not a secret
    recent = inputs if density >= 1 else _recent(inputs, session, times)
    published = None if built is None else judge.checked(built.lazy())
    thin = partial(thinned, recent, density, context_until_ns=_warm_from(session), columns=times)
    known = published if published is not None else judge.events(Futures(thin(), times).truth())
    targets = _strata(_moments(known, time), cuts, draw)
    futures = Futures(thin(targets), times)
    truth = judge.events(futures.truth())
    plan = [
        partial(judge.try_cut, truth, partial(futures.at, cut_ns, variant), cut_ns, variant, min(density, 1.0))
        for cut_ns in _cut_times(_moments(truth, time), targets, draw)
        for variant in Variant
    ]
    if all_rows and published is not None and published.height:
        cut = _early_cut(_moments(published, time), draw)
        plan.append(
            partial(judge.try_cut, published, partial(absurd_after, inputs, cut, times), cut, Variant.ABSURD, 1.0)
        )
    number, pieces = piece
    plan = plan[number * len(plan) // pieces : (number + 1) * len(plan) // pieces]
    with ThreadPoolExecutor(threads or min(_THREADS, pl.thread_pool_size())) as pool:
        outcomes = list(pool.map(lambda trial: trial(), plan))
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
        schema = frame.collect_schema()
        missing = [name for name in names if name not in schema]
        if missing:
            raise UsageError(f"frame {self.primary!r} has no column {', '.join(missing)}; compare columns that it has")
        rows = frame.select(names).collect()
        if rows.select(pl.struct(self.key).n_unique()).item() < rows.height:
            raise CheckFailedError(f"{self.date}: two events have the same {', '.join(self.key)}; make it unique")
        return rows

    def try_cut(
        self,
        truth: pl.DataFrame,
        other: Callable[[], Frames],
        cut_ns: int,
        variant: Variant,
        density: float,
    ) -> tuple[Trial, list[Violation]]:
        """Rebuild with another future after the cut, and tell what came of it."""
        before = truth.filter(pl.col(self.time) <= cut_ns)
        found: list[tuple[str, str, str, str]] = []
        try:
            after = self.events(other()).filter(pl.col(self.time) <= cut_ns)
        except (TickLakeError, pl.exceptions.PolarsError) as error:
            found.append(("", "", "the pipeline ran", f"it failed: {error}"))
        else:
            found += self._differences(before, after)
        trial = Trial(self.date, cut_ns, variant, density, before.height, len(found))
        return trial, [Violation(name, variant, 1, self.date, cut_ns, *change) for name, *change in found]

    def _differences(self, before: pl.DataFrame, after: pl.DataFrame) -> Iterator[tuple[str, str, str, str]]:
        """Column, first event, value before and after, of each column that differs."""
        if before.schema == after.schema and before.equals(after):
            return
        gone = before.join(after, on=self.key, how="anti", maintain_order="left")
        new = after.join(before, on=self.key, how="anti", maintain_order="left")
        if gone.height:
            yield "", self._name(gone), "event", "no event"
        if new.height:
            yield "", self._name(new), "no event", "event"
        both = before.join(after, on=self.key, how="inner", suffix=_AFTER, maintain_order="left")
        compared = [name for name in dict.fromkeys((self.time, *self.features)) if name not in self.key]
        old, new_types = before.schema, after.schema
        retyped = [name for name in compared if old[name] != new_types[name]]
        for name in retyped:
            yield name, "", f"type {old[name]}", f"type {new_types[name]}"
        same_type = [name for name in compared if name not in retyped]
        changed = both.select(pl.col(name).ne_missing(pl.col(name + _AFTER)).any() for name in same_type)
        for name in (name for name, is_changed in changed.row(0, named=True).items() if is_changed):
            first = both.filter(pl.col(name).ne_missing(pl.col(name + _AFTER))).head(1)
            yield name, self._name(first), repr(first[name][0]), repr(first[name + _AFTER][0])

    def _name(self, events: pl.DataFrame) -> str:
        return ", ".join(str(events[name][0]) for name in self.key)


def _recent(inputs: Frames, session: SessionWindow, columns: Mapping[str, str]) -> Frames:
    """The first input as it is, of the others what is at most an hour older than the session."""
    first, *others = inputs
    since_ns, times = _warm_from(session), times_of(inputs, columns)
    return {first: inputs[first]} | {name: inputs[name].filter(times[name] >= since_ns) for name in others}


def _warm_from(session: SessionWindow) -> int:
    return session.start_ns - _WARM_NS


def _moments(events: pl.DataFrame, time: str) -> list[int]:
    """The distinct event times, ascending."""
    return events[time].unique().sort().to_list()


def _strata(times: Sequence[int], cuts: int, draw: random.Random) -> list[int]:
    """One event time from each of `cuts` equally filled stretches; all of them when there are no more."""
    count = min(cuts, len(times))
    bounds = [number * len(times) // count for number in range(count + 1)] if count else []
    return [times[draw.randrange(low, high)] for low, high in pairwise(bounds)]


def _early_cut(times: Sequence[int], draw: random.Random) -> int:
    """One of the first event times: what comes before is read whole."""
    return _strata(times[: max(1, round(len(times) * _EARLY_SHARE))], 1, draw)[0]


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
