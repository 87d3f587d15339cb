"""An ordered list of stages, and one session's run through it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ticklake.base.errors import TickLakeError, UsageError
from ticklake.base.words import names_near
from ticklake.silver.frames import Frames, columns_of
from ticklake.silver.stage import AnyStage, ColumnSpec, LookBack, Role, StageParameters, check_gives, check_needs

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow

PRIMARY: Final = "events"
OUTPUTS: Final[Mapping[str, str]] = {PRIMARY: "signals", "state": "state", "episodes": "episodes"}
"""Frame -> name of its file, without suffix."""

INPUT_PREFIX: Final = "bronze_"
"""Frames with names like this come from the lake; every other frame is made by a stage."""

Parameters = Mapping[str, StageParameters]
"""Stage name -> its parameters."""

Observer = Callable[[AnyStage, Mapping[str, pl.DataFrame]], None]
"""Called after each stage with what it made."""


class StageFailedError(TickLakeError):
    """A stage broke on this session's data. The text names the stage; repair it or its parameters, then build again."""


@dataclass(frozen=True, slots=True)
class SecondPass:
    """What is done to one output frame once all dates of a version exist, knowing earlier dates only.

    Attributes:
        stage: whose parameters it takes.
        frame: which output frame it rewrites; same rows, same order.
        statistics: `statistics(earlier, parameters)`; `earlier` are that frame of the earlier dates, ascending.
        apply: `apply(frame, statistics, parameters)`; applying it twice changes nothing.
    """

    stage: str
    frame: str
    statistics: Callable[[Sequence[pl.LazyFrame], Any], pl.DataFrame]
    apply: Callable[[pl.LazyFrame, pl.DataFrame, Any], pl.LazyFrame]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages in their order, and what they are usually fed with.

    Attributes:
        name: such as `es_levels`.
        doc: what it makes, in one line.
        stages: in order; names are unique.
        tables: input frame -> bronze table, unless the manifest says otherwise.
        calendar: name of the session calendar, unless the manifest says otherwise.
        symbol: instrument root, unless the manifest says otherwise.
        second_pass: what follows when all dates exist; None for nothing.
    """

    name: str
    doc: str
    stages: tuple[AnyStage, ...]
    tables: Mapping[str, str]
    calendar: str
    symbol: str
    second_pass: SecondPass | None = None

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"pipeline {self.name!r} has two stages named {twice[0]!r}; rename one")

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages, in order."""
        return tuple(stage.name for stage in self.stages)

    def position(self, name: str) -> int:
        """Where a stage stands, from 0.

        Raises:
            UsageError: there is no such stage.
        """
        if name not in self.stage_names:
            raise UsageError(f"pipeline {self.name!r} has no stage {name!r}; it has {', '.join(self.stage_names)}")
        return self.stage_names.index(name)

    def with_stages(self, stages: Iterable[AnyStage]) -> Pipeline:
        """The same pipeline with other stages; the second pass stays only if its stage does."""
        kept = tuple(stages)
        second = self.second_pass
        if second is not None and second.stage not in {stage.name for stage in kept}:
            second = None
        return replace(self, stages=kept, second_pass=second)


def default_parameters(pipeline: Pipeline) -> dict[str, StageParameters]:
    """Every stage's parameters with their defaults."""
    return {stage.name: stage.parameters() for stage in pipeline.stages}


def lookback_of(pipeline: Pipeline, parameters: Parameters) -> LookBack:
    """The largest look-back of the stages, in ns and in sessions."""
    backs = [stage.lookback(parameters[stage.name]) for stage in pipeline.stages]
    return LookBack(max((back.ns for back in backs), default=0), max((back.sessions for back in backs), default=0))


def input_columns(pipeline: Pipeline, parameters: Parameters) -> dict[str, tuple[str, ...]]:
    """Input frame -> the columns of it that any stage reads, in order of first need."""
    needed: dict[str, dict[str, None]] = {}
    for stage in pipeline.stages:
        for frame, columns in stage.needs_with(parameters[stage.name]).items():
            if frame.startswith(INPUT_PREFIX):
                needed.setdefault(frame, {}).update(dict.fromkeys(columns))
    return {frame: tuple(columns) for frame, columns in needed.items()}


def input_times(pipeline: Pipeline, parameters: Parameters) -> dict[str, str]:
    """Input frame -> the column by which its rows are known, for the frames of which a stage says so."""
    return {
        frame: column for stage in pipeline.stages for frame, column in stage.times_with(parameters[stage.name]).items()
    }


def columns_given(pipeline: Pipeline, parameters: Parameters) -> dict[str, dict[str, ColumnSpec]]:
    """Frame -> column -> its declaration, in the order of the stages; a later declaration replaces an earlier."""
    given: dict[str, dict[str, ColumnSpec]] = {}
    for stage in pipeline.stages:
        for frame, specs in stage.gives_with(parameters[stage.name]).items():
            given.setdefault(frame, {}).update({spec.name: _with_unit(spec, given) for spec in specs})
    return given


def _with_unit(spec: ColumnSpec, given: Mapping[str, Mapping[str, ColumnSpec]]) -> ColumnSpec:
    origin = given.get(spec.carries, {}).get(spec.name)
    return spec if origin is None else replace(spec, unit=origin.unit)


def output_columns(pipeline: Pipeline, parameters: Parameters) -> dict[str, tuple[ColumnSpec, ...]]:
    """Output file (without suffix) -> its declared columns, in order."""
    given = columns_given(pipeline, parameters)
    return {file: tuple(given[frame].values()) for frame, file in OUTPUTS.items() if frame in given}


def check_order(pipeline: Pipeline, parameters: Parameters) -> None:
    """Refuse a pipeline whose declarations do not fit, before any row is read.

    Raises:
        UsageError: a stage needs what no earlier stage gives, a feature knows later rows or is made from what does, or
            no stage makes events.
    """
    known: dict[str, dict[str, ColumnSpec]] = {}
    later: set[tuple[str, str]] = set()  # frame and column of what knows later rows
    for stage in pipeline.stages:
        own = parameters[stage.name]
        needs = stage.needs_with(own)
        for frame, column in stage.times_with(own).items():
            if column not in needs.get(frame, ()):
                raise UsageError(
                    f"stage {stage.name!r} of {pipeline.name!r} tells the time of {frame} by {column}, which it does "
                    "not read; add it to what the stage needs"
                )
        for frame, columns in needs.items():
            if frame.startswith(INPUT_PREFIX):
                continue
            missing = [column for column in columns if column not in known.get(frame, {})]
            if missing or frame not in known:
                what = f"columns {', '.join(missing)} of frame {frame!r}" if missing else f"frame {frame!r}"
                raise UsageError(
                    f"stage {stage.name!r} of {pipeline.name!r} needs {what}, which no earlier stage gives; "
                    f"{_who_gives(pipeline, parameters, frame, missing) or _what_there_is(known, frame, missing)}"
                )
            _refuse_later_into_feature(stage, own, frame, [column for column in columns if (frame, column) in later])
        for frame, specs in stage.gives_with(own).items():
            known.setdefault(frame, {}).update({spec.name: spec for spec in specs})
            given = {(frame, spec.name) for spec in specs}
            labels = {(frame, spec.name) for spec in specs if spec.role is Role.LABEL}
            later = later - given | (given if stage.knows_later else labels)
        _refuse_feature_that_knows_later(stage, own)
    if PRIMARY not in known:
        raise UsageError(f"no stage of {pipeline.name!r} gives the frame {PRIMARY!r}; a pipeline must make events")


def run_pipeline(
    pipeline: Pipeline,
    inputs: Frames,
    parameters: Parameters,
    session: SessionWindow,
    *,
    stop_at: str | None = None,
    resume_after: str | None = None,
    observe: Observer | None = None,
) -> dict[str, pl.LazyFrame]:
    """Run one session through the stages.

    Each stage's frames are computed before the next stage starts, all at once, so that nothing is computed twice; a
    frame that no later stage needs is dropped (and not even computed, unless somebody observes).

    Args:
        pipeline: the stages.
        inputs: input frames; or, with `resume_after`, what an earlier run left after that stage.
        parameters: of every stage.
        session: the trading day.
        stop_at: last stage to run; the end when None.
        resume_after: stage whose result `inputs` is; the start when None.
        observe: sees what each stage made.

    Returns:
        at the end the output frames; after `stop_at` every frame that later stages need, and the outputs so far.

    Raises:
        UsageError: a stage lacks what it needs, or breaks its declaration; or there is no such stage.
        StageFailedError: a stage broke on the data.
    """
    first = 0 if resume_after is None else pipeline.position(resume_after) + 1
    last = len(pipeline.stages) - 1 if stop_at is None else pipeline.position(stop_at)
    if last < first:
        what = f"no stage follows {resume_after!r}" if stop_at is None else f"{stop_at!r} is not after {resume_after!r}"
        raise UsageError(f"{what}; resume after an earlier stage")
    frames = dict(inputs)
    columns = {name: frozenset(columns_of(frame)) for name, frame in frames.items()}
    for place in range(first, last + 1):
        stage = pipeline.stages[place]
        own = parameters[stage.name]
        wanted = _wanted(pipeline.stages[place + 1 :], parameters)
        if not _has_needs(columns, stage, own):
            check_needs(frames, stage, own, pipeline.stages)
        made = _run_stage(stage, frames, own, session, None if observe is not None else wanted)
        due = frozenset(name for name in stage.gives_with(own) if observe is not None or name in wanted)
        if not _has_gives(made, stage, own, due):
            check_gives(made, stage, own, only=due)
        columns.update({name: frozenset(frame.columns) for name, frame in made.items()})
        if observe is not None:
            observe(stage, made)
        frames.update({name: frame.lazy() for name, frame in made.items()})
        frames = {name: frame for name, frame in frames.items() if name in wanted}
    return frames


def _has_needs(columns: Mapping[str, frozenset[str]], stage: AnyStage, own: StageParameters) -> bool:
    """Whether all is there that the stage needs: `check_needs` without a word, and without asking every frame again."""
    return all(name in columns and columns[name].issuperset(wanted) for name, wanted in stage.needs_with(own).items())


def _has_gives(made: Mapping[str, pl.DataFrame], stage: AnyStage, own: StageParameters, due: frozenset[str]) -> bool:
    """Whether the frames that are due are as declared: `check_gives` without a word, and without a schema of each."""
    if not due <= made.keys():
        return False
    declared = stage.gives_with(own)
    for name in due:
        types = dict(zip(made[name].columns, made[name].dtypes, strict=True))
        if any(types.get(spec.name) != spec.dtype for spec in declared[name]):
            return False
    return True


def _run_stage(
    stage: AnyStage, frames: Frames, own: StageParameters, session: SessionWindow, wanted: frozenset[str] | None
) -> dict[str, pl.DataFrame]:
    try:
        made = _frames_of(stage, stage.run(frames, own, session))
        kept = {name: frame for name, frame in made.items() if wanted is None or name in wanted}
        reads_files = any(name.startswith(INPUT_PREFIX) for name in stage.needs_with(own))
        collected = pl.collect_all(list(kept.values()), engine="auto" if reads_files else "in-memory")
        return dict(zip(kept, collected, strict=True))
    except TickLakeError:
        raise
    except (Exception, SystemExit) as error:  # a stage that ends the program must not end it as if all were well
        raise StageFailedError(
            f"stage {stage.name!r} failed on {session.date}: {type(error).__name__}: {error}; "
            "look at what it was given with `ticklake silver inspect --stop-at`"
        ) from error


def _frames_of(stage: AnyStage, made: object) -> Mapping[str, pl.LazyFrame]:
    if isinstance(made, Mapping):
        return {name: frame.lazy() for name, frame in made.items()}
    raise UsageError(f"stage {stage.name!r} returned {type(made).__name__}; return a dict of the frames it makes")


def _wanted(later: Sequence[AnyStage], parameters: Parameters) -> frozenset[str]:
    needed = {frame for stage in later for frame in stage.needs_with(parameters[stage.name])}
    return frozenset(needed | set(OUTPUTS))


def _refuse_later_into_feature(stage: AnyStage, own: StageParameters, frame: str, later: Sequence[str]) -> None:
    features = _features(stage, own)
    if later and features:
        raise UsageError(
            f"stage {stage.name!r} makes feature {features[0]!r} and reads label {frame}.{later[0]}: a label knows "
            "the future; make the feature from earlier columns"
        )


def _refuse_feature_that_knows_later(stage: AnyStage, own: StageParameters) -> None:
    features = _features(stage, own)
    if stage.knows_later and features:
        raise UsageError(
            f"stage {stage.name!r} knows later rows and makes feature {features[0]!r}; declare it as a label, or "
            "make it in a stage of its own without `knows_later`"
        )


def _features(stage: AnyStage, own: StageParameters) -> list[str]:
    return [spec.name for specs in stage.gives_with(own).values() for spec in specs if spec.role is Role.FEATURE]


def _who_gives(pipeline: Pipeline, parameters: Parameters, frame: str, columns: Sequence[str]) -> str:
    givers = [
        stage.name
        for stage in pipeline.stages
        for specs in [stage.gives_with(parameters[stage.name]).get(frame, ())]
        if specs and (not columns or {spec.name for spec in specs} & set(columns))
    ]
    return f"put {' or '.join(givers)} before it" if givers else ""


def _what_there_is(known: Mapping[str, Iterable[str]], frame: str, columns: Sequence[str]) -> str:
    if frame not in known:
        return f"of frames {names_near(frame, known)}"
    return f"of columns {names_near(columns[0], known[frame])}"
