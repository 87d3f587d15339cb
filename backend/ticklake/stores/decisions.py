"""Trading decisions: one JSON document each, found by id, time, pair, action, status and strategy, and never forgotten.

    store = DecisionStore({"storage_path": "data/decisions"})
    store.save_decision({"id": "d-1", "asset_pair": "BTCUSD", "action": "BUY", "confidence": 0.85})
    store.get_recent_decisions(limit=5, asset_pair="BTCUSD")

Documents are the truth (`decision_files`); a SQLite index finds them and may be deleted (`decision_index`). A change is
durable when its call returns. Threads and processes may share a folder on one machine, and a bucket from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import polars as pl
import structlog

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import TickLakeError, UsageError
from ticklake.files.errors import NotStoredError
from ticklake.files.place import Place, place_of
from ticklake.files.trees import make_folder
from ticklake.stores.decision_changes import DecisionChanges
from ticklake.stores.decision_config import DecisionConfig
from ticklake.stores.decision_files import DecisionFiles, is_decision_file
from ticklake.stores.decision_filter import DecisionFilter, Words
from ticklake.stores.decision_ids import normalize_decision_id, require_decision_id
from ticklake.stores.decision_index import Check, DecisionIndex
from ticklake.stores.decision_links import LinkFiles, LinkKind, is_link_file, link_row
from ticklake.stores.decision_reads import DecisionReads
from ticklake.stores.decision_record import REVISION, Record, summarize
from ticklake.stores.decision_recovery import LOOKBACK, RECOVERY_PROVIDER, Position, RecoveryKey, first_match
from ticklake.stores.decision_rows import Shelf, decision_row
from ticklake.stores.decision_time import NS_PER_DAY, Moment
from ticklake.stores.decision_trail import DecisionTrail, join_trades, links_of
from ticklake.stores.read_only_error import ReadOnlyError

_T = TypeVar("_T")
_NOT_WRITTEN: Final = 0  # what `save_decision` gives in lenient mode when it failed: no revision has this number
_log = structlog.get_logger()


class DecisionStore:
    """The decisions of one folder."""

    def __init__(self, config: Mapping[str, Any] | None = None, *, clock: Clock | None = None) -> None:
        """Make the folder; the index is opened when it is needed.

        Args:
            config: see `DecisionConfig`: `storage_path`, `max_decisions`, `index_path`, `lenient`, `read_only`.
            clock: stamps what is saved and says what is old.

        Raises:
            ConfigError: a value of the configuration makes no sense.
            DiskError: the folder cannot be made.
        """
        self.config = DecisionConfig.of(config or {})
        self._clock = clock or SystemClock()
        folder = place_of(self.config.storage_path)
        make_folder(folder)
        files, links = DecisionFiles(folder), LinkFiles(folder)
        lock_folder = self.config.lock_folder(folder)
        decisions = Shelf(
            "decisions",
            folder,
            "decisions",
            is_decision_file,
            lambda name: decision_row(name, summarize(files.read(name))),
            is_locked=lock_folder == folder,
        )
        facts = Shelf(
            "links",
            links.folder,
            "links",
            is_link_file,
            lambda name: link_row(name, links.read(name)),
            is_locked=lock_folder == folder,
        )
        self._files = files
        self._index = DecisionIndex(lock_folder, self.config.index_file(folder), (decisions, facts))
        self._reads = DecisionReads(files, self._index)
        self._changes = DecisionChanges(
            files, links, self._index, decisions, facts, self.config.max_decisions, self._clock
        )

    @property
    def storage_path(self) -> Place:
        """The folder, absolute."""
        return self._files.folder

    # -- write ----------------------------------------

    def save_decision(self, decision: Any, *, expected_revision: int | None = None) -> int:
        """Store a decision; one whose id is there already becomes its next revision and the earlier ones stay.

        Args:
            decision: mapping or dataclass with `id` (or `decision_id`); without `timestamp` it is decided now.
            expected_revision: refuse unless the stored one has this revision; 0: unless there is none.

        Returns:
            its revision, from 1. The same content again changes nothing and gives the revision it has.

        Raises:
            MissingIdError: it has no id.
            UsageError: it is no mapping, its time is none, or it holds a value that no document can hold.
            ConflictError: somebody else was faster; read it again.
            DiskError, OutOfRoomError: nothing was written.
        """
        return self._attempt(
            "save",
            lambda: int(self._writing().put(decision, expected_revision=expected_revision)[REVISION]),
            _NOT_WRITTEN,
        )

    def update_decision(self, decision: Any, *, expected_revision: int | None = None) -> int:
        """`save_decision` under the name that callers use for a decision that is there."""
        return self.save_decision(decision, expected_revision=expected_revision)

    def modify_decision(self, decision_id: Any, change: Callable[[Record], Mapping[str, Any] | None]) -> Record:
        """Change a decision with nobody in between, and give it as stored.

        Args:
            decision_id: id, or a record that has one.
            change: gets a copy; changes it, or gives another record of the same id. Must not use this store.

        Raises:
            NotStoredError: there is no such decision.
        """
        return self._writing().modify(require_decision_id(decision_id), change)

    def delete_decision(self, decision_id: Any, *, expected_revision: int | None = None) -> bool:
        """Remove a decision; whether there was one. Its history and what followed from it stay readable."""
        wanted = normalize_decision_id(decision_id)
        if wanted is None:
            return False
        return self._attempt(
            "delete", lambda: self._writing().delete(wanted, expected_revision=expected_revision), False
        )

    def cleanup_old_decisions(self, days: float = 30) -> int:
        """Remove decisions made more than `days` ago, with their history and what followed. How many.

        What counts is when it was decided; an edit does not make it young. A file last written even before that counts
        from then: nothing is decided after it was written down.

        Raises:
            UsageError: `days` is negative.
        """
        if not days >= 0:
            raise UsageError(f"days is {days!r}; give how many days to keep, 0 or more")
        return self._writing().forget_before(self._clock.wall_ns() - round(days * NS_PER_DAY))

    def forget_decisions(self, file_names: Iterable[str]) -> int:
        """Remove the decisions in these files of the folder, with their history and what followed. How many."""
        return self._writing().forget(file_names)

    def wipe_all_decisions(self) -> int:
        """Remove every decision, every history and all that followed. How many decisions there were."""
        return self._writing().wipe()

    # -- read ----------------------------------------

    def get_decision_by_id(self, decision_id: Any) -> Record | None:
        """The current revision of a decision, as a copy; None when there is none of that id.

        Raises:
            UnreadableError: its file is damaged.
        """
        wanted = normalize_decision_id(decision_id)
        return None if wanted is None else self._reads.get(wanted)

    def get_decisions(
        self,
        asset_pair: Words = None,
        limit: int | None = 10,
        *,
        action: Words = None,
        status: Words = None,
        strategy: Words = None,
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> list[Record]:
        """Decisions that meet all conditions, newest decision first. A damaged file is named in the log and left out.

        Args:
            asset_pair: instrument, or several; exactly as in the records. So with the next three.
            limit: at most so many; None for all.
            action: such as BUY.
            status: such as executed.
            strategy: who decided.
            start: first time of decision, included. What names no zone is UTC.
            end: time at which to stop, **not** included.

        Raises:
            UsageError: the limit is negative, a time is none, or nothing lies between start and end.
        """
        wanted = DecisionFilter.of(
            pair=asset_pair, action=action, status=status, strategy=strategy, start=start, end=end
        )
        return self._reads.find(wanted, limit=limit)

    def get_recent_decisions(self, limit: int | None = 10, asset_pair: Words = None) -> list[Record]:
        """The newest decisions, newest first."""
        return self.get_decisions(asset_pair, limit)

    def get_history(self, decision_id: Any) -> list[Record]:
        """Every revision of a decision, oldest first; of a deleted one too, with a last record that has `_deleted`."""
        return self._reads.history(require_decision_id(decision_id))

    def get_decision_count(self) -> int:
        """How many decisions are stored."""
        self._index.refresh()
        return self._index.count(DecisionFilter())

    # -- recovery after a restart ----------------------------------------

    def find_equivalent_recovery_decision(
        self,
        asset_pair: str,
        action: str,
        entry_price: float | None = None,
        position_size: float | None = None,
        platform: str | None = None,
        product_id: str | None = None,
        lookback: int = LOOKBACK,
    ) -> Record | None:
        """The newest synthetic record (`ai_provider` "recovery") of exactly this position, among `lookback` of them."""
        key = RecoveryKey(asset_pair, action, entry_price, position_size, platform, product_id)
        records = self._reads.find(DecisionFilter.of(provider=RECOVERY_PROVIDER), limit=lookback)
        match = first_match(records, key)
        return None if match is None else dict(match)

    def find_recent_decision_for_position(
        self,
        asset_pair: str,
        side: str,
        entry_price: float | None = None,
        size: float | None = None,
        *,
        contract_size: float | None = None,
        aliases: tuple[str, ...] = (),
        lookback: int = LOOKBACK,
    ) -> Record | None:
        """The newest decision, among the last `lookback`, that can have opened this position. See `Position`."""
        position = Position(asset_pair, side, entry_price, size, contract_size, aliases)
        match = first_match(self._reads.find(DecisionFilter(), limit=lookback), position)
        return None if match is None else dict(match)

    # -- what became of it ----------------------------------------

    def record_order(self, decision_id: Any, order: Any) -> bool:
        """Record an order (mapping or dataclass with `order_id`) of a decision. False when it is there already.

        Raises:
            NotStoredError: no such decision.
            AlreadyStoredError: another order has that id.
        """
        return self._writing().link(LinkKind.ORDER, order, decision_id=require_decision_id(decision_id))

    def record_fill(self, order_id: str, fill: Any) -> bool:
        """Record a fill (with `fill_id`) of an order. False when it is there already. Raises as `record_order`."""
        return self._writing().link(LinkKind.FILL, fill, order_id=str(order_id))

    def record_outcome(self, decision_id: Any, outcome: Any) -> bool:
        """Record how a decision ended. A later outcome needs an `outcome_id` of its own. Raises as `record_order`."""
        return self._writing().link(LinkKind.OUTCOME, outcome, decision_id=require_decision_id(decision_id))

    def get_trail(self, decision_id: Any) -> DecisionTrail:
        """A decision and all that followed from it.

        Raises:
            NotStoredError: no such decision.
        """
        wanted = require_decision_id(decision_id)
        decision = self._reads.get(wanted)
        if decision is None:
            raise NotStoredError(f"no decision {wanted!r} below {self.storage_path}; see `ticklake decisions ls`")
        self._index.refresh()
        links = self._index.ask(lambda database: links_of(database, wanted))
        orders, fills, outcomes = (tuple(link for link in links if link.kind is kind) for kind in LinkKind)
        return DecisionTrail(decision, orders, fills, outcomes)

    def join_trades(
        self,
        asset_pair: Words = None,
        limit: int | None = None,
        *,
        action: Words = None,
        status: Words = None,
        strategy: Words = None,
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> pl.DataFrame:
        """Decision -> order -> fill -> outcome as one table: see `decision_trail.join_trades`. Filters as above."""
        wanted = DecisionFilter.of(
            pair=asset_pair, action=action, status=status, strategy=strategy, start=start, end=end
        )
        self._index.refresh()
        return self._index.ask(lambda database: join_trades(database, wanted, limit=limit))

    # -- upkeep ----------------------------------------

    def unreadable(self) -> dict[str, str]:
        """Files that hold no decision and no fact, each with its reason, after a look at every file."""
        self._index.refresh(Check.EVERY_FILE)
        return self._index.unreadable()

    def rebuild_index(self) -> None:
        """Throw the index away and read every document again. Never needed; for when in doubt."""
        self._index.discard()
        self._index.refresh()

    def close(self) -> None:
        """Give files back. The store may be used again afterwards."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DecisionStore({str(self.storage_path)!r})"

    def _writing(self) -> DecisionChanges:
        if self.config.read_only:
            raise ReadOnlyError("a change of decisions")
        return self._changes

    def _attempt(self, action: str, call: Callable[[], _T], otherwise: _T) -> _T:
        """The result of a call; in lenient mode its failure is logged and `otherwise` is the result."""
        try:
            return call()
        except TickLakeError as error:
            if not self.config.lenient:
                raise
            _log.error("decisions.write_failed", action=action, reason=str(error))
            return otherwise
