"""`validation.json` of a version: every check with its outcome, and the causality certificate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import msgspec

from ticklake.base.errors import CorruptError, NoDataError
from ticklake.files import atomic
from ticklake.files.place import Place
from ticklake.silver.causality import Certificate
from ticklake.silver.finding import Finding

FORMAT: Final = "ticklake.validation/1"


@dataclass(frozen=True, slots=True)
class Validation:
    """What was checked when a version was built.

    Attributes:
        checks: every check, passed or failed.
        causality: the certificate; None when the build ended before it.
    """

    checks: tuple[Finding, ...]
    causality: Certificate | None = None

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The checks that fail the build."""
        return tuple(finding for finding in self.checks if finding.fails)

    @property
    def passed(self) -> bool:
        """Whether no check fails the build and the certificate, where there is one, passed."""
        return not self.failures and (self.causality is None or self.causality.passed)


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    passed: bool
    checks: tuple[Finding, ...]
    causality: Certificate | None


def encode_validation(validation: Validation) -> bytes:
    """As indented JSON. Holds nothing of time or machine: equal validations give equal bytes."""
    causality = None if validation.causality is None else replace(validation.causality, seconds=None)
    document = _Document(FORMAT, validation.passed, validation.checks, causality)
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def decode_validation(content: bytes, *, path: str) -> Validation:
    """The validation in the content of a file.

    Raises:
        CorruptError: it is none; the text names the file.
    """
    try:
        document = msgspec.json.decode(content, type=_Document)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"{path}: {error}; build the version again") from error
    if document.format != FORMAT:
        raise CorruptError(f"{path} has format {document.format!r}, not {FORMAT!r}; build the version again")
    return Validation(document.checks, document.causality)


def write_validation(path: Place, validation: Validation) -> None:
    """Put it in place, whole, durably."""
    atomic.replace(path, encode_validation(validation))


def read_validation(path: Place) -> Validation:
    """What is in the file.

    Raises:
        NoDataError: there is no such file.
        CorruptError: it is no validation.
    """
    try:
        return decode_validation(path.read_bytes(), path=str(path))
    except FileNotFoundError as error:
        raise NoDataError(f"{path} does not exist; the version is not built, run `ticklake silver build`") from error
