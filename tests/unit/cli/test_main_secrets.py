"""What the program says when it fails: no key, token or signed address in it, and still readable."""

from __future__ import annotations

import sys

import pytest

from ticklake.base.errors import ConfigError, UnavailableError
from ticklake.cli.main import _print_harmless, _report

SIGNED = "http://s3/b/k?X-Amz-Signature=planted"


def test_an_error_of_ours_hides_what_a_server_echoed(capsys: pytest.CaptureFixture[str]) -> None:
    assert _report([UnavailableError(f"the store refused {SIGNED}; look at the key")]) == 69
    told = capsys.readouterr().err
    assert "planted" not in told
    assert told.endswith("; look at the key\n")


def test_what_is_wrong_with_a_setting_stays_readable(capsys: pytest.CaptureFixture[str]) -> None:
    _report([ConfigError("nats.password: expected one of password and password_file")])
    assert "nats.password: expected one of" in capsys.readouterr().err


def test_a_bug_ends_with_its_traceback_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise RuntimeError(SIGNED)  # noqa: TRY301
    except RuntimeError:
        _print_harmless(*sys.exc_info())  # type: ignore[arg-type]
    told = capsys.readouterr().err
    assert "RuntimeError" in told
    assert "planted" not in told
