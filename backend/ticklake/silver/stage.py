"""What a stage of a pipeline is: a pure function on frames, with what it needs, gives and must look back on. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
import polars as pl

from ticklake.base.errors import UsageError
from ticklake.silver.frames import Frames as Frames
from ticklake.silver.frames import missing_columns

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow


class Role(StrEnum):
    """What a column is for. A label knows the future and never feeds a feature; `info` is context, neither of both."""

    KEY = "key"
    FEATURE = "feature"
    LABEL = "label"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column that a stage gives.

    Attributes:
        name: of the column.
        dtype: Polars type.
        unit: such as `points`, `ns`, `contracts`, `ratio`; "" for words and flags.
        role: key, feature, label or info.
        doc: what it is, with the source of its formula.
        null: whether it may be null.
        low: smallest allowed value, included; None when there is no bound.
        high: largest allowed value, included; None when there is no bound.
        carries: frame whose column of the same name it carries on, and whose unit it has then; "" for a column of its
            own.
    """

    name: str
    dtype: pl.DataType | type[pl.DataType]
    unit: str
    role: Role
    doc: str
    null: bool = True
    low: float | None = None
    high: float | None = None
    carries: str = ""


@dataclass(frozen=True, slots=True)
class LookBack:
    """How much earlier data a stage must see: so many ns before the session, and so many earlier sessions."""

    ns: int = 0
    sessions: int = 0


class StageParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every stage's parameters: frozen, unknown names refused, every field with its default."""


P = TypeVar("P", bound=StageParameters)
Needs = Mapping[str, tuple[str, ...]]
Gives = Mapping[str, tuple[ColumnSpec, ...]]
Times = Mapping[str, str]


def no_lookback(parameters: StageParameters) -> LookBack:
    """The look-back of a stage that reads the session alone."""
    del parameters
    return LookBack()


@dataclass(frozen=True, slots=True)
class Stage(Generic[P]):
    """One named step of a pipeline.

    Attributes:
        name: unique within a pipeline.
        run: `run(frames, parameters, session)`; gets all frames so far, returns those it makes or replaces. Pure.
        needs: frame -> columns it reads; or a function of the parameters that says so.
        gives: frame -> columns it adds (all of them for a new frame); or a function of the parameters that says so.
        parameters: type of its parameters.
        lookback: how much earlier data it must see.
        knows_later: whether what it gives uses later rows: label stages only.
        times: input frame -> the column by which its rows are known, where that is not the time of the event (of
            receipt, where that is null); or a function of the parameters that says so. The certificate cuts by it.
    """

    name: str
    run: Callable[[Frames, P, SessionWindow], Frames]
    needs: Needs | Callable[[P], Needs]
    gives: Gives | Callable[[P], Gives]
    parameters: type[P]
    lookback: Callable[[P], LookBack] = no_lookback
    knows_later: bool = False
    times: Times | Callable[[P], Times] = field(default_factory=dict)

    def needs_with(self, parameters: P) -> Needs:
        """Frame -> columns the stage reads under these parameters."""
        return self.needs(parameters) if callable(self.needs) else self.needs

    def gives_with(self, parameters: P) -> Gives:
        """Frame -> columns the stage adds under these parameters."""
        return self.gives(parameters) if callable(self.gives) else self.gives

    def times_with(self, parameters: P) -> Times:
        """Input frame -> the column by which its rows are known, under these parameters."""
        return self.times(parameters) if callable(self.times) else self.times


AnyStage = Stage[Any]


def check_needs(frames: Frames, stage: AnyStage, parameters: StageParameters, others: Sequence[AnyStage] = ()) -> None:
    """Refuse to run a stage whose frames or columns are not there.

    Args:
        frames: what there is.
        stage: the stage that is about to run.
        parameters: its parameters.
        others: stages of the pipeline, searched for who could give what is missing.

    Raises:
        UsageError: names the stage, the frame, the missing columns and the stages that give them.
    """
    for name, wanted in stage.needs_with(parameters).items():
        missing = missing_columns(frames, name, wanted)
        if not missing and name in frames:
            continue
        what = f"columns {', '.join(missing)} of frame {name!r}" if name in frames else f"frame {name!r}"
        givers = [other.name for other in others if _may_give(other, name, missing)]
        hint = f"run {' or '.join(givers)} before it" if givers else "no stage of the pipeline gives them; add one"
        raise UsageError(f"stage {stage.name!r} needs {what}, which is not there; {hint}")


def check_gives(
    made: Mapping[str, pl.LazyFrame] | Mapping[str, pl.DataFrame],
    stage: AnyStage,
    parameters: StageParameters,
    *,
    only: Container[str] | None = None,
) -> None:
    """Refuse what a stage returned when it is not what it declares.

    Args:
        made: what it returned.
        stage: which declares it.
        parameters: of the stage.
        only: look at these frames only; at all declared ones when None.

    Raises:
        UsageError: a declared frame or column is missing, or has another type.
    """
    for name, specs in stage.gives_with(parameters).items():
        if only is not None and name not in only:
            continue
        if name not in made:
            raise UsageError(f"stage {stage.name!r} declares frame {name!r} and did not return it; return it")
        schema = made[name].collect_schema()
        for spec in specs:
            if spec.name not in schema:
                raise UsageError(
                    f"stage {stage.name!r} declares {name}.{spec.name} and did not make it; add the column"
                )
            if schema[spec.name] != spec.dtype:
                raise UsageError(
                    f"stage {stage.name!r} declares {name}.{spec.name} as {spec.dtype} and made {schema[spec.name]}; "
                    "cast it, or change the declaration"
                )


def _may_give(stage: AnyStage, frame: str, columns: Sequence[str]) -> bool:
    given = {spec.name for spec in stage.gives_with(stage.parameters()).get(frame, ())}
    return bool(given) and (not columns or not given.isdisjoint(columns))
