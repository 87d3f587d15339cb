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
* Other frames than the events (`others`) are tried at the last cut of a session, whose past is the longest.
* One rebuild with every row before its cut is compared with the published events (`certify_published`): it sees what
  shows in the full stream only, such as a threshold on the volume of a minute.

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
from itertools import pairwise, product
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
_WARM_NS: Final = 3600 * 1_000_000_000
_BETWEEN_NS: Final = 1_000_000_000

Run = Callable[[Frames], Frames]
"""The pipeline of one session, without label stages: input frames -> output frames."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A frame that a pipeline gives, and which of its columns must not know the future.

    Attributes:
        frame: its name.
        features: columns that are compared.
        key: columns that tell rows apart.
        time: column of event time, ns UTC: a row at or before a cut must not change.
    """

    frame: str
    features: tuple[str, ...]
    key: tuple[str, ...]
    time: str = "ts_event_ns"

    @property
    def columns(self) -> list[str]:
        """All that is looked at, each once."""
        return list(dict.fromkeys((*self.key, self.time, *self.features)))

    def name(self, rows: pl.DataFrame) -> str:
        """The key of the first row."""
        return ", ".join(str(rows[column][0]) for column in self.key)


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
    others: Sequence[Watched] = (),
    whole: Run | None = None,
    times: Mapping[str, str] = NO_TIMES,
    cuts: int = CUTS,
    seed: int = 0,
    density: float = 1.0,
    built: pl.DataFrame | None = None,
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
        others: more frames that must not know the future either; they are tried at the last cut.
        whole: the pipeline that gives them, too; `run` when None.
        times: input frame -> the column that says when a row was known; where left out as in `tamper.time_of`.
        cuts: how many cuts to draw; fewer when there are fewer events.
        seed: of the draw.
        density: share of the input rows to use, see `density_for`.
        built: the primary frame that the build made of the same inputs; cuts are drawn from its events then.
        threads: rebuilds at the same time; None for two, for one where Polars itself has one. Small ones leave the
            cores of one another idle.

    Returns:
        the certificate of this session. Without any event nothing was compared, and it has not passed.

    Raises:
        UsageError: an input has no event time, or the primary frame lacks a column.
        CheckFailedError: two events have the same key.
    """
    started_s = timer.perf_counter()
    first = Watched(primary, tuple(features), tuple(key), time)
    comparison = _Comparison(run, str(session.date), (first,))
    full_comparison = _Comparison(whole or run, str(session.date), (first, *others))
    draw = random.Random(f"{seed}:{session.date}")  # noqa: S311 - a draw, not a secret
    recent = inputs if density >= 1 else _recent(inputs, session, times)
    published = None if built is None else comparison.checked(built.lazy(), first)
    thin = partial(thinned, recent, density, context_until_ns=_warm_from(session), columns=times)
    known = published if published is not None else comparison.rows(Futures(thin(), times).truth())[primary]
    targets = _strata(_moments(known, time), cuts, draw)
    futures = Futures(thin(targets), times)
    truth = full_comparison.rows(futures.truth())
    found = _cut_times(_moments(truth[primary], time), targets, draw)

    def trial(cut_ns: int, variant: Variant) -> tuple[Trial, list[Violation]]:
        which = full_comparison if cut_ns == found[-1] else comparison
        return which.try_cut(truth, partial(futures.at, cut_ns, variant), cut_ns, variant, min(density, 1.0))

    with ThreadPoolExecutor(threads or min(_THREADS, pl.thread_pool_size())) as pool:
        outcomes = list(pool.map(trial, *zip(*product(found, Variant), strict=True))) if found else []
    return full_comparison.summed_up(outcomes, timer.perf_counter() - started_s)


def certify_published(
    run: Run,
    inputs: Frames,
    session: SessionWindow,
    built: pl.DataFrame,
    *,
    primary: str = "events",
    features: Sequence[str],
    key: Sequence[str] = ("event_id",),
    time: str = "ts_event_ns",
    times: Mapping[str, str] = NO_TIMES,
    seed: int = 0,
) -> Certificate:
    """Try the published events of one session: a rebuild with every row before a cut and absurd ones after it.

    Args:
        run: see `certify`.
        inputs: see `certify`.
        session: see `certify`.
        built: the primary frame that the build made of the inputs.
        primary: see `certify`.
        features: see `certify`.
        key: see `certify`.
        time: see `certify`.
        times: see `certify`.
        seed: see `certify`.

    Returns:
        a certificate of one trial; of none where there is no event.

    Raises:
        UsageError: as in `certify`.
        CheckFailedError: two events have the same key.
    """
    started_s = timer.perf_counter()
    watched = Watched(primary, tuple(features), tuple(key), time)
    comparison = _Comparison(run, str(session.date), (watched,))
    published = comparison.checked(built.lazy(), watched)
    moments = _moments(published, time)
    draw = random.Random(f"{seed}:{session.date}:published")  # noqa: S311 - a draw, not a secret
    outcomes = [
        comparison.try_cut(
            {primary: published}, partial(absurd_after, inputs, cut_ns, times), cut_ns, Variant.ABSURD, 1.0
        )
        for cut_ns in _strata(moments, 1, draw)
    ]
    return comparison.summed_up(outcomes, timer.perf_counter() - started_s)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Runs the pipeline and compares what it gives. The first watched frame is the primary one."""

    run: Run
    date: str
    watched: tuple[Watched, ...]

    def rows(self, inputs: Frames) -> dict[str, pl.DataFrame]:
        """What the pipeline gives: of each watched frame key, time and features."""
        frames = self.run(inputs)
        for watched in self.watched:
            if watched.frame not in frames:
                raise UsageError(
                    f"the pipeline gives no frame {watched.frame!r}, only {', '.join(frames)}; name another"
                )
        return {watched.frame: self.checked(frames[watched.frame], watched) for watched in self.watched}

    def checked(self, frame: pl.LazyFrame, watched: Watched) -> pl.DataFrame:
        """Key, time and features of the frame; the keys are unique, and every row has its time."""
        schema = frame.collect_schema()
        missing = [name for name in watched.columns if name not in schema]
        if missing:
            raise UsageError(f"frame {watched.frame!r} has no column {', '.join(missing)}; compare columns that it has")
        if not schema[watched.time].is_integer():
            raise UsageError(f"frame {watched.frame!r} has {watched.time} as {schema[watched.time]}; make it whole ns")
        rows = frame.select(watched.columns).collect(engine="in-memory")
        if rows[watched.time].has_nulls():
            raise CheckFailedError(f"{self.date}: a row of {watched.frame} has no {watched.time}; give each its time")
        if rows.select(pl.struct(watched.key).n_unique()).item() < rows.height:
            key = ", ".join(watched.key)
            raise CheckFailedError(f"{self.date}: two rows of {watched.frame} have the same {key}; make it unique")
        return rows

    def try_cut(
        self,
        truth: Mapping[str, pl.DataFrame],
        other: Callable[[], Frames],
        cut_ns: int,
        variant: Variant,
        density: float,
    ) -> tuple[Trial, list[Violation]]:
        """Rebuild with another future after the cut, and tell what came of it."""
        before = {each.frame: truth[each.frame].filter(pl.col(each.time) <= cut_ns) for each in self.watched}
        found: list[tuple[str, str, str, str]] = []
        try:
            after = self.rows(other())
        except (TickLakeError, pl.exceptions.PolarsError) as error:
            found.append(("", "", "the pipeline ran", f"it failed: {error}"))
        else:
            for each in self.watched:
                now = after[each.frame].filter(pl.col(each.time) <= cut_ns)
                differences = self._differences(before[each.frame], now, each)
                found += [(self._title(each, name), row, was, became) for name, row, was, became in differences]
        events = before[self.watched[0].frame].height
        trial = Trial(self.date, cut_ns, variant, density, events, len(found))
        return trial, [Violation(name, variant, 1, self.date, cut_ns, *change) for name, *change in found]

    def summed_up(self, outcomes: Sequence[tuple[Trial, list[Violation]]], seconds: float) -> Certificate:
        """The certificate of all that was tried."""
        columns = tuple(self._title(each, name) for each in self.watched for name in each.features)
        trials = tuple(trial for trial, _ in outcomes)
        violations = tuple(violation for _, found in outcomes for violation in found)
        return make_certificate(columns, trials, violations, seconds)

    def _title(self, watched: Watched, column: str) -> str:
        if watched == self.watched[0]:
            return column
        return f"{watched.frame}.{column}" if column else watched.frame

    @staticmethod
    def _differences(
        before: pl.DataFrame, after: pl.DataFrame, watched: Watched
    ) -> Iterator[tuple[str, str, str, str]]:
        """Column, first row, value before and after, of each column that differs; "" when a row came or went."""
        if before.schema == after.schema and before.equals(after):
            return
        gone = before.join(after, on=watched.key, how="anti", maintain_order="left")
        new = after.join(before, on=watched.key, how="anti", maintain_order="left")
        if gone.height:
            yield "", watched.name(gone), "event", "no event"
        if new.height:
            yield "", watched.name(new), "no event", "event"
        both = before.join(after, on=watched.key, how="inner", suffix=_AFTER, maintain_order="left")
        compared = [name for name in watched.columns if name not in watched.key]
        old, new_types = before.schema, after.schema
        retyped = [name for name in compared if old[name] != new_types[name]]
        for name in retyped:
            yield name, "", f"type {old[name]}", f"type {new_types[name]}"
        same_type = [name for name in compared if name not in retyped]
        changed = both.select(pl.col(name).ne_missing(pl.col(name + _AFTER)).any() for name in same_type)
        for name in (name for name, is_changed in changed.row(0, named=True).items() if is_changed):
            first = both.filter(pl.col(name).ne_missing(pl.col(name + _AFTER))).head(1)
            yield name, watched.name(first), repr(first[name][0]), repr(first[name + _AFTER][0])


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
