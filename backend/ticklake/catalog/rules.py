"""Versions of rules: registered once, never overwritten, deprecated at most."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import UsageError
from ticklake.catalog.artifact_ref import hash_bytes
from ticklake.catalog.document_folder import Document, DocumentFolder
from ticklake.files.atomic import safe_name
from ticklake.files.documents import encode_document
from ticklake.files.errors import AlreadyStoredError, NotStoredError, UnreadableError
from ticklake.files.place import place_of

FORM: Final = "ticklake.rule/1"
ACTIVE: Final = "active"
DEPRECATED: Final = "deprecated"


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """One version of the rules of a setup.

    Attributes:
        setup_id: whose rules.
        version: as its owner counts.
        rules: the rules themselves.
        sha256: of the rules; two versions with equal rules share it.
        description: for people.
        tags: words to find it by.
        status: active or deprecated.
        created_at: UTC, ISO text.
        created_ns: the same, exact: the order of versions.
    """

    setup_id: str
    version: str
    rules: Any
    sha256: str
    description: str
    tags: tuple[str, ...]
    status: str
    created_at: str
    created_ns: int


class RuleRegistry:
    """Rule versions below `{root}/catalog/rules`."""

    def __init__(self, root: str | os.PathLike[str], *, clock: Clock | None = None) -> None:
        """Use the registry of a data root, made with the first version."""
        self._clock = clock or SystemClock()
        self._folder = DocumentFolder(
            place_of(root) / "catalog/rules",
            form=FORM,
            fields=("setup_id", "version", "status", "created_ns"),
            clock=self._clock,
        )

    def register_rule_version(
        self, setup_id: str, version: str, rules: Any, description: str = "", tags: Iterable[str] = ()
    ) -> RuleVersion:
        """Register a version. The same rules under the same version again change nothing.

        Raises:
            AlreadyStoredError: the version exists with other rules; count up.
            UsageError: an empty name, or rules of a type that cannot be kept.
        """
        if not setup_id or not version:
            raise UsageError("rules need a setup_id and a version that are not empty")
        digest = hash_bytes(encode_document(rules, sort_keys=True))
        now_ns = self._clock.wall_ns()
        body = {
            "setup_id": setup_id, "version": version, "rules": rules, "sha256": digest, "description": description,
            "tags": sorted(set(tags)), "status": ACTIVE, "created_ns": now_ns,
            "created_at": datetime.fromtimestamp(now_ns / 1e9, UTC).isoformat(),
        }  # fmt: skip
        try:
            return _version(self._folder.create(_key(setup_id, version), body))
        except AlreadyStoredError as error:
            known = self.load_rule_version(setup_id, version)
            if known.sha256 == digest:
                return known
            raise AlreadyStoredError(
                f"version {version} of {setup_id} exists with other rules; register them under a new version",
                path=error.path,
            ) from error

    def load_rule_version(self, setup_id: str, version: str) -> RuleVersion:
        """One version, checked against its hash.

        Raises:
            NotStoredError: no such version.
            UnreadableError: the rules are not those that were registered.
        """
        try:
            found = _version(self._folder.get(_key(setup_id, version)))
        except NotStoredError as error:
            raise NotStoredError(f"{setup_id} has no version {version}; see list_versions") from error
        if hash_bytes(encode_document(found.rules, sort_keys=True)) != found.sha256:
            raise UnreadableError(
                f"version {version} of {setup_id} was changed after it was registered; restore its file"
            )
        return found

    def list_versions(self, setup_id: str | None = None, *, include_deprecated: bool = True) -> list[tuple[str, str]]:
        """(setup_id, version) of every version, of one setup or of all, oldest first."""
        rows = [
            row
            for row in self._folder.rows()
            if setup_id in (None, row["setup_id"]) and (include_deprecated or row["status"] == ACTIVE)
        ]
        return [
            (row["setup_id"], row["version"]) for row in sorted(rows, key=lambda row: (row["created_ns"], row["key"]))
        ]

    def latest(self, setup_id: str) -> RuleVersion:
        """The active version that was registered last.

        Raises:
            NotStoredError: the setup has no active version.
        """
        versions = self.list_versions(setup_id, include_deprecated=False)
        if not versions:
            raise NotStoredError(f"{setup_id} has no active rules; register a version")
        return self.load_rule_version(*versions[-1])

    def deprecate_version(self, setup_id: str, version: str) -> RuleVersion:
        """Mark a version as one that should no longer be used. Its rules stay. Raises NotStoredError."""
        self.load_rule_version(setup_id, version)
        return _version(self._folder.change(_key(setup_id, version), lambda old: {**old, "status": DEPRECATED}))


RuleVersionRegistry = RuleRegistry
"""The name of the reference system."""


def _key(setup_id: str, version: str) -> str:
    return f"{safe_name(setup_id)}@{safe_name(version)}"


def _version(document: Document) -> RuleVersion:
    values = {item.name: document[item.name] for item in fields(RuleVersion)}
    return RuleVersion(**{**values, "tags": tuple(values["tags"])})
