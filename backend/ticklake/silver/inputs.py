"""What one session is made from: its bronze rows with their look-back, and the files they lie in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import polars as pl
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.base.errors import CorruptError, UsageError
from ticklake.catalog.artifact_ref import hash_file
from ticklake.files.engines import footer_source
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.files.side_by_side import REQUESTS_MAX, side_by_side
from ticklake.readers.footer import find_culprit, name_the_culprit
from ticklake.readers.lake import Lake
from ticklake.readers.listing import DataFile, list_files
from ticklake.readers.query import Selection, TimeRange
from ticklake.readers.scan import scan
from ticklake.schema.session import SessionWindow, previous_sessions
from ticklake.silver.pipeline import input_columns, lookback_of
from ticklake.silver.published import size_and_hash
from ticklake.silver.recipe import Recipe
from ticklake.silver.record import InputFile, Warmup


@dataclass(frozen=True, slots=True)
class SessionInputs:
    """Where a session's rows lie.

    Attributes:
        session: the trading day.
        first_ns: earliest event time that the stages may see, ns UTC.
        files: input frame -> its bronze files, in order of their paths.
        warmup: how much of the look-back the lake has.
    """

    session: SessionWindow
    first_ns: int
    files: Mapping[str, tuple[DataFile, ...]]
    warmup: Warmup

    @property
    def listed(self) -> list[tuple[str, int]]:
        """Path and bytes of every file, each once, in order of paths."""
        return sorted({(file.path, file.size_bytes) for files in self.files.values() for file in files})

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(size_bytes for _, size_bytes in self.listed)


def find_inputs(lake: Lake, recipe: Recipe, session: SessionWindow) -> SessionInputs:
    """Look for the files of a session and its look-back; reads no row.

    Raises:
        UsageError: a table of the manifest is unknown, or has no such instrument partition.
    """
    back = lookback_of(recipe.pipeline, recipe.parameters)
    earlier = previous_sessions(session.calendar, session.date, back.sessions) if back.sessions else []
    first_ns = min([session.start_ns - back.ns, *(window.start_ns for window in earlier)])
    files = {name: _files(lake, recipe, name, first_ns, session.end_ns) for name in _frames(recipe)}
    found = sum(any(_files(lake, recipe, name, window.start_ns, window.end_ns) for name in files) for window in earlier)
    return SessionInputs(session, first_ns, files, Warmup(back.sessions, found, first_ns))


class InputHasher:
    """What bronze files hold, each read once: the look-backs of neighbouring sessions share most of them.

    In a bucket the hash is that which was noted with an object when it was stored; its bytes are read when there is
    none.
    """

    def __init__(self, root: Place, sessions: Iterable[SessionInputs]) -> None:
        """Read all bytes of local files, as many at the same time as there are cores.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        paths = list(dict.fromkeys(path for inputs in sessions for path, _ in inputs.listed))
        at_once = REQUESTS_MAX if isinstance(root, ObjectPath) else len(psutil.Process().cpu_affinity())
        self._found = dict(zip(paths, side_by_side(partial(_read, root), paths, at_once=at_once), strict=True))

    def hash(self, inputs: SessionInputs) -> tuple[InputFile, ...]:
        """Every file of one of the sessions once, in order of paths: rows, bytes and sha256.

        Raises:
            CorruptError: a file cannot be read.
        """
        files = [self._found[path] for path, _ in inputs.listed]
        if damage := next((file for file in files if isinstance(file, CorruptError)), None):
            raise damage
        return tuple(file for file in files if isinstance(file, InputFile))


def inputs_hash(inputs: tuple[InputFile, ...]) -> str:
    """sha256 of the files' paths and hashes."""
    return hashlib.sha256("".join(f"{file.path}\0{file.sha256}\n" for file in inputs).encode()).hexdigest()


def listing_hash(inputs: SessionInputs) -> str:
    """sha256 of paths and sizes: the same as long as nobody adds, merges or removes a file. Reads no file."""
    return hashlib.sha256("".join(f"{path}\0{size}\n" for path, size in inputs.listed).encode()).hexdigest()


def scan_inputs(lake: Lake, recipe: Recipe, inputs: SessionInputs) -> dict[str, pl.LazyFrame]:
    """The rows, lazily and in no particular order: of each frame the columns that stages need, and its event time.

    A table without any file gives an empty frame with its columns.
    """
    window = Selection(frozenset({recipe.manifest.symbol}), None, TimeRange(inputs.first_ns, inputs.session.end_ns))
    columns = input_columns(recipe.pipeline, recipe.parameters)
    frames = {}
    for name, files in inputs.files.items():
        relation = lake.relation(recipe.manifest.tables[name])
        wanted = tuple(dict.fromkeys([*columns[name], *relation.event_time]))
        if unknown := [column for column in wanted if column not in relation.schema.names]:
            raise UsageError(
                f"{relation.name} has no column {unknown[0]!r}, which the stages of {recipe.pipeline.name} need as "
                f"{name}; name another table in `tables`"
            )
        if files:
            frames[name] = scan(lake.data_root, relation, window, columns=wanted)
        else:
            frames[name] = pl.LazyFrame(schema={column: relation.polars_schema[column] for column in wanted})
    return frames


def missing_rows(lake: Lake, recipe: Recipe, inputs: SessionInputs) -> str:
    """Why the session cannot be built, "" when it can: its first table has no row in the session itself.

    Raises:
        CorruptError: a file cannot be read; the text names it.
        StoreUnavailableError: the lake lies in a bucket whose store does not answer.
    """
    name = next(iter(inputs.files))
    relation = lake.relation(recipe.manifest.tables[name])
    what = f"{relation.name} of {recipe.manifest.symbol}"
    if not inputs.files[name]:
        return f"no bronze file of {what} in the session or its look-back"
    window = TimeRange(inputs.session.start_ns, inputs.session.end_ns)
    rows = scan(lake.data_root, relation, Selection(frozenset({recipe.manifest.symbol}), None, window))
    try:
        found = rows.select(relation.event_time_expr).head(1).collect()
    except pl.exceptions.PolarsError as error:
        raise name_the_culprit(inputs.files[name], relation, error) from error
    return "" if found.height else f"no row of {what} in the session"


def find_damage(lake: Lake, recipe: Recipe, inputs: SessionInputs) -> CorruptError | None:
    """The first file of the session that cannot be read, None when all can. Reads every page."""
    relations = {name: lake.relation(recipe.manifest.tables[name]) for name in inputs.files}
    return next(filter(None, (find_culprit(files, relations[name]) for name, files in inputs.files.items())), None)


def _frames(recipe: Recipe) -> list[str]:
    """Input frames that the stages read, in the order of the manifest's tables."""
    needed = input_columns(recipe.pipeline, recipe.parameters)
    if unfed := sorted(set(needed) - set(recipe.manifest.tables)):
        raise UsageError(f"no table feeds frame {unfed[0]!r} of {recipe.pipeline.name}; name one in `tables`")
    return [name for name in recipe.manifest.tables if name in needed]


def _files(lake: Lake, recipe: Recipe, name: str, first_ns: int, until_ns: int) -> tuple[DataFile, ...]:
    relation = lake.relation(recipe.manifest.tables[name])
    if relation.value_key is None:
        raise UsageError(f"{relation.name} is not partitioned by an instrument; name another table for {name}")
    wanted = Selection(frozenset({recipe.manifest.symbol}), None, TimeRange(first_ns, until_ns))
    return tuple(list_files(lake.data_root / relation.folder, relation.keys, wanted))


def _read(root: Place, path: str) -> InputFile | CorruptError:
    name = path.removeprefix(str(root)).lstrip("/")
    place = root / name
    try:
        rows = pq.read_metadata(footer_source(place) if isinstance(place, ObjectPath) else path).num_rows
    except (pa.ArrowException, OSError) as error:
        return CorruptError(f"{path}: no readable Parquet footer ({error}); run `ticklake verify`")
    if isinstance(place, ObjectPath):
        return InputFile(name, rows, *size_and_hash(place))
    return InputFile(name, rows, place.stat().st_size, hash_file(place))
