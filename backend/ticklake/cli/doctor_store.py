"""Checks of the object store, when the lake lies in a bucket."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Final

from ticklake.base.clock import Clock
from ticklake.base.errors import ConfigError
from ticklake.base.settings import Settings
from ticklake.cli.doctor_machine import percentile
from ticklake.cli.finding import Finding, Grade, grade
from ticklake.files.object_answer import Answer, StoreUnavailableError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import lake_place

_REQUESTS: Final = 20
_PUT_P50_MAX_MS: Final = 500.0
_SKEW_MAX_S: Final = 60.0  # stores refuse requests from 900 s on
_STEPS: Final = {
    Answer.DENIED: "check s3.access_key and s3.secret_key, and the rights of this user: read, write, list, delete",
    Answer.NO_BUCKET: "make the bucket, or correct data_root and s3.region",
}


def check_store(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Do in the bucket what the service and the readers will do there; nothing is left behind. Nothing for a folder."""
    try:
        place = lake_place(settings)
        if not isinstance(place, ObjectPath):
            return
        yield Finding("store", Grade.OK, f"{place} at {place.store.access.endpoint or 'AWS'}")
        place.store.list_folder(place.key)
        yield Finding("store list", Grade.OK, "the lake's folder can be listed")
        yield _check_conditional(place)
        yield from _check_clock_and_time(place, clock)
    except StoreUnavailableError as error:
        step = _STEPS.get(error.reason, "see that the store runs and that s3.endpoint is its address")
        yield Finding("store", Grade.FAIL, str(error), step)
    except ConfigError as error:
        yield Finding("store", Grade.FAIL, "cannot be used", str(error))


def _check_conditional(place: ObjectPath) -> Finding:
    from ticklake.files.object_store import prove_conditional_writes  # an extra, and here already

    name = "store conditional writes"
    if not place.store.has_conditional_writes:
        step = "take a store with If-None-Match if two writers may ever share the lake"
        return Finding(name, Grade.WARN, "switched off by s3.conditional_writes", step)
    try:
        prove_conditional_writes(place.store, _probe(place).key, keep=False)
    except ConfigError as error:
        return Finding(name, Grade.FAIL, "a second write overwrote the first, or is not offered", str(error))
    return Finding(name, Grade.OK, "an object is never overwritten")


def _check_clock_and_time(place: ObjectPath, clock: Clock) -> Iterator[Finding]:
    """Time of a small PUT, and how far the store's clock is from ours."""
    probe = _probe(place)
    times_ms = []
    try:
        for _ in range(_REQUESTS):
            before_s = clock.monotonic_s()
            probe.store.put(probe.key, bytes(4096))
            times_ms.append((clock.monotonic_s() - before_s) * 1000)
        now_ns = clock.wall_ns()
        skew_s = (now_ns - probe.stat().st_mtime_ns) / 1e9
    finally:
        probe.store.delete(probe.key)
    p50_ms = percentile(times_ms, 0.5)
    yield grade(
        "store latency",
        f"PUT p50 {p50_ms:.1f} ms, p99 {percentile(times_ms, 0.99):.1f} ms ({_REQUESTS} objects of 4096 bytes)",
        when=p50_ms > _PUT_P50_MAX_MS,
        next_step="commits wait for this store: take one that is nearer, or flush less often (bronze.flush_seconds)",
    )
    yield grade(
        "store clock",
        f"{skew_s:+.1f} s from ours, to the second",
        when=abs(skew_s) > _SKEW_MAX_S,
        next_step="set both clocks (NTP): a store refuses requests whose time is 15 minutes off",
    )


def _probe(place: ObjectPath) -> ObjectPath:
    return place / f".doctor-{uuid.uuid4().hex}"
