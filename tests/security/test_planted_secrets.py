"""Secrets planted in every setting never come out: not in pages, logs, errors, tracebacks, the log on disk, files."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.harness import Service, clean_environment
from tests.nats.secrets import make_authority, nkey_file, operator_mode
from tests.security.planted import SecretPlace, leaks, secret_places

from ticklake.cli.main import main
from ticklake.testing.nats_config import ServerOptions, SyncMode, User
from ticklake.testing.nats_server import NatsServer

PLACES = secret_places()
VALUES = [place for place in PLACES if place.kind == "value"]
PASSWORD = SecretPlace("nats__password", "value").secret
ACCEPTED = "ACCEPTED-by-the-server"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("config", "show"),
    ("config", "show", "--output", "json"),
    ("doctor",),
    ("nats", "init"),
    ("nats", "init", "--dry-run"),
    ("wal", "ls"),
    ("verify",),
    ("ls",),
    ("quarantine", "ls"),
)


class Evidence:
    """A folder where everything that was said is kept, beside everything that was written."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch = patch
        self._capture = capture
        self.folder = folder
        self.own: set[Path] = set()
        self._count = 0

    def keep(self, what: str | bytes) -> None:
        self._count += 1
        (self.folder / f"said-{self._count}").write_bytes(what if isinstance(what, bytes) else what.encode())

    def run(self, *words: object, settings: Mapping[str, object]) -> int:
        """One command, in this process: a start of Python for each would take minutes."""
        with self._patch.context() as patch:
            for name in [name for name in os.environ if name.startswith("TICKLAKE_") and not name.endswith("_BIN")]:
                patch.delenv(name)
            for key, value in settings.items():
                patch.setenv(f"TICKLAKE_{key.upper()}", str(value))
            code = main([str(word) for word in words])
        captured = self._capture.readouterr()
        self.keep(captured.out + captured.err)
        return code

    def check(self, *more: str) -> None:
        secrets = [place.secret for place in PLACES] + list(more)
        assert not (found := leaks(self.folder, secrets, apart_from=self.own)), "\n".join(found)


@pytest.fixture
def evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Evidence:
    folder = tmp_path / "evidence"
    folder.mkdir()
    return Evidence(folder, monkeypatch, capsys)


def planted(**more: object) -> dict[str, object]:
    """Every value planted at once, and a user to go with the password."""
    return {place.key: place.secret for place in VALUES} | {"nats__user": "lake"} | more


def test_the_settings_are_searched() -> None:
    found = {(place.key, place.kind) for place in PLACES}
    assert {("nats__password", "value"), ("nats__url", "address"), ("nats__creds_file", "file")} <= found
    assert {("nats__nkey_file", "file"), ("nats__password_file", "file"), ("nats__tls_key", "file")} <= found


def test_a_leak_is_found(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\x00..." + PASSWORD.encode() + b"\xff")
    assert leaks(tmp_path, [PASSWORD], apart_from=set()) == [f"deep/file: {PASSWORD}"]


def test_a_whole_life_with_every_value_planted(evidence: Evidence) -> None:
    folder = evidence.folder
    evidence.own.add(folder / "nats" / "nats.conf")
    options = ServerOptions(sync=SyncMode.DEFAULT, users=(User("lake", PASSWORD),))
    with NatsServer(folder / "nats", options=options) as server:
        settings = planted(nats__url=server.url)
        trades = folder / "trades.ndjson"
        trades.write_text('{"not": "a trade"}\nnot json\n')
        service = Service(folder, server.url, settings=settings | {"log_level": "debug"})
        with service:
            evidence.run("publish", trades, "--subject", "market.futures.trades", settings=settings)
            service.wait_logged("MARKET_DATA", 1)
            for page in ("/", "/readyz?verbose", "/status.json", "/metrics", "/version"):
                evidence.keep(service.get(page)[1])
            evidence.keep(first_event(service))
            service.signal(signal.SIGUSR2)  # all stacks
            service.signal(signal.SIGHUP)  # reads the settings again
            service.wait_for(lambda: bool(service.events("service.reloaded")), "has reloaded")
            service.kill()  # the log on disk is looked at as it is
            evidence.keep(b"".join(path.read_bytes() for path in service.state_dir.rglob("*.wal")))
            service.start()
            service.wait_ready()
            assert service.terminate() == 0, service.log_tail()
        here: dict[str, object] = settings | {"data_root": service.data_root}
        for command in COMMANDS:
            assert evidence.run(*command, settings=here) in (0, 3), command
    assert any("wal/" in str(path) or path.suffix == ".parquet" for path in folder.rglob("*"))
    evidence.check()


def first_event(service: Service) -> bytes:
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as stream:
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        seen = b""
        while b"event: status" not in seen or not seen.endswith(b"\r\n"):
            seen += stream.recv(65_536)
        return seen


def test_failing_logins_and_lines(evidence: Evidence, tmp_path: Path) -> None:
    """The server refuses us, does not speak TLS, has another authority; the address itself holds a password."""
    folder = evidence.folder
    address = next(place for place in PLACES if place.key == "nats__url")
    ours, theirs = make_authority(tmp_path / "ours"), make_authority(tmp_path / "theirs")
    options = ServerOptions(sync=SyncMode.DEFAULT, users=(User("lake", ACCEPTED),))
    with (
        NatsServer(tmp_path / "plain", options=options) as plain,
        NatsServer(tmp_path / "tls", options=ServerOptions(sync=SyncMode.DEFAULT, tls=theirs.tls)) as tls,
    ):
        tempting = plain.url.replace("//", f"//lake:{address.secret}@")
        cases: dict[str, dict[str, Any]] = {
            "refused": planted(nats__url=plain.url),
            "in the address": {"nats__url": twice_wrong(tempting)},
            "nobody there": {"nats__url": f"nats://lake:{address.secret}@127.0.0.1:1"},
            "no TLS": planted(nats__url=plain.url, nats__tls_ca=ours.ca),
            "another authority": planted(nats__url=tls.url.replace("nats:", "tls:"), nats__tls_ca=ours.ca),
        }
        for case in cases.values():
            evidence.run("nats", "init", settings=case)
        evidence.run("doctor", settings=cases["refused"] | {"data_root": folder / "lake"})
        service = Service(folder, plain.url, settings=cases["in the address"] | {"nats__url": twice_wrong(tempting)})
        try:
            service.start(is_ready=False)
            service.wait_for(lambda: bool(service.events("ingest.connect_failed")), "fails to connect")
            evidence.keep(service.get("/readyz")[1] + service.get("/status.json")[1])
        finally:
            service.kill()
    evidence.check(ACCEPTED)


def twice_wrong(address: str) -> str:
    """Two servers, so that the text of an error holds both."""
    return f"{address},{address}"


def test_files_that_hold_secrets(evidence: Evidence, tmp_path: Path) -> None:
    """Each file setting: usable, garbage, readable by others, in the wrong place."""
    real = {
        "nats__nkey_file": nkey_file(tmp_path / "seed")[0],
        "nats__creds_file": operator_mode(tmp_path / "creds")[0],
    }
    seeds = [line for path in real.values() for line in path.read_text().splitlines() if line.startswith("SU")]
    assert len(seeds) == 2
    for place in (place for place in PLACES if place.kind == "file"):
        garbage = tmp_path / place.key
        garbage.write_text(f"{place.secret}\n")
        for path, mode in ((garbage, 0o600), (garbage, 0o644), (real.get(place.key, garbage), 0o600)):
            path.chmod(mode)
            settings = {"data_root": evidence.folder / "lake", "nats__url": "nats://127.0.0.1:1", place.key: path}
            settings |= {"nats__user": "lake"} if place.key == "nats__password_file" else {}
            for command in (("config", "show"), ("nats", "init")):
                evidence.run(*command, settings=settings)
    evidence.check(*seeds)


def test_settings_that_are_wrong_are_named_without_their_values(evidence: Evidence) -> None:
    for place in (place for place in PLACES if place.kind != "file"):
        given = f"nats://u:{place.secret}@h:1" if place.kind == "address" else place.secret
        evidence.run("config", "show", settings={place.key: given})  # alone: companions are missing
        evidence.run("config", "show", settings={f"{place.key}x": given})  # misspelt
        evidence.run("config", "show", settings={place.key: f"::{place.secret}@:", "http__port": "many"})
        group, _, name = place.key.rpartition("__")
        if group:
            evidence.run("config", "show", settings={group: json.dumps({name: [given]})})
            evidence.run("config", "show", settings={group: f'{{"{name}": "{given}'})  # no JSON
            config = evidence.folder / "ticklake.toml"
            evidence.own.add(config)
            config.write_text(f'[{group}]\n{name} = "{given}"\nodd = "{given}"\n')
            evidence.run("config", "show", "--config", config, settings={})
    evidence.check()


def test_an_error_nobody_expected_shows_its_traceback_and_no_secret(evidence: Evidence) -> None:
    code = (
        "import sys, ticklake.cli.main as main\n"
        "from ticklake.ingest import bus, connection\n"
        "async def broken(self):\n"
        "    callbacks = connection.Callbacks(*[None] * 4)\n"
        "    options = connection.connect_options(self._settings, callbacks, name='x')\n"
        "    raise ValueError('options ' + str(len(options)))\n"
        "bus.NatsBus.connect = broken\n"
        "sys.argv = ['ticklake', 'serve', '--http-port', '0']\n"
        "main.run()\n"
    )
    environment = clean_environment(planted(data_root=evidence.folder / "lake", nats__url="nats://127.0.0.1:1"))
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=200, check=False)
    evidence.keep(run.stdout + run.stderr)
    assert run.returncode == 1
    assert b"Traceback" in run.stderr
    assert b"ValueError: options" in run.stderr
    evidence.check()
