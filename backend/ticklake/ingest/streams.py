"""The streams the house reads: how they should be configured, and how an existing one differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ticklake.ingest.api import JetStreamApi, StreamMissingError

_DAY_NS = 86_400 * 1_000_000_000
STREAM_SUBJECTS: Mapping[str, tuple[str, ...]] = {"MARKET_DATA": ("market.>",), "LEVEL_SIGNALS": ("levels.>",)}


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What `nats init` found or did for one stream.

    Attributes:
        name: of the stream.
        outcome: created, same, differs or missing.
        differences: field -> (wanted, found).
    """

    name: str
    outcome: str
    differences: Mapping[str, tuple[object, object]]


def stream_config(name: str, subjects: Sequence[str]) -> dict[str, Any]:
    """The configuration we create: on disk, seven days or until the operator says otherwise, oldest dropped first.

    Seven days is how long the lake may be down over a long weekend without losing a message.
    """
    return {
        "name": name,
        "subjects": sorted(STREAM_SUBJECTS.get(name, subjects)),
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": 7 * _DAY_NS,
        "duplicate_window": 120_000_000_000,
        "num_replicas": 1,
    }


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    """Fields of an existing stream that are not as we would make them. Never changed silently."""
    return {
        key: (value, found.get(key))
        for key, value in wanted.items()
        if (sorted(found.get(key) or ()) if key == "subjects" else found.get(key)) != value
    }


async def init_stream(api: JetStreamApi, wanted: dict[str, Any], *, apply: bool) -> StreamReport:
    """Compare one stream with `wanted`; create it when it is missing and `apply` is set."""
    try:
        stream = await api.stream(wanted["name"])
    except StreamMissingError:
        if not apply:
            return StreamReport(wanted["name"], "missing", {})
        await api.create_stream(wanted)
        return StreamReport(wanted["name"], "created", {})
    found = differences(wanted, stream.config)
    return StreamReport(wanted["name"], "differs" if found else "same", found)
