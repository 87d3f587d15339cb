"""What became of a decision: its orders, their fills, its outcome. Facts that never change, one document each.

    order     names its decision
    fill      names its order, and so its decision
    outcome   names its decision; a later one with another id supersedes it, and both stay

A fact that is recorded twice with the same content counts once, so a feed may deliver it again after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ticklake.base.errors import UsageError
from ticklake.base.moments import iso_text
from ticklake.files.atomic import remove, write_new
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.errors import AlreadyStoredError, UnreadableError
from ticklake.files.names import safe_name
from ticklake.files.place import Place
from ticklake.files.trees import list_names
from ticklake.stores.decision_ids import MissingIdError
from ticklake.stores.decision_record import plain_copy
from ticklake.stores.decision_time import moment_ns

FOLDER: Final = "links"
_SUFFIX: Final = ".json"
_TIME_KEYS: Final = ("timestamp", "at", "filled_at", "created_at")


class LinkKind(StrEnum):
    """What a fact is about."""

    ORDER = "order"
    FILL = "fill"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True)
class Link:
    """One fact.

    Attributes:
        kind: order, fill or outcome.
        link_id: its own id.
        decision_id: the decision it follows from.
        order_id: of a fill its order, of an order itself, of an outcome None.
        at_ns: when it happened, ns UTC.
        body: what the caller gave, as it was.
    """

    kind: LinkKind
    link_id: str
    decision_id: str
    order_id: str | None
    at_ns: int
    body: dict[str, Any]

    @property
    def name(self) -> str:
        """Its file name."""
        return f"{self.kind}_{safe_name(self.link_id)}{_SUFFIX}"


def make_link(kind: LinkKind, body: Any, *, decision_id: str, order_id: str | None, now_ns: int) -> Link:
    """A fact from what a caller gives.

    Args:
        kind: what it is about.
        body: mapping or dataclass with `{kind}_id` or `id`; an outcome without one gets its decision's. Its time is
            `timestamp`, `at`, `filled_at` or `created_at`, else now.
        decision_id: the decision it follows from.
        order_id: of a fill, the order.
        now_ns: used when it has no time.

    Raises:
        MissingIdError: an order or a fill has no id.
        UsageError: it is no mapping, or its time is none.
    """
    fields = plain_copy(body)
    if not isinstance(fields, dict):
        raise UsageError(f"the {kind} of decision {decision_id!r} is no mapping but {type(body).__name__}")
    found = next((fields[key] for key in (f"{kind}_id", "id") if fields.get(key) not in (None, "")), None)
    if found is None and kind is not LinkKind.OUTCOME:
        raise MissingIdError(f"the {kind} of decision {decision_id!r} has no '{kind}_id'; give it the broker's own")
    link_id = decision_id if found is None else str(found)
    time = next((fields[key] for key in _TIME_KEYS if fields.get(key) is not None), None)
    at_ns = now_ns if time is None else moment_ns(time)
    own_order = link_id if kind is LinkKind.ORDER else order_id
    return Link(kind, link_id, decision_id, own_order, at_ns, fields)


class LinkFiles:
    """The facts of one folder of decisions. Not locked: the caller holds the lock of the folder."""

    def __init__(self, folder: Place) -> None:
        self.folder = folder / FOLDER

    def create(self, link: Link) -> bool:
        """Write a fact; False when the same one is there already.

        Raises:
            AlreadyStoredError: another fact has that id.
        """
        document = {
            "kind": link.kind.value,
            "id": link.link_id,
            "decision_id": link.decision_id,
            "order_id": link.order_id,
            "at": iso_text(link.at_ns),
            "body": link.body,
        }
        try:
            write_new(self.folder / link.name, encode_document(document))
        except AlreadyStoredError as error:
            known = self.read(link.name)
            if _content(known) == _content(link):
                return False
            raise AlreadyStoredError(
                f"{link.kind} {link.link_id!r} is recorded already with other content; facts do not change: "
                "record what is new under an id of its own",
                path=error.path,
            ) from error
        return True

    def read(self, name: str) -> Link:
        """One fact.

        Raises:
            FileNotFoundError: there is no such file.
            UnreadableError: it holds no fact.
        """
        path = self.folder / name
        value = decode_document(path.read_bytes(), path=str(path))
        try:
            return Link(
                LinkKind(value["kind"]),
                str(value["id"]),
                str(value["decision_id"]),
                value["order_id"],
                moment_ns(value["at"]),
                dict(value["body"]),
            )
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise UnreadableError(
                f"{path}: no order, fill or outcome ({error}); restore the file", path=path
            ) from error

    def wipe(self) -> list[str]:
        """Remove all facts. Gives their names."""
        names = [name for name in list_names(self.folder) if is_link_file(name)]
        self.remove(names)
        return names

    def remove(self, names: list[str]) -> None:
        """Remove facts: those of decisions that are forgotten altogether."""
        for name in names:
            remove(self.folder / name)


def _content(link: Link) -> bytes:
    """What makes a fact the same when it is delivered again; the time of one without its own is not part of it."""
    return encode_document([link.decision_id, link.order_id, link.body], sort_keys=True)


def is_link_file(name: str) -> bool:
    """Whether a name in the folder is that of a fact."""
    return name.endswith(_SUFFIX) and not name.startswith(".")


def link_row(name: str, link: Link) -> tuple[Any, ...]:
    """The row of a fact in the index."""
    body = encode_document(link.body, indent=None).decode("utf-8")
    return (name, link.kind.value, link.link_id, link.decision_id, link.order_id, link.at_ns, body)
