"""PURE: what an error of the object store client means for us."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from ticklake.base.errors import UnavailableError

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]{1,300})")
_DAMAGED: Final = frozenset({"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"})
_DENIED: Final = frozenset({"401", "403"})
_MOVED: Final = frozenset({"301", "307"})
_TAKEN: Final = frozenset({"409", "412"})


class Answer(StrEnum):
    """What became of a request."""

    MISSING = "missing"
    TAKEN = "exists"
    DENIED = "denied"
    NO_BUCKET = "no_bucket"
    UNSUPPORTED = "unsupported"
    DAMAGED = "damaged"
    UNKNOWN = "unknown"


class StoreUnavailableError(UnavailableError):
    """The object store does not answer, does not let us in, or does not say what became of a request.

    Attributes:
        reason: `denied` and `no_bucket` need a person; the others pass.
    """

    def __init__(self, text: str, *, reason: Answer) -> None:
        super().__init__(text)
        self.reason = reason

    def __reduce__(self) -> tuple[Callable[[str, Answer], StoreUnavailableError], tuple[str, Answer]]:
        return _unavailable, (str(self), self.reason)


def _unavailable(text: str, reason: Answer) -> StoreUnavailableError:
    return StoreUnavailableError(text, reason=reason)


def sort_answer(error: Exception) -> Answer:
    """The meaning of an error, from the status and the code that the store sent; without them it is unknown."""
    text = str(error)
    status, code = _first(_STATUS, text), _first(_CODE, text)
    if code == "NoSuchBucket" or status in _MOVED or code == "PermanentRedirect":
        return Answer.NO_BUCKET
    if status == "404" or isinstance(error, FileNotFoundError):
        return Answer.MISSING
    if status in _TAKEN:
        return Answer.TAKEN
    if status in _DENIED:
        return Answer.DENIED
    if status == "501" or code == "NotImplemented":
        return Answer.UNSUPPORTED
    if code in _DAMAGED:
        return Answer.DAMAGED
    return Answer.UNKNOWN


def explain(url: str, error: Exception) -> str:
    """One line for people: what, where, why, and what to do. Carries nothing that was signed."""
    text = str(error)
    answer = sort_answer(error)
    said = " ".join(filter(None, (_first(_STATUS, text), _first(_CODE, text), _first(_MESSAGE, text))))
    if answer is Answer.DENIED:
        return f"{url}: the store refuses us ({said}); check the access key and what it may do"
    if answer is Answer.NO_BUCKET:
        return f"{url}: the bucket is not there ({said}); make it, or correct its name and region"
    said = said or _shortened(text)
    return f"{url}: the store does not answer as it should ({said}); see that it runs and is reached, then try again"


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1].strip() if found else ""


def _shortened(text: str) -> str:
    """The client's own words, without the lines meant for its developers."""
    return " ".join(text.partition("Debug source:")[0].split())[:300]
