"""The lake for Spark, Trino and Databricks: a Delta log over the finished files of one table, brought up to date.

    ledger, retired ─▶ what belongs in the log ─▶ minus what it has ─▶ link, read footers ─▶ commit ─▶ unlink retired

The ledger is the truth, never a listing. The commit is atomic, and everything before it may be done twice: a kill
anywhere leaves a log that is whole, and the next export goes on. Whoever loses a race reads again and decides again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import CheckFailedError, CorruptError, NoDataError, RetryableError, UsageError
from ticklake.files.bucket_files import files_of
from ticklake.files.local import LocalFiles
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place, place_of
from ticklake.files.protocol import Files
from ticklake.lake.ledger import read_ledger
from ticklake.lake.retired import read_retirements
from ticklake.readers.delta_files import (
    Addition,
    Change,
    TableFile,
    files_of_table,
    plan_change,
    statistics,
    statistics_columns,
)
from ticklake.readers.delta_links import DeltaLinks, sync_commits
from ticklake.readers.delta_place import DeltaPlace, find_delta_place, is_local
from ticklake.readers.footer import read_footer
from ticklake.readers.relation import Relation

if TYPE_CHECKING:  # deltalake is an extra
    from ticklake.readers.delta_log import DeltaLog

_ROUNDS_MAX: Final = 20  # each lost race is another export that went through
_READERS: Final = 16  # footers are small and far away on an object store


@dataclass(frozen=True, slots=True)
class DeltaExport:
    """What one export did, or would do.

    Attributes:
        table: its name.
        log: the Delta table's root: a folder, or a URI.
        version: of the log afterwards; None when there is none (dry run).
        added: files that came into the log.
        removed: files that left it, because retention took them.
        rows_added: rows in the added files.
        files: files in the log afterwards.
        dry_run: whether nothing was done.
    """

    table: str
    log: str
    version: int | None
    added: int
    removed: int
    rows_added: int
    files: int
    dry_run: bool


def export_delta(
    data_root: Place | str,
    relation: Relation,
    *,
    to: str | None = None,
    absolute: bool = False,
    dry_run: bool = False,
    clock: Clock | None = None,
) -> DeltaExport:
    """Bring the Delta log of one table up to date with the books of the lake.

    Args:
        data_root: the lake: a folder, or a place in a bucket, whose keys also reach the log.
        relation: the table; see `Lake.relation`.
        to: root of the Delta table, a folder or URI outside the lake's own folders; `{data_root}/delta/{table}` when
            None.
        absolute: the log names files by absolute URIs, instead of hard links beside it. Always so on object stores.
            Spark, Databricks and Trino read such logs; readers built on delta-rs (deltalake, Polars) do not.
        dry_run: only say what would change.
        clock: stamps removals.

    Raises:
        UsageError: `to` is no place for a log, or deltalake is not installed.
        NoDataError: the table has no finished file yet.
        CheckFailedError: somebody else wrote to the log, or the table has other columns now.
        CorruptError: the ledger, a data file or the log cannot be read.
        RetryableError: other exports were faster every time.
        UnavailableError: the store does not answer.
        DiskError: the disk failed; the next export goes on.
    """
    lake = place_of(data_root)
    place = find_delta_place(str(lake), relation, to, absolute=absolute)
    books = files_of(lake)
    options = lake.store.access.polars_options if isinstance(lake, ObjectPath) else {}
    now_ms = (clock or SystemClock()).wall_ns() // 1_000_000
    log_class = _import_log()
    for _ in range(_ROUNDS_MAX):
        log = log_class.open(place.uri, options)
        booked, gone = _read_books(place, books)
        change = plan_change(booked, gone, log.addresses if log else frozenset())
        if log is not None:
            _check_log(place, log, change)
        elif not booked:
            raise NoDataError(
                f"{relation.name} has no finished file below {place.data_root}: there is nothing to export"
            )
        if dry_run:
            return _report(place, log, change, dry_run=True)
        if log is None:
            _prepare(place)
            log_class.create(place.uri, relation, options)
            continue
        additions = _bring(lake, place, log, booked, change, books)
        if additions is None:
            continue
        if change.is_empty or log.commit(relation, additions, change.remove, now_ms=now_ms):
            report = _report(place, log, change, dry_run=False)
            _settle(place, log, report, [file.below for file in booked.values() if file.path in gone])
            return report
    raise RetryableError(f"{place.uri}: others committed {_ROUNDS_MAX} times in between; export again")


def _read_books(place: DeltaPlace, books: Files) -> tuple[dict[str, TableFile], frozenset[str]]:
    """Address -> every file ever committed for the table; and the paths that retention took."""
    entries = read_ledger(books, place.data_root)
    booked = {place.address(file): file for file in files_of_table(place.relation, entries)}
    return booked, _read_gone(place, books)


def _read_gone(place: DeltaPlace, books: Files) -> frozenset[str]:
    return frozenset(
        file.path for decision in read_retirements(books, place.data_root) for file in decision.files
    )  # fmt: skip


def _check_log(place: DeltaPlace, log: DeltaLog, change: Change) -> None:
    """The log is ours, and of this table as it is now."""
    again = f"; to start over, remove {place.uri} (it holds no data of its own) and export again"
    if not log.has_columns_of(place.relation):
        raise CheckFailedError(f"{place.uri}: the log has other columns or types than {place.relation.name}{again}")
    if change.strange:
        raise CheckFailedError(
            f"{place.uri}: the log names {change.strange[0]}, which is no file of {place.relation.name} as this export "
            f"would name it: somebody else wrote to it, the lake was moved, or --absolute changed{again}"
        )
    if not log.is_ours_alone:
        raise CheckFailedError(f"{place.uri}: somebody else added or removed files of the log{again}")


def _bring(
    lake: Place,
    place: DeltaPlace, log: DeltaLog, booked: Mapping[str, TableFile], change: Change, books: Files
) -> dict[str, Addition] | None:  # fmt: skip
    """Everything that must be there before a commit: links, and what the log says of new files.

    None when retention took one of them while we looked, and everything must be decided again.
    """
    wanted = dict(change.add)
    try:
        if place.is_linked:
            _prepare(place)
            links = _links(place)
            wanted |= {address: booked[address] for address in links.missing(log.addresses - change.remove.keys())}
            links.link({file.below: file.path for file in wanted.values()})
        return _additions(lake, place, change.add)
    except FileNotFoundError as error:
        if _read_gone(place, books) & {file.path for file in wanted.values()}:
            return None
        raise CorruptError(
            f"{error.filename or error}: in the ledger, but not there; run `ticklake verify`, then restore the file"
        ) from error


def _additions(lake: Place, place: DeltaPlace, files: Mapping[str, TableFile]) -> dict[str, Addition]:
    """Each new file with its statistics, from its footer."""
    columns = statistics_columns(place.relation)

    def look(file: TableFile) -> Addition:
        path = lake / file.path
        footer = read_footer(path if isinstance(path, ObjectPath) else str(path), ranges_of=columns)
        if footer.rows != file.rows:
            raise CorruptError(f"{path}: {footer.rows} rows, entered with {file.rows}; run `ticklake verify`")
        return Addition(file, statistics(file.rows, footer.ranges))

    with ThreadPoolExecutor(_READERS, thread_name_prefix="footers") as pool:
        return dict(zip(files, pool.map(look, files.values()), strict=True))


def _settle(place: DeltaPlace, log: DeltaLog, report: DeltaExport, retired: Iterable[str]) -> None:
    """After the commit: make it survive a power cut (that of a killed export too), free the room of what is retired."""
    if is_local(place.uri):
        sync_commits(place.uri, sorted({log.version, report.version or 0}))
    if place.is_linked:
        _links(place).unlink(retired)


def _report(place: DeltaPlace, log: DeltaLog | None, change: Change, *, dry_run: bool) -> DeltaExport:
    version = log.version if log else None
    return DeltaExport(
        table=place.relation.name,
        log=place.uri,
        version=version if dry_run or version is None or change.is_empty else version + 1,
        added=len(change.add),
        removed=len(change.remove),
        rows_added=sum(file.rows for file in change.add.values()),
        files=(len(log.addresses) if log else 0) + len(change.add) - len(change.remove),
        dry_run=dry_run,
    )


def _prepare(place: DeltaPlace) -> None:
    """Make the folder of the log, on the lake's disk when files are to be linked."""
    if place.is_linked:
        _links(place).prepare()
    elif is_local(place.uri):
        LocalFiles().make_folder(place.uri)


def _links(place: DeltaPlace) -> DeltaLinks:
    return DeltaLinks(data_root=place.data_root, table_root=place.uri)


def _import_log() -> type[DeltaLog]:
    try:
        from ticklake.readers.delta_log import DeltaLog
    except ModuleNotFoundError as error:
        if error.name != "deltalake":
            raise
        raise UsageError('deltalake is not installed: `pip install "ticklake[delta]"`') from error
    return DeltaLog
