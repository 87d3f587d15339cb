from pathlib import Path

import pytest
from pydantic import ValidationError

from ticklake.base.errors import ConfigError
from ticklake.base.settings import Settings, load_settings, reload_settings, service_manager
from ticklake.base.settings_explain import explain
from ticklake.base.settings_groups import is_loopback


def write(folder: Path, text: str) -> Path:
    path = folder / "ticklake.toml"
    path.write_text(text, encoding="utf-8")
    return path


def origins(settings: Settings) -> dict[str, tuple[str, str]]:
    return {line.key: (line.value, line.origin) for line in explain(settings)}


def test_defaults_are_those_of_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.data_root == tmp_path / "data"
    assert settings.state_dir == tmp_path / "data" / "_state"
    assert (settings.nats.url, settings.nats.mode) == ("nats://127.0.0.1:4222", "jetstream")
    assert (settings.bronze.flush_rows, settings.bronze.flush_seconds) == (1000, 5.0)
    assert (settings.gold.flush_rows, settings.gold.flush_seconds) == (500, 10.0)
    assert settings.bronze.flush_interval_min_s == settings.gold.flush_interval_min_s == 1.0
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8088)
    assert settings.wal.segment_bytes_max == 32 * 1024 * 1024


def test_flags_beat_environment_beats_file_beats_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write(tmp_path, "[bronze]\nflush_rows = 1\nflush_seconds = 1.5\nflush_interval_min_s = 0.5\n")
    monkeypatch.setenv("TICKLAKE_BRONZE__FLUSH_ROWS", "2")
    monkeypatch.setenv("TICKLAKE_BRONZE__FLUSH_SECONDS", "2.5")
    settings = load_settings(config=config, bronze__flush_rows=3, gold__flush_rows=None)
    found = origins(settings)
    assert found["bronze.flush_rows"] == ("3", "command line")
    assert found["bronze.flush_seconds"] == ("2.5", "environment TICKLAKE_BRONZE__FLUSH_SECONDS")
    assert found["bronze.flush_interval_min_s"] == ("0.5", f"file {config}")
    assert found["gold.flush_rows"] == ("500", "default")


def test_the_file_may_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_CONFIG", str(write(tmp_path, 'log_level = "DEBUG"\n')))
    assert load_settings().log_level == "debug"


def test_short_names_work_only_where_the_long_one_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_ROOT", "/lake/short")
    monkeypatch.setenv("NATS_URL", "nats://short:1")
    monkeypatch.setenv("TICKLAKE_NATS__URL", "nats://long:1")
    settings = load_settings()
    assert settings.data_root == Path("/lake/short")
    assert settings.state_dir == Path("/lake/short/_state")
    assert settings.nats.url == "nats://long:1"
    assert origins(settings)["data_root"][1] == "environment DATA_ROOT"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_WRITER_ID", "")
    monkeypatch.setenv("TICKLAKE_NATS__USER", "")
    settings = load_settings()
    assert settings.writer_id is None
    assert settings.nats.user is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TICKLAKE_DATA_ROT", "TICKLAKE_DATA_ROOT"),
        ("TICKLAKE_NATS__URLL", "TICKLAKE_NATS__URL"),
        ("TICKLAKE_NATS_URL", "TICKLAKE_NATS__URL"),
        ("ticklake_bronze__flush_row", "TICKLAKE_BRONZE__FLUSH_ROWS"),
        ("TICKLAKE_HTTP_PORT", "TICKLAKE_HTTP__PORT"),
    ],
)
def test_a_misspelt_variable_is_refused_with_a_suggestion(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=f"{name}: no such setting; did you mean {meant}"):
        load_settings()


def test_variables_that_orchestrators_inject_are_let_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "TICKLAKE_PORT",
        "TICKLAKE_HTTP_PORT",
        "TICKLAKE_PORT_8088_TCP",
        "TICKLAKE_PORT_8088_TCP_ADDR",
        "TICKLAKE_SERVICE_HOST",
        "TICKLAKE_SERVICE_PORT_HTTP",
        "TICKLAKE_TEST_SEED",
        "TICKLAKE_NATS_SERVER_BIN",
    ):
        monkeypatch.setenv(name, "tcp://10.0.0.1:8088")
    assert load_settings().http.port == 8088


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[nats]\nurll = 'x'\n", r"nats\.urll \(from file .*\): no such setting; did you mean nats\.url"),
        ("lakee = 1\n", r"lakee .*: no such setting"),
        ("[bronze]\nflush_rows = 'ten'\n", r"bronze\.flush_rows = 'ten' \(from file .*\): expected a whole number"),
        ("[bronze]\nflush_rows = 0\n", r"bronze\.flush_rows = 0 \(from .*: expected at least 1"),
        ("[wall]\nsync = 1\n", r"wall \(from file .*\): no such setting; did you mean wal"),
        ("[nats]\nurl = 5\n", r"nats\.url = 5 \(from file .*: expected text"),
        ("[gold]\nflush_seconds = inf\n", r"gold\.flush_seconds .*: expected a finite number"),
        ("[wal]\nsegment_bytes_max = '3 stones'\n", r"wal\.segment_bytes_max .*: expected a size such as"),
        ("[wal]\nsegment_bytes_max = '1KiB'\n", r"wal\.segment_bytes_max .*: expected at least 65536"),
        ("writer_id = 'A b'\n", r"writer_id .*: expected text that matches"),
        ("log_level = 'loud'\n", r"log_level .*: expected 'debug', 'info', 'warning' or 'error'"),
        ("data_root = 'gs://bucket/lake'\n", r"data_root.*: expected a local folder, or s3://bucket/prefix"),
        ("data_root = 's3://key:hunter2hunter2@bucket/lake'\n", r"data_root.*: expected no user and password"),
        ("data_root = 's3:///lake'\n", r"data_root.*: expected a local folder, or s3://bucket/prefix"),
        ("state_dir = 's3://bucket/state'\n", r"state_dir.*: expected a local folder: the log and unfinished"),
        ("[s3]\nendpoint = 'ftp://host'\n", r"s3\.endpoint .*: expected http://host:port"),
        ("[s3]\naccess_key = 'abcdefgh'\n", r"s3: expected access_key and secret_key together"),
        ("[nats]\nurl = 'http://x'\n", r"nats\.url .*: expected nats://host:port"),
        ("[nats]\nurl = 'nats://a:1, ws://b:1'\n", r"nats\.url .*: expected nats://host:port, or tls://host:port"),
        ("[nats]\npassword = 'hunter2hunter2'\n", r"nats: expected a user beside the password"),
        ("[nats]\nuser = 'a'\ncreds_file = 'b'\n", r"nats: expected one of creds_file, nkey_file and user"),
        ("[nats]\ntls_cert = 'a'\n", r"nats: expected tls_cert and tls_key together"),
        ("[http]\nhost = '0.0.0.0'\n", r"http: expected allow_remote = true beside host '0\.0\.0\.0'"),
        ("nats = 5\n", r"nats: expected a table of values"),
        ("config = 'other.toml'\n", r"`config` names the file itself"),
        ("[nats\n", r"not TOML"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_settings(config=write(tmp_path, text))
    for noise in ("pydantic", "Input should", "https://", "hunter2"):
        assert noise not in str(caught.value)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(data_root="gs://x", http__port=99999, log_format="xml")
    assert all(key in str(caught.value) for key in ("data_root", "http.port", "log_format"))
    assert "state_dir" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: No such file"):
        load_settings(config=tmp_path / "absent.toml")


def test_broken_json_in_a_variable_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_NATS", "{")
    with pytest.raises(ConfigError, match="must be JSON"):
        load_settings()


def test_user_tables_pass_through_untouched(tmp_path: Path) -> None:
    text = '[tables."fx.quotes"]\nsubject = "market.fx.quotes"\n[tables."fx.quotes".columns]\nbid = {type = "f64"}\n'
    settings = load_settings(config=write(tmp_path, text))
    assert settings.tables == {"fx.quotes": {"subject": "market.fx.quotes", "columns": {"bid": {"type": "f64"}}}}


def test_secrets_are_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_NATS__PASSWORD", "planted-one")
    monkeypatch.setenv("TICKLAKE_NATS__USER", "me")
    monkeypatch.setenv("TICKLAKE_NATS__URL", "nats://me:planted-two@host:4222")
    settings = load_settings()
    assert settings.nats.password is not None
    assert settings.nats.password.get_secret_value() == "planted-one"
    shown = " ".join(" ".join(line) for line in explain(settings)) + repr(settings.nats.password)
    assert "planted" not in shown
    monkeypatch.setenv("TICKLAKE_NATS__PASSWORD", '{"planted": 1}')
    monkeypatch.setenv("TICKLAKE_NATS__URL", "nats://me:planted-two@")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "planted" not in str(caught.value)


def test_a_password_file_is_read_without_its_newline(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("open sesame \n")
    settings = load_settings(nats__user="ali", nats__password_file=secret)
    assert settings.nats.password is not None
    assert settings.nats.password.get_secret_value() == "open sesame "
    assert origins(settings)["nats.password"] == ("**********", "nats.password_file")
    with pytest.raises(ConfigError, match="expected one of them"):
        load_settings(nats__user="ali", nats__password="x", nats__password_file=secret)
    with pytest.raises(ConfigError, match="absent"):
        load_settings(nats__user="ali", nats__password_file=tmp_path / "absent")


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.log_level = "debug"
    with pytest.raises(ValidationError):
        settings.nats.url = "nats://elsewhere:1"


def test_settings_by_hand_do_not_look_at_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_LOG_LEVEL", "debug")
    assert Settings().log_level == "info"


def test_every_setting_says_what_it_does_and_numbers_have_units() -> None:
    for line in explain(Settings()):
        assert line.doc, line.key
        if line.key.endswith(("_s", "_seconds")):
            assert line.unit == "s", line.key
        if line.key.endswith(("_bytes", "_bytes_max")):
            assert line.unit == "bytes", line.key


def test_loopback_hosts() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.evil"))


def test_the_service_manager_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert service_manager().notify_socket is None
    assert service_manager().watchdog_s is None
    monkeypatch.setenv("NOTIFY_SOCKET", "@manager")
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert (service_manager().notify_socket, service_manager().watchdog_s) == ("@manager", 30.0)
    monkeypatch.setenv("WATCHDOG_PID", "1")  # meant for another process
    assert service_manager().watchdog_s is None
    monkeypatch.delenv("WATCHDOG_PID")
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    with pytest.raises(ConfigError, match="WATCHDOG_USEC"):
        service_manager()


def test_a_table_of_the_environment_replaces_that_of_the_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(
        tmp_path,
        '[tables."fx.quotes"]\nsubject = "fx.quotes"\n[tables."fx.quotes".columns]\nbid = "price"\nask = "price"\n'
        '[tables."fx.other"]\nsubject = "fx.other"\n',
    )
    table = '{"fx.quotes": {"subject": "fx.q", "columns": {"bid": "float64"}}}'
    monkeypatch.setenv("TICKLAKE_TABLES", table)
    assert load_settings(config=config).tables == {
        "fx.quotes": {"subject": "fx.q", "columns": {"bid": "float64"}},
        "fx.other": {"subject": "fx.other"},
    }


def test_read_again_files_and_environment_are_new_and_the_command_line_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(tmp_path, 'log_level = "info"\n')
    settings = load_settings(config=config, nats__url="nats://flag:1", log_level=None)
    write(tmp_path, 'log_level = "warning"\n[nats]\nurl = "nats://file:1"\n')
    again = reload_settings(settings)
    assert (again.log_level, again.nats.url) == ("warning", "nats://flag:1")
    assert reload_settings(load_settings(config=config, log_level="debug")).log_level == "debug"
    monkeypatch.setenv("TICKLAKE_LOG_LEVEL", "error")
    assert reload_settings(again).log_level == "error"


def test_the_flush_rule_says_that_it_counts_messages() -> None:
    lines = {line.key: line for line in explain(Settings())}
    for key in ("bronze.flush_rows", "gold.flush_rows"):
        assert (lines[key].unit, "batch of rows counts once" in lines[key].doc) == ("messages", True)
