"""PURE: configurations of our consumers, as the server wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ticklake.base.clock import format_time
from ticklake.ingest.resume import Resume

_NS: Final = 1_000_000_000
_ACK_WAIT_S: Final = 600  # position mode never waits for redelivery: it makes the consumer anew
_COMMIT_ACK_WAIT_S: Final = 86_400  # an ack that waits for the commit waits as long as the store is away
EXPLICIT_ACK_WAIT_S: Final = 60  # > ten times the worst fsync we have seen
_EXPLICIT_ACK_PENDING_MAX: Final = 60_000
_COMMIT_ACK_PENDING_MAX: Final = 250_000  # > rate x time until the commit


def position_consumer(
    name: str, resume: Resume, *, subjects: Sequence[str] | None, is_late: bool, takes_acks: bool
) -> tuple[dict[str, Any], float]:
    """A consumer that begins at our position and takes one ack for all before it; and its ack wait in seconds.

    Args:
        name: durable name.
        resume: where to begin.
        subjects: to filter by; None: all of the stream.
        is_late: acks wait for the commit.
        takes_acks: False: the server keeps no book of what it sent and what of it is acked.
    """
    ack_wait_s = _COMMIT_ACK_WAIT_S if is_late else _ACK_WAIT_S
    config = _consumer(name, subjects) | {"mem_storage": True}
    if takes_acks:
        config |= {"ack_policy": "all", "ack_wait": ack_wait_s * _NS, "max_ack_pending": -1}
    else:
        config["ack_policy"] = "none"
    if resume.start_sequence is not None:
        return config | {"deliver_policy": "by_start_sequence", "opt_start_seq": resume.start_sequence}, ack_wait_s
    assert resume.start_ns is not None
    return config | {"deliver_policy": "by_start_time", "opt_start_time": format_time(resume.start_ns)}, ack_wait_s


def explicit_consumer(name: str, *, subjects: Sequence[str] | None, is_late: bool) -> dict[str, Any]:
    """A consumer of a work queue: every message is acked for itself, and the server remembers which were.

    Args as for `position_consumer`.
    """
    return _consumer(name, subjects) | {
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "ack_wait": EXPLICIT_ACK_WAIT_S * _NS,
        "max_ack_pending": _COMMIT_ACK_PENDING_MAX if is_late else _EXPLICIT_ACK_PENDING_MAX,
    }


def _consumer(name: str, subjects: Sequence[str] | None) -> dict[str, Any]:
    config: dict[str, Any] = {
        "name": name,
        "durable_name": name,
        "replay_policy": "instant",
        "max_deliver": -1,
    }
    if subjects is not None:
        config["filter_subjects"] = sorted(subjects)
    return config
