"""A real day with a planted password, from the publisher to the readers: nothing that anybody wrote holds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.harness import Service, run_ticklake
from tests.e2e.real_data import tidy_files
from tests.security.planted import SecretPlace, leaks, secret_places

from ticklake.testing.nats_config import ServerOptions, SyncMode, User
from ticklake.testing.nats_server import NatsServer

PASSWORD = SecretPlace("nats__password", "value").secret
READERS: tuple[tuple[str, ...], ...] = (
    ("verify", "--deep", "--output", "json"),
    ("ls",),
    ("sql", "SELECT count(*) FROM crypto.trades"),
    ("tables",),
    ("recipe", "polars", "crypto.trades"),
    ("quarantine", "ls"),
    ("config", "show"),
)


@pytest.mark.nightly
def test_nothing_that_a_real_day_writes_holds_the_password(tmp_path: Path) -> None:
    folder = tmp_path / "day"
    options = ServerOptions(sync=SyncMode.DEFAULT, users=(User("lake", PASSWORD),))
    with NatsServer(tmp_path / "nats", options=options) as server:
        identity = {place.key: place.secret for place in secret_places() if place.kind == "value"} | {
            "nats__user": "lake",
            "log_level": "debug",
        }
        said = []
        with Service(folder, server.url, settings=identity) as service:
            for table in ("trades", "quotes"):
                words = ("publish", *tidy_files(table), "--subject", f"market.crypto.{table}", "--batch", "200")
                run = run_ticklake(*words, settings=identity | {"nats__url": server.url})
                assert run.returncode == 0, run.stderr
                said += [run.stdout, run.stderr]
            server.restart()
            service.wait_for(lambda: bool(service.events("ingest.reconnected")), "is back")
            service.wait_ready()
            service.wait_for(lambda: service.lane()["waiting"] == 0 == service.lane()["pending"], "has all in files")
            for page in ("/status.json", "/metrics", "/readyz?verbose"):
                said.append(service.get(page)[1].decode())
            assert service.terminate() == 0, service.log_tail()
        for words in READERS:
            run = run_ticklake(*words, settings=identity | {"data_root": service.data_root})
            assert run.returncode == 0, run.stderr
            said += [run.stdout, run.stderr]
    (folder / "said").write_text("\n".join(said))
    (folder / "server.log").write_bytes((tmp_path / "nats" / "server.log").read_bytes())
    assert len(list(folder.rglob("*.parquet"))) > 10, "there was no day"
    assert not leaks(folder, [place.secret for place in secret_places()], apart_from=set())
