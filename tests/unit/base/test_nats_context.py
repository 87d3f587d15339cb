"""NATS_CONTEXT, NATS_CREDS and LOG_LEVEL, as other NATS programs know them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ticklake.base.errors import ConfigError
from ticklake.base.settings import load_settings
from ticklake.base.settings_explain import explain


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "nats" / "context"
    folder.mkdir(parents=True)
    return folder


def test_the_short_names_of_nats_programs_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_CREDS", "/etc/me.creds")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    settings = load_settings()
    assert (settings.nats.creds_file, settings.log_level) == (Path("/etc/me.creds"), "debug")
    assert {line.key: line.origin for line in explain(settings)}["nats.creds_file"] == "environment NATS_CREDS"
    monkeypatch.setenv("TICKLAKE_LOG_LEVEL", "error")
    assert load_settings().log_level == "error"


def test_a_named_context_is_read_above_the_file_and_below_every_variable(
    contexts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"description": "prod", "url": "nats://ctx:1", "creds": "/c.creds", "token": "", "ca": "/ca.pem", "nsc": ""}
    (contexts / "prod.json").write_text(json.dumps(said))
    (tmp_path / "t.toml").write_text('[nats]\nurl = "nats://file:1"\nmode = "core"\n')
    monkeypatch.setenv("NATS_CONTEXT", "prod")
    nats = load_settings(config=tmp_path / "t.toml").nats
    assert (nats.url, nats.creds_file, nats.tls_ca, nats.mode) == (
        "nats://ctx:1",
        Path("/c.creds"),
        Path("/ca.pem"),
        "core",
    )
    origin = {line.key: line.origin for line in explain(load_settings())}["nats.url"]
    assert origin == f"NATS context {contexts / 'prod.json'}"
    monkeypatch.setenv("NATS_URL", "nats://short:1")
    assert load_settings().nats.url == "nats://short:1"


def test_a_selected_context_that_nobody_named_is_not_read(contexts: Path) -> None:
    (contexts / "prod.json").write_text('{"url": "nats://ctx:1"}')
    (contexts.parent / "context.txt").write_text("prod")
    assert load_settings().nats.url == "nats://127.0.0.1:4222"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("gone", None, "gone.json: No such file.*nats context ls"),
        ("../prod", None, "expected the name of a context"),
        ("..", None, "expected the name of a context"),
        ("odd", "url: x", "not JSON"),
        ("odd", "[]", "expected a JSON object"),
        ("odd", '{"url": "nats://h", "token": "hunter2hunter2"}', "sets token, which we cannot follow"),
    ],
)
def test_a_context_that_cannot_be_followed_is_refused(
    contexts: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str | None, complaint: str
) -> None:
    if content is not None:
        (contexts / f"{name}.json").write_text(content)
    monkeypatch.setenv("NATS_CONTEXT", name)
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
