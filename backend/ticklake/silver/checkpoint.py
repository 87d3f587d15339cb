"""Frames between two stages, kept in a folder, so that a run can be stopped, looked at and resumed."""

from __future__ import annotations

import polars as pl

from ticklake.base.errors import NoDataError
from ticklake.files.atomic import inside, publish_file, safe_name, temp_beside
from ticklake.files.engines import source_of
from ticklake.files.place import Place, sorted_places
from ticklake.silver.frames import Frames

_SUFFIX = ".parquet"


def save_frames(folder: Place, stage: str, frames: Frames) -> Place:
    """Write every frame below `{folder}/{stage}`, replacing those of an earlier run; gives that folder."""
    place = inside(folder, safe_name(stage))
    for old in sorted_places(place.glob(f"*{_SUFFIX}")):
        old.unlink()
    for name, frame in frames.items():
        target = place / f"{safe_name(name)}{_SUFFIX}"
        temp = temp_beside(target)
        frame.collect().write_parquet(temp)
        publish_file(temp, target)
    return place


def load_frames(folder: Place, stage: str) -> dict[str, pl.LazyFrame]:
    """The frames that `save_frames` left after a stage.

    Raises:
        NoDataError: there are none.
    """
    place = inside(folder, safe_name(stage))
    files = sorted_places(place.glob(f"*{_SUFFIX}"))
    if not files:
        raise NoDataError(f"{place} holds no frames; run with --stop-at {stage} and the same --checkpoint first")
    return {file.name.removesuffix(_SUFFIX): pl.read_parquet(source_of(file), glob=False).lazy() for file in files}
