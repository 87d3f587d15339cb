import json
from pathlib import Path

import pytest

from ticklake.cli.main import main


def test_config_show_gives_value_unit_and_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "ticklake.toml"
    config.write_text("[bronze]\nflush_seconds = 2\n")
    monkeypatch.setenv("TICKLAKE_NATS__URL", "nats://me:planted@host:4222")
    assert main(["config", "show", "--config", str(config), "--output", "json"]) == 0
    text = capsys.readouterr().out
    lines = {line["key"]: line for line in json.loads(text)}
    assert "planted" not in text
    assert lines["bronze.flush_seconds"] | {"doc": ""} == {
        "key": "bronze.flush_seconds",
        "value": "2.0",
        "unit": "s",
        "origin": f"file {config}",
        "doc": "",
    }
    assert lines["nats.url"]["origin"] == "environment TICKLAKE_NATS__URL"


def test_config_show_as_a_table_has_one_line_per_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["key", "value", "unit", "origin"]
    assert lines[0].startswith("data_root")


def test_bad_configuration_is_78(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TICKLAKE_HTTP__PORT", "many")
    assert main(["config", "show"]) == 78
    assert "http.port = 'many'" in capsys.readouterr().err
