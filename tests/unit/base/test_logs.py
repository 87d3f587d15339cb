import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ticklake.base.logs import LogControl, set_up_logs
from ticklake.base.settings import Settings
from ticklake.base.settings_groups import NatsSettings
from ticklake.base.settings_secrets import secret_values


class FrozenClock:
    def wall_ns(self) -> int:
        return 1_734_359_412_000_000_007

    def monotonic_s(self) -> float:
        return 0.0


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def start(stream: io.StringIO, **options: str) -> LogControl:
    return set_up_logs(stream=stream, clock=FrozenClock(), **options)  # type: ignore[arg-type]


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_its_time_first(stream: io.StringIO) -> None:
    start(stream)
    structlog.get_logger().bind(lane="market_data").info("wal.segment_closed", rows=3)
    assert stream.getvalue() == (
        '{"time":"2024-12-16T14:30:12.000000007Z","level":"info","event":"wal.segment_closed",'
        '"lane":"market_data","rows":3}\n'
    )


def test_the_level_turns_while_running_also_for_loggers_made_before(stream: io.StringIO) -> None:
    log = structlog.get_logger()  # as modules make theirs, when imported
    control = start(stream, level="warning")
    bound = structlog.get_logger().bind(room="y")
    bound.info("room.unheard")
    control.set_level("debug")
    bound.debug("room.heard")
    log.debug("room.heard")
    assert [line["event"] for line in lines(stream)] == ["room.heard", "room.heard"]


def test_secrets_are_masked_at_any_depth(stream: io.StringIO) -> None:
    start(stream)
    try:
        _ = {}["nats://me:planted@host"]  # an error whose text is an address
    except KeyError:
        structlog.get_logger().error(
            "nats.refused",
            password="planted",
            options={"nkey_seed": "planted", "deep": [{"auth_token": "planted", "url": "nats://u:planted@h"}]},
            text="tls://u:planted@h:1",
            creds_file="/run/me.creds",
            exc_info=True,
        )
    assert "planted" not in stream.getvalue()
    assert lines(stream)[0]["creds_file"] == "/run/me.creds"
    assert "KeyError" in str(lines(stream)[0]["exception"])


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_text_of_a_stranger_cannot_start_a_line_or_flood_the_log(stream: io.StringIO, log_format: str) -> None:
    start(stream, log_format=log_format)
    structlog.get_logger().warning(
        "ingest.subject_refused", subject='a\nERROR fake\x1b[31m\udc80"', payload=b"\x00" * 10_000, long="x" * 10_000
    )
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "\x1b[31m" not in text.replace("\x1b[31m\x1b[1m", "")  # the renderer's own colours apart
    assert len(text) < 1500


def test_locals_never_reach_the_log(stream: io.StringIO) -> None:
    start(stream, log_format="console")
    local = "plan" + "ted"
    try:
        _ = 1 / (len(local) - 7)
    except ZeroDivisionError:
        structlog.get_logger().error("room.failed", exc_info=True)
    assert "ZeroDivisionError" in stream.getvalue()
    assert "planted" not in stream.getvalue()


def test_library_records_come_in_our_shape(stream: io.StringIO) -> None:
    start(stream)
    logging.getLogger("nats.aio").warning("lost %s", "nats://me:planted@host")
    logging.getLogger("nats.aio").info("chat")
    (line,) = lines(stream)
    assert (line["event"], line["library"], line["level"]) == ("library.logged", "nats.aio", "warning")
    assert line["text"] == "lost nats://**********@host"


def test_setting_up_twice_does_not_double_the_lines(stream: io.StringIO) -> None:
    start(stream)
    start(stream)
    logging.getLogger("some.library").warning("once")
    assert len(lines(stream)) == 1


def test_numbers_and_nulls_stay_themselves(stream: io.StringIO) -> None:
    start(stream)
    structlog.get_logger().info("lake.file_published", rows=7, took_s=0.5, whole=True, missing=None, names=("a", "b"))
    (line,) = lines(stream)
    assert [line[key] for key in ("rows", "took_s", "whole", "missing", "names")] == [7, 0.5, True, None, ["a", "b"]]


def test_a_secret_of_the_settings_is_hidden_wherever_it_stands(stream: io.StringIO) -> None:
    control = start(stream)
    secrets = {"nats": {"url": "nats://me:url%2Dsecret@h:4222"}, "tables": {"x": {"api_key": "table-secret"}}}
    settings = Settings(nats=NatsSettings(user="u", password="pass secret"), tables=secrets["tables"])
    control.hide(secret_values(settings) | secret_values(Settings(nats=NatsSettings(**secrets["nats"]))))
    try:
        raise RuntimeError("the store said: pass secret, table-secret, url-secret and url%2Dsecret are unknown")  # noqa: TRY301
    except RuntimeError as error:
        structlog.get_logger().error(
            "store.refused",
            error=error,
            deep=[{"a": [{"b": {"c": {"text": "pass secret"}}}]}],
            raw=b"table-secret",
            exc_info=True,
        )
    assert not any(text in stream.getvalue() for text in ("pass secret", "table-secret", "url-secret", "url%2Dsecret"))
    assert "are unknown" in stream.getvalue()


def test_a_payload_of_megabytes_is_cut_before_it_is_looked_at(stream: io.StringIO) -> None:
    start(stream)
    structlog.get_logger().warning("ingest.refused", payload=b"x" * 8_000_000, text="password='" + "y" * 8_000_000)
    (line,) = lines(stream)
    assert len(str(line["payload"])) < 300
    assert "yy" not in str(line["text"])


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_hides_keys_tokens_and_presigned_addresses(stream: io.StringIO, log_format: str) -> None:
    start(stream, log_format=log_format)
    text = "PUT http://s3/b/k?X-Amz-Signature=planted&X-Amz-Credential=planted%2F2024; Authorization: Bearer planted"
    try:
        raise OSError(text) from ValueError("secret_key='planted' -----BEGIN PRIVATE KEY-----\nplanted")  # noqa: TRY301
    except OSError:
        structlog.get_logger().error("store.failed", exc_info=True)
    assert "planted" not in stream.getvalue()
    assert "OSError" in stream.getvalue()
