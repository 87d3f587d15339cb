"""One bucket of an S3-compatible store, and what each of its answers means.

A PUT is atomic: a reader sees the whole object or none. `create` is the only way that anything is committed: it never
overwrites, and calling it again with the same bytes is harmless, whatever became of the call before. Nothing here
renames, uploads in parts, or trusts a listing to be complete.

    answer to a conditional PUT                 meaning        what `create` does
    200                                         ours           returns
    412, 409 (the client says "exists")         unknown        looks: ours: returns; others: AlreadyStoredError;
                                                               nothing there: again
    time-out, reset, 500, 502, 503, 504, ...    unknown        again, the same call; StoreUnavailableError after a few
    403, no bucket, wrong region                configuration  StoreUnavailableError at once
    400 with a checksum complaint               damaged        again; StoreUnavailableError after a few
    501                                         not offered    ConditionalWritesError
"""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Final, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from ticklake.base.errors import ConfigError
from ticklake.files.checksums import crc32c_hex
from ticklake.files.errors import AlreadyStoredError, NotStoredError
from ticklake.files.object_answer import Answer, StoreUnavailableError, explain, sort_answer
from ticklake.files.s3_access import S3Access, known_access

_ATTEMPTS: Final = 4
_BACKOFF_S: Final = (0.05, 1.0)  # first and longest pause; the caller waits longer, and for as long as it takes
_SHA256: Final = "sha256"
_CRC32C: Final = "crc32c"  # as in the books of a lake, so that a check need not read the bytes
_TOKEN: Final = "token"  # noqa: S105 - of a call, no secret
_CONNECT_TIMEOUT_S: Final = 5
_ERRORS: Final = (BaseError, OSError)

ResultT = TypeVar("ResultT")
Observe = Callable[[str, str, float], None]


class ConditionalWritesError(ConfigError):
    """The store cannot promise that a write does not overwrite."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says about an object.

    Attributes:
        key: its whole name in the bucket.
        modified_ns: last change, UTC ns, as precise as the store keeps it.
        sha256: of the bytes, when we wrote it and `head` was asked; listings do not say.
        token: of the call of `create` that stored it, likewise.
        crc32c: of the bytes, eight lower-case hex digits, likewise.
        e_tag: the store's own mark of this state of the object; another one after every change.
    """

    key: str
    size_bytes: int
    modified_ns: int
    sha256: str | None = None
    token: str | None = None
    crc32c: str | None = None
    e_tag: str | None = None


def open_store(bucket: str, access: S3Access | None = None) -> ObjectStore:
    """The bucket; the same object for the same bucket and access.

    Args:
        bucket: its name.
        access: None: as this process was told before, else by the settings.

    Raises:
        ConfigError: the settings are needed and wrong.
    """
    return _opened(bucket, access or known_access(bucket))


class ObjectStore:
    """A bucket. Safe to use from every thread; sent to another process, it is reached there by that one's settings."""

    def __init__(self, bucket: str, access: S3Access) -> None:
        self.bucket = bucket
        self.access = access
        self.has_conditional_writes = access.conditional_writes
        self.is_proven = False  # `prove_conditional_writes` found that it keeps its word
        self.observe: Observe = lambda _operation, _result, _seconds: None
        self._sleep: Callable[[float], None] = time.sleep
        self._store = S3Store(
            bucket,
            **access.obstore_options,
            checksum_algorithm="SHA256",
            client_options={
                "allow_http": access.allow_http,
                "connect_timeout": timedelta(seconds=_CONNECT_TIMEOUT_S),
                "timeout": timedelta(seconds=access.timeout_s),
            },
            retry_config={"max_retries": 0},  # only we know which call may be made again
        )

    def __reduce__(self) -> tuple[Callable[[str], ObjectStore], tuple[str]]:
        return open_store, (self.bucket,)  # never the secrets

    def create(self, key: str, content: bytes, *, token: str = "") -> None:
        """Store a new object, unless the key is taken. The same bytes with the same token again are fine.

        Args:
            key: the whole name in the bucket.
            content: the bytes.
            token: says whose they are, where two writers may want to store the same bytes and one of them must lose.

        Raises:
            AlreadyStoredError: other bytes, or those of somebody else, have that key.
            StoreUnavailableError: what became of it is unknown; call again with the same bytes, as often as needed.
            ConditionalWritesError: the store has no conditional writes.
        """
        marks = {**_checksums(content), _TOKEN: token}
        for attempt in range(_ATTEMPTS):
            answer = self._try_create(key, content, marks)
            if answer is None:
                return
            if answer is Answer.TAKEN:
                found = self._same(key, content, marks)
                if found:
                    return
                if found is False:
                    raise AlreadyStoredError(f"{self.url(key)} exists already; choose another name", path=self.url(key))
            if attempt + 1 < _ATTEMPTS:
                self._pause(attempt)
        raise StoreUnavailableError(
            f"{self.url(key)}: the store does not say whether it was stored; it is tried again", reason=Answer.UNKNOWN
        )

    def put(self, key: str, content: bytes) -> None:
        """Store an object over an older one. For documents that only one writer replaces.

        Raises:
            StoreUnavailableError: old or new bytes are there; call again.
        """
        self._put(key, content, _checksums(content))

    def get(self, key: str) -> bytes:
        """All bytes. Raises NotStoredError (a FileNotFoundError), StoreUnavailableError."""
        return bytes(self._call("get", key, lambda: obstore.get(self._store, key).bytes()))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Some bytes. Raises as `get`."""
        return bytes(self._call("get", key, lambda: obstore.get_range(self._store, key, start=start, length=length)))

    def head(self, key: str) -> ObjectInfo:
        """What there is, without its bytes. Raises as `get`."""
        found = self._call("head", key, lambda: obstore.get(self._store, key, options={"head": True}))
        return _info(found.meta, found.attributes)

    def list_all(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key begins with `prefix/`, in order. May lag behind the truth on some stores.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        pages = self._call("list", prefix, lambda: list(obstore.list(self._store, prefix or None)))
        yield from sorted((_info(found) for page in pages for found in page), key=lambda info: info.key)

    def list_folder(self, prefix: str) -> tuple[list[str], list[ObjectInfo]]:
        """Names of the folders directly below `prefix/`, and the objects there, both in order. Raises as `list`."""
        found = self._call("list", prefix, lambda: obstore.list_with_delimiter(self._store, prefix or None))
        folders = sorted(folder.rstrip("/").rsplit("/", 1)[-1] for folder in found["common_prefixes"])
        objects = [each for each in found["objects"] if each["path"] != prefix]  # some stores list an emptied folder
        return folders, sorted(map(_info, objects), key=lambda info: info.key)

    def delete(self, key: str) -> None:
        """Remove an object; fine when there is none. Raises StoreUnavailableError."""
        self._call("delete", key, lambda: obstore.delete(self._store, key))

    def url(self, key: str) -> str:
        """The object's address, for people and engines."""
        return f"s3://{self.bucket}/{key}"

    def _try_create(self, key: str, content: bytes, marks: dict[str, str]) -> Answer | None:
        """One conditional PUT; None when it is stored."""
        if not self.has_conditional_writes:
            return self._create_unguarded(key, content, marks)
        begin_s = time.perf_counter()
        try:
            obstore.put(self._store, key, content, attributes=_sent(marks), mode="create", use_multipart=False)
        except _ERRORS as error:
            answer = Answer.TAKEN if isinstance(error, AlreadyExistsError | PreconditionError) else sort_answer(error)
            self.observe("put", answer.value, time.perf_counter() - begin_s)
            if answer is Answer.UNSUPPORTED or isinstance(error, NotSupportedError):
                raise ConditionalWritesError(
                    f"s3://{self.bucket}: the store has no conditional writes (If-None-Match: *); use another store, "
                    "or set s3.conditional_writes = false if only one writer ever writes there"
                ) from error
            if answer in (Answer.DENIED, Answer.NO_BUCKET):
                raise StoreUnavailableError(explain(self.url(key), error), reason=answer) from error
            return answer
        self.observe("put", "ok", time.perf_counter() - begin_s)
        return None

    def _create_unguarded(self, key: str, content: bytes, marks: dict[str, str]) -> Answer | None:
        """Look, then put: safe for one writer, because doing it again puts the same bytes."""
        found = self._same(key, content, marks)
        if found is None:
            self._put(key, content, marks)
            return None
        return None if found else Answer.TAKEN

    def _put(self, key: str, content: bytes, marks: dict[str, str]) -> None:
        self._call(
            "put", key, lambda: obstore.put(self._store, key, content, attributes=_sent(marks), use_multipart=False)
        )

    def _same(self, key: str, content: bytes, marks: dict[str, str]) -> bool | None:
        """Whether the key holds these bytes under this token; None when it holds nothing."""
        try:
            found = self.head(key)
        except NotStoredError:
            return None
        if found.size_bytes != len(content) or (found.token or "") != marks[_TOKEN]:
            return False
        return found.sha256 == marks[_SHA256] if found.sha256 else self.get(key) == content

    def _call(self, operation: str, key: str, call: Callable[[], ResultT]) -> ResultT:
        """Make a call that may be made again, a few times."""
        attempt = 0
        while True:
            begin_s = time.perf_counter()
            try:
                result = call()
            except FileNotFoundError as error:
                answer = sort_answer(error)
                self.observe(operation, answer.value, time.perf_counter() - begin_s)
                if answer is Answer.NO_BUCKET:
                    raise StoreUnavailableError(explain(self.url(key), error), reason=answer) from error
                raise NotStoredError(f"{self.url(key)}: no such object", path=self.url(key)) from error
            except _ERRORS as error:
                answer = sort_answer(error)
                if isinstance(error, PermissionDeniedError | UnauthenticatedError):
                    answer = Answer.DENIED
                self.observe(operation, answer.value, time.perf_counter() - begin_s)
                attempt += 1
                if answer in (Answer.DENIED, Answer.NO_BUCKET) or attempt == _ATTEMPTS:
                    raise StoreUnavailableError(explain(self.url(key), error), reason=answer) from error
                self._pause(attempt)
            else:
                self.observe(operation, "ok", time.perf_counter() - begin_s)
                return result

    def _pause(self, attempt: int) -> None:
        self._sleep(random.uniform(0, min(_BACKOFF_S[1], _BACKOFF_S[0] * 2**attempt)))  # noqa: S311 - jitter


def prove_conditional_writes(store: ObjectStore, key: str, *, keep: bool) -> None:
    """Find out whether the store keeps its word: create a key twice, with different bytes.

    Args:
        store: the bucket.
        key: for this alone.
        keep: leave the object there, so that no right to delete is needed; the next time it is found taken at once.

    Raises:
        ConditionalWritesError: it overwrites, or it has no conditional writes; the text says what can be done.
        StoreUnavailableError: it does not answer, or does not let us in.
    """
    try:
        for _ in range(2):
            store.create(key, uuid.uuid4().hex.encode())
    except AlreadyStoredError:
        store.is_proven = True
        return
    finally:
        if not keep:
            store.delete(key)
    raise ConditionalWritesError(
        f"{store.url(key)}: the store overwrote it although it was told not to (If-None-Match: *); use another store "
        "or a newer version of it, or set s3.conditional_writes = false if only one writer ever writes there"
    )


@cache
def _opened(bucket: str, access: S3Access) -> ObjectStore:
    return ObjectStore(bucket, access)


def _checksums(content: bytes) -> dict[str, str]:
    return {_SHA256: hashlib.sha256(content).hexdigest(), _CRC32C: crc32c_hex(content)}


def _sent(marks: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in marks.items() if value}


def _info(found: Any, marks: Mapping[str, str] | None = None) -> ObjectInfo:
    marks = marks or {}
    modified_ns = int(found["last_modified"].timestamp() * 1_000_000) * 1_000
    return ObjectInfo(
        found["path"],
        found["size"],
        modified_ns,
        marks.get(_SHA256),
        marks.get(_TOKEN),
        crc32c=marks.get(_CRC32C),
        e_tag=found.get("e_tag"),
    )
