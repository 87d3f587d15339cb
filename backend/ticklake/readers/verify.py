"""Prove the lake: every byte as it was written, nothing foreign, no sequence lost or doubled, the books balanced.

Safe beside a running daemon: it takes no lock and reads in the order in which commits become visible. The logs come
first, then the folders, then the ledger: whatever left the log is in the ledger by then, and a file that is not there
yet belongs to a segment that is still in the log.

On a local disk every byte is read. In a bucket the store is asked for the size and the checksum that were stored with
each object; only a deep check reads the bytes there. What is waiting is known from the state folder alone, which is
always local.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ticklake.base.errors import NoDataError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.files.side_by_side import run_for
from ticklake.lake.layout import QUARANTINE_FOLDER
from ticklake.lake.ledger import LedgerEntry, LedgerFile
from ticklake.readers.check_bytes import check_file, check_object, check_stored
from ticklake.readers.deep import check_content, check_sequences
from ticklake.readers.inventory import data_files, maker_of, read_entries, read_entry
from ticklake.readers.place import find_place
from ticklake.readers.reach import check_log, check_recoveries
from ticklake.readers.report import Problem, StreamBook, VerifyReport
from ticklake.readers.retired import read_retired
from ticklake.readers.sequences import check_entry, check_lives
from ticklake.readers.waiting import Waiting, is_waiting, read_waiting
from ticklake.schema.lookup import TableCatalog


def verify_lake(
    data_root: Place | str | None = None,
    state_dir: Path | str | None = None,
    table: str | None = None,
    deep: bool = False,
    *,
    tables: TableCatalog | None = None,
) -> VerifyReport:
    """Check a lake.

    Args:
        data_root: the lake; from the settings when None.
        state_dir: the state folder with the logs; without it `waiting` stays unknown, and files of a commit that is
            under way count as unknown files.
        table: check the files of this table only (books and sequences are always checked whole).
        deep: also decode every page with its checksum, count rows, and compare rows with folders, footers and ledger;
            in a bucket this is what reads every byte.
        tables: the catalog; from the settings when None.

    Returns:
        The books of every stream and all problems. It does not raise for what it finds.

    Raises:
        UsageError: no such table.
        NoDataError: there is no lake: neither a ledger nor a data file nor a log.
        StoreUnavailableError: the lake lies in a bucket whose store does not answer, or does not let us in.
    """
    root, catalog = find_place(data_root, tables)
    if table is not None and table not in ("unknown", *(spec.name for spec in catalog)):
        catalog.get(table)  # raises, with names that look alike
    state = Path(state_dir) if state_dir is not None else None
    waiting = read_waiting(state) if state is not None else Waiting()
    found = data_files(root, catalog)
    entries, problems = read_entries(root)
    if not (entries or problems or found or waiting.logs):
        raise NoDataError(f"no lake at {root}: no catalog/ledger and no log; check --data or mount the volume")
    problems += waiting.problems
    problems += _check_ledger(root, entries, waiting)
    retired = read_retired(root, entries.values())
    known = {file.path for entry in entries.values() for file in entry.files}
    strays, pending = _sort_strays(root, state, sorted(found.keys() - known))
    problems += [stray for stray in strays if table is None or _lies_in(stray.path, table, catalog)]
    faults = dict(_check_files(root, entries.values(), retired.gone, table, deep, catalog))
    if any(faults.values()):
        retired = read_retired(root, entries.values())  # again: files may have been retired while we looked
        faults = {file: found for file, found in faults.items() if file.path not in retired.gone}
    problems += [problem for found in faults.values() for problem in found]
    problems += [problem for problem in retired.problems if table is None or _lies_in(problem.path, table, catalog)]
    if deep and table is None:
        damaged = {problem.path for problem in problems}
        whole = [(path, own) for path, own in entries.items() if not damaged & {file.path for file in own.files}]
        checks = run_for(root)(lambda item: list(check_sequences(root, item[1], item[0], retired=retired.gone)), whole)
        problems += [problem for found in checks for problem in found]
    return VerifyReport(
        books=_books(entries.values(), waiting, retired.gone, has_state=state is not None),
        problems=tuple(sorted(set(problems))),
        files=len(faults),
        bytes=sum(file.bytes for file in faults),
        rows=sum(file.rows for file in faults),
        is_deep=deep,
        pending=tuple(pending),
        leaving=retired.leaving,
    )


def _check_files(
    root: Place,
    entries: Iterable[LedgerEntry],
    gone: Collection[str],
    table: str | None,
    deep: bool,
    tables: TableCatalog,
) -> Iterable[tuple[LedgerFile, list[Problem]]]:
    """Every file of the ledger that did not leave on purpose, with what is wrong with it."""
    wanted = (
        (entry, file)
        for entry in entries
        for file in entry.files
        if file.path not in gone and (table is None or file.table == table)
    )
    return run_for(root)(lambda item: (item[1], _check_file(root, *item, deep, tables)), wanted)


def _check_file(root: Place, entry: LedgerEntry, file: LedgerFile, deep: bool, tables: TableCatalog) -> list[Problem]:
    place = root / file.path
    content = None
    if not isinstance(place, ObjectPath):
        faults = list(check_file(place, file))
    elif deep:
        faults, content = check_object(place, file)
    else:
        faults = check_stored(place, file)
    if deep and not faults:
        return list(check_content(root, entry, file, tables, content=content))
    return faults


def _check_ledger(root: Place, entries: Mapping[str, LedgerEntry], waiting: Waiting) -> Iterator[Problem]:
    for path, entry in entries.items():
        yield from check_entry(entry, path)
    # Entries of older programs do not say which sequences of a work queue they hold, and those come in any order.
    unordered = {log.lane for log in waiting.logs.values() if log.tracks_seen}
    yield from check_lives(
        entry for entry in entries.values() if entry.reached is not None or entry.lane not in unordered
    )
    for log in waiting.logs.values():
        yield from check_log(log, entries.values())
    yield from check_recoveries(root, [*entries.values()])


def _sort_strays(root: Place, state: Path | None, paths: Sequence[str]) -> tuple[list[Problem], list[str]]:
    """Files that the ledger did not know: foreign ones, and those of a commit that is under way."""
    strays: list[Problem] = []
    pending: list[str] = []
    for path in paths:
        maker = maker_of(Path(path).name)
        if maker is None:
            what = "no data file of ours"
            strays.append(Problem("foreign_file", path, what, "move it out of the lake; queries may read it"))
            continue
        is_pending = state is not None and is_waiting(state, maker.lane, maker.segment)
        entry = read_entry(root, maker)  # after looking into the log: what has left it is in the ledger
        if entry is not None and any(file.path == path for file in entry.files):
            continue  # committed while we looked
        if entry is None and is_pending:
            pending.append(path)
            continue
        what = "not in the ledger: it was copied or renamed, or its ledger entry is gone"
        strays.append(Problem("unknown_file", path, what, "move it out of the lake, or restore the ledger entry"))
    return strays, pending


def _books(
    entries: Iterable[LedgerEntry], waiting: Waiting, gone: Collection[str], *, has_state: bool
) -> tuple[StreamBook, ...]:  # fmt: skip
    streams: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        streams.setdefault(entry.stream, []).append(entry)
    for log in waiting.logs.values():
        streams.setdefault(log.stream, [])
    return tuple(_book(stream, own, waiting, gone, has_state=has_state) for stream, own in sorted(streams.items()))


def _book(
    stream: str, entries: Sequence[LedgerEntry], waiting: Waiting, gone: Collection[str], *, has_state: bool
) -> StreamBook:  # fmt: skip
    retired = [file for entry in entries for file in entry.files if file.path in gone]
    committed = {(entry.writer, entry.segment) for entry in entries}
    in_log = sum(
        messages
        for log in waiting.logs.values()
        if log.stream == stream
        for segment, messages in log.messages.items()
        if (log.writer, segment) not in committed  # committed, about to be removed from the log
    )
    return StreamBook(
        stream=stream,
        received=sum(entry.received for entry in entries) + in_log,
        stored=sum(entry.stored for entry in entries),
        quarantined=sum(entry.quarantined for entry in entries),
        duplicates=sum(entry.duplicates for entry in entries),
        waiting=in_log if has_state else None,
        missing=sum(last - first + 1 for entry in entries for first, last in entry.missing),
        segments=len(entries),
        stored_rows=sum(sum(entry.rows.values()) for entry in entries),
        quarantined_rows=sum(sum(entry.quarantined_rows.values()) for entry in entries),
        retired_rows=sum(file.rows for file in retired),
        retired_files=len(retired),
    )


def _lies_in(path: str, table: str, catalog: TableCatalog) -> bool:
    spec = catalog.find(table)
    folders = [f"{QUARANTINE_FOLDER}/table={table}/", *([f"{spec.folder}/"] if spec else [])]
    return any(path.startswith(folder) for folder in folders)
