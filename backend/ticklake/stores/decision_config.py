"""What a decision store can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import structlog

from ticklake.base.errors import ConfigError
from ticklake.files.local_cache import cache_folder, is_writable
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place

DEFAULT_FOLDER: Final = "data/decisions"
_INDEX_FILE: Final = ("_index", "decisions.sqlite3")
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    """Configuration of a `DecisionStore`.

    Attributes:
        storage_path: folder of the documents.
        max_decisions: keep so many, the newest by decision time; what is older is removed when a new one is saved. None
            keeps all.
        index_path: the SQLite index, on a local disk; default `_index/decisions.sqlite3` below the folder, or in the
            cache of this machine (`files.local_cache`) when the folder lies in a bucket or may not be written to.
        read_only: refuse every change with `ReadOnlyError`.
        lenient: log a failed save or delete instead of raising, as older stores did: it gives 0 or False then.
    """

    storage_path: str | Place = DEFAULT_FOLDER
    max_decisions: int | None = None
    index_path: str | Path | None = None
    lenient: bool = False
    read_only: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> DecisionConfig:
        """From the mapping that callers pass. Keys of other programs are named in the log and left out.

        Raises:
            ConfigError: a value makes no sense.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(str(key) for key in config if key not in known):
            _log.warning("decisions.setting_unknown", keys=unknown, known=sorted(known))
        made = cls(**{key: value for key, value in config.items() if key in known})
        limit = made.max_decisions
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise ConfigError(f"max_decisions is {limit!r}; give a whole number from 1, or None to keep all")
        if not isinstance(made.storage_path, str | Place) or not str(made.storage_path):
            raise ConfigError(f"storage_path is {made.storage_path!r}; give the folder of the decisions")
        if made.index_path is not None and str(made.index_path).startswith("s3:/"):
            raise ConfigError(f"index_path is {made.index_path}; give a file on a local disk, or none")
        return made

    def index_file(self, folder: Place) -> Path:
        """Where the index lies, absolute."""
        if self.index_path is not None:
            return Path(self.index_path).absolute()
        if isinstance(folder, ObjectPath) or not is_writable(folder):
            return cache_folder(folder).joinpath(*_INDEX_FILE)
        return folder.joinpath(*_INDEX_FILE)

    def lock_folder(self, folder: Place) -> Place:
        """Where the lock lies: with the documents; who may only read those shares it with the users of the index."""
        is_locked_there = isinstance(folder, ObjectPath) or is_writable(folder)
        return folder if is_locked_there else self.index_file(folder).parent
