"""What became of files that a lineage names and that are no longer there: retired by retention, or missing."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import Final

from ticklake.files.bucket_files import files_of
from ticklake.files.documents import decode_document
from ticklake.files.errors import UnreadableError
from ticklake.files.place import Place, place_in, sorted_places
from ticklake.files.side_by_side import run_for
from ticklake.lake.retired import read_retirements

REPORTS: Final = "catalog/retention"
"""Where retention keeps its reports."""

MISSING: Final = "missing"
RETIRED: Final = "retired"


class Gone:
    """The books of the retention of one data root, read when something is missing."""

    def __init__(self, root: Place) -> None:
        """Use a data root. What is read once is kept."""
        self._root = root

    def told(self, path: str) -> str:
        """Nothing when the file or folder is there; else `retired ...` with time and reason, or `missing`.

        Args:
            path: relative to the data root.

        Raises:
            CorruptError: a decision or a report of the retention cannot be read.
        """
        if place_in(self._root, path).exists():
            return ""
        place = path
        while place:
            if place in self._retired:
                return self._retired[place]
            place = place.rpartition("/")[0]
        return MISSING

    def count(self, paths: list[str]) -> str:
        """How many of some files are gone, as `, 2 retired, 1 missing`; nothing when all are there."""
        words = [told.partition(" ")[0] for told in run_for(self._root)(self.told, paths)]
        return "".join(f", {words.count(word)} {word}" for word in (RETIRED, MISSING) if word in words)

    @cached_property
    def _retired(self) -> dict[str, str]:
        """Place of a file or folder -> when it was retired, and why."""
        found: dict[str, str] = {}
        for path in sorted_places((self._root / REPORTS).glob("[!.]*.json")):
            report = decode_document(path.read_bytes(), path=str(path))
            if not isinstance(report, dict) or not isinstance(report.get("items"), list):
                raise UnreadableError(f"{path} holds no report of the retention; restore it from a copy", path=path)
            for item in report["items"]:
                if item["deletes"] and item["path"] not in report["failed"]:
                    found[item["path"]] = f"{RETIRED} {report['made_at']} ({item['verdict']})"
        for decision in read_retirements(files_of(self._root), str(self._root)):
            decided = datetime.fromtimestamp(decision.decided_ns / 1e9, UTC).isoformat()
            found.update({file.path: f"{RETIRED} {decided} ({file.reason})" for file in decision.files})
        return found
