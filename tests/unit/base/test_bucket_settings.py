"""Promises of the settings of a lake in a bucket, under the long names and the short ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticklake.base.errors import ConfigError
from ticklake.base.settings import load_settings
from ticklake.base.settings_explain import explain
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import lake_place, place_of
from ticklake.files.s3_access import known_access


def test_a_writer_needs_a_local_folder_beside_a_bucket(tmp_path: Path) -> None:
    settings = load_settings(data_root="s3://bucket/some/lake/")
    assert settings.data_root == "s3://bucket/some/lake"
    with pytest.raises(ConfigError, match="TICKLAKE_STATE_DIR"):
        settings.writer_state_dir()
    assert load_settings(data_root="s3://b", state_dir=tmp_path).writer_state_dir() == tmp_path


def test_the_short_names_mean_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "USE_S3": "true",
        "S3_BUCKET": "spy-lake",
        "S3_ENDPOINT": "http://localhost:9000",
        "S3_ACCESS_KEY": "short-key",
        "S3_SECRET_KEY": "short-secret",
        "DATA_ROOT": "/var/lib/old",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.data_root == "s3://spy-lake"
    assert settings.state_dir == Path("/var/lib/old/_state")
    assert settings.origin("s3.endpoint") == "environment S3_ENDPOINT"
    monkeypatch.setenv("USE_S3", "0")
    assert load_settings().data_root == Path("/var/lib/old")
    monkeypatch.setenv("USE_S3", "1")
    monkeypatch.delenv("S3_BUCKET")
    with pytest.raises(ConfigError, match="S3_BUCKET"):
        load_settings()
    monkeypatch.setenv("DATA_ROOT", "s3://named/here")
    assert load_settings().data_root == "s3://named/here"


def test_keys_come_from_files_and_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("planted-key\n")
    (tmp_path / "secret").write_text("planted-secret\n")
    settings = load_settings(
        data_root="s3://filed/lake",
        s3__access_key_file=str(tmp_path / "key"),
        s3__secret_key_file=str(tmp_path / "secret"),
    )
    place = lake_place(settings)
    assert isinstance(place, ObjectPath)
    assert known_access("filed").secret_key == "planted-secret"
    assert place_of("s3://filed/lake") == place
    shown = f"{explain(settings)}{settings!r}{known_access('filed')!r}{place!r}"
    assert "planted" not in shown
    origins = {line.key: line.origin for line in explain(settings)}
    assert origins["s3.secret_key"] == "s3.secret_key_file"
