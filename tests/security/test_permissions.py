"""deploy/nats/permissions.conf: with it everything works and the server complains of nothing; each line is needed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import nats
import pytest
from pydantic import SecretStr
from tests.e2e.harness import Service, clean_environment, run_ticklake, ticklake_command, wait_until

from ticklake.assemble import build_service
from ticklake.base.settings import Settings
from ticklake.base.settings_groups import BronzeSettings, GoldSettings, NatsSettings
from ticklake.readers.verify import verify_lake
from ticklake.service.io_service import IOService
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

FILE = Path(__file__).parents[2] / "deploy" / "nats" / "permissions.conf"
PASSWORDS = {"ticklake": "reads-only", "ticklake-core": "reads-only", "feed": "says-only", "admin": "makes-only"}
_VARIABLES = 'TICKLAKE_PASSWORD: "reads-only"\nFEED_PASSWORD: "says-only"\nADMIN_PASSWORD: "makes-only"\n'
_USER = re.compile(r"^ *user: (\S+)$")
_RIGHT = re.compile(r'^ *"(\S+)"$')
GOOD = (
    '{"ts_event_ns": 1734358200000000000, "ts_recv_ns": 1, "symbol": "ESZ5", "price": 1.0, "size": 1, "aggressor": 1}\n'
)


class Line(NamedTuple):
    """One right of one user."""

    number: int
    user: str
    subject: str


def lines_of(text: str) -> list[Line]:
    found, user = [], ""
    for number, line in enumerate(text.splitlines()):
        if named := _USER.match(line):
            user = named[1]
        elif right := _RIGHT.match(line):
            found.append(Line(number, user, right[1]))
    return found


def without(text: str, line: Line) -> str:
    kept = text.splitlines()
    kept[line.number] = '"nothing"'  # not an empty list: to the server that means everything
    return "\n".join(kept) + "\n"


LINES = lines_of(FILE.read_text())


class Guarded:
    """A server whose rights can be changed while it runs."""

    def __init__(self, server: NatsServer) -> None:
        self.server = server
        self._plain = (server.folder / "nats.conf").read_text()

    def allow(self, *permissions: str) -> None:
        """Use these instead; takes effect for new connections, and throws out whose rights changed."""
        users = "\n".join(text.partition("users: [")[2].rpartition("]")[0] for text in permissions)
        rule = f"{_VARIABLES}authorization {{ users: [\n{users}\n] }}\n"
        (self.server.folder / "nats.conf").write_text(self._plain + rule)
        reloads = self.log().count("Reloaded server configuration")
        os.kill(self.server.pid, signal.SIGHUP)
        wait_until(lambda: self.log().count("Reloaded server configuration") > reloads, "the rights are in force")

    def log(self) -> str:
        return self.server.log_path.read_text(errors="replace")

    def violations(self, user: str) -> list[str]:
        """What the server refused to that user."""
        return [line for line in self.log().splitlines() if "Violation" in line and f'/user:{user}"' in line]

    def wait_refused(self, user: str, *, times: int) -> None:
        what = f"{user} is refused {times} times"
        wait_until(lambda: len(self.violations(user)) >= times, what, seen=lambda: self.violations(user))

    def url(self, user: str) -> str:
        return self.server.url.replace("//", f"//{user}:{PASSWORDS[user]}@")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    with NatsServer(tmp_path / "nats", options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        yield Guarded(server)


def init_streams(guarded: Guarded) -> None:
    run = run_ticklake("nats", "init", settings={"nats__url": guarded.url("admin")})
    assert run.returncode == 0, run.stderr


def publish(guarded: Guarded, folder: Path) -> None:
    path = folder / "trades.ndjson"
    path.write_text(GOOD * 20)
    run = run_ticklake(
        "publish", path, "--subject", "market.futures.trades", settings={"nats__url": guarded.url("feed")}
    )
    assert run.returncode == 0, run.stderr


def test_the_file_includes_as_it_stands_and_needs_its_passwords(tmp_path: Path) -> None:
    config = tmp_path / "server.conf"
    (tmp_path / "permissions.conf").write_text(FILE.read_text())
    config.write_text("include ./permissions.conf\n")
    program = Path(ticklake_command()).with_name("nats-server")
    given = {"TICKLAKE_PASSWORD": "one", "FEED_PASSWORD": "two", "ADMIN_PASSWORD": "three"}

    def check(variables: dict[str, str]) -> int:
        return subprocess.run([program, "-t", "-c", config], env=variables, capture_output=True, check=False).returncode

    assert check(given) == 0
    for name in given:
        assert check({key: value for key, value in given.items() if key != name}) != 0, f"starts without {name}"


def test_the_service_lives_with_these_rights(guarded: Guarded, tmp_path: Path) -> None:
    guarded.allow(FILE.read_text())
    init_streams(guarded)
    identity = {"nats__user": "ticklake", "nats__password": PASSWORDS["ticklake"], "writer_id": "lake"}
    service = Service(tmp_path, guarded.server.url, settings=identity | {"nats__create_streams": "false"})
    with service:
        publish(guarded, tmp_path)
        service.wait_logged("MARKET_DATA", 20)
        service.restart()  # kill -9: the next life reads its position, and makes its consumer anew
        publish(guarded, tmp_path)
        service.wait_logged("MARKET_DATA", 40)
        service.wait_for(lambda: service.lane()["ack_pending"] == 0, "has acked all")
        assert service.terminate() == 0, service.log_tail()
    report = verify_lake(service.data_root, service.state_dir)
    assert report.is_ok, report.problems
    assert next(book.received for book in report.books if book.stream == "MARKET_DATA") == 40
    core = {"nats__user": "ticklake-core", "nats__password": PASSWORDS["ticklake-core"], "nats__mode": "core"}
    listener = Service(tmp_path / "core", guarded.server.url, settings=core)
    with listener:
        publish(guarded, tmp_path)
        listener.wait_for(lambda: listener.lane()["received"] == 20, "has heard all")
        assert listener.terminate() == 0, listener.log_tail()
    assert "Violation" not in guarded.log(), [line for line in guarded.log().splitlines() if "Violation" in line]


FORBIDDEN = {
    "ticklake": ("$JS.API.STREAM.PURGE.MARKET_DATA", "$JS.API.STREAM.DELETE.MARKET_DATA", "market.futures.trades",
                 "$JS.API.CONSUMER.DELETE.MARKET_DATA.of-somebody-else", "_INBOX_ticklake.x"),
    "ticklake-core": ("market.futures.trades", "$JS.API.INFO"),
    "feed": ("$JS.API.STREAM.PURGE.MARKET_DATA", "_INBOX_ticklake.x", "$JS.ACK.MARKET_DATA.ticklake-lake-market_data.1",
             "$JS.API.CONSUMER.CREATE.MARKET_DATA.of-somebody-else"),
    "admin": ("$JS.API.STREAM.PURGE.MARKET_DATA", "$JS.API.STREAM.DELETE.MARKET_DATA", "market.futures.trades"),
}  # fmt: skip


async def test_what_nobody_needs_is_forbidden(guarded: Guarded) -> None:
    await asyncio.to_thread(guarded.allow, FILE.read_text())
    for user, subjects in FORBIDDEN.items():
        client = await nats.connect(guarded.url(user), error_cb=_say_nothing)
        for subject in subjects:
            await client.publish(subject, b"")
        if user != "ticklake-core":
            await client.subscribe("market.>")
        await client.flush()
        await client.close()  # sends what the PING of `flush` has overtaken
        guarded.wait_refused(user, times=len(subjects) + (user != "ticklake-core"))
        refused = "\n".join(guarded.violations(user))
        for subject in subjects:
            assert f'"{subject}"' in refused, f"{user} may publish to {subject}"
        assert user == "ticklake-core" or "Subscription Violation" in refused, f"{user} may listen to the market"


@pytest.mark.nightly
async def test_each_line_of_the_service_is_needed(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One user and one writer for each line, all at once: first with every right, then each without its line."""
    monkeypatch.setattr("ticklake.ingest.bus.LOOK_EVERY_S", 0.2)
    monkeypatch.setattr("ticklake.ingest.bus._REQUEST_TIMEOUT_S", 1.0)
    monkeypatch.setitem(PASSWORDS, "ticklake", "reads-only")
    mine = [line for line in LINES if line.user == "ticklake"]
    assert len(mine) == 15
    whole = FILE.read_text()

    def own(text: str, n: int) -> str:
        """The rights of `ticklake` alone, for writer `lake{n}` and a user of that name."""
        begin = text.index("user: ticklake\n")
        block = "{ " + text[begin : text.index("user: ticklake-core")].rpartition("    {\n")[0]
        renamed = block.replace("user: ticklake\n", f"user: lake{n}\n").replace("ticklake-lake-", f"ticklake-lake{n}-")
        return f"users: [\n{renamed}\n]"

    await asyncio.to_thread(guarded.allow, whole, *(own(whole, n) for n in range(len(mine))))
    await asyncio.to_thread(init_streams, guarded)
    feed = await nats.connect(guarded.url("feed"), error_cb=_say_nothing)

    async def publish_one() -> None:
        for subject in ("market.odd", "levels.signals"):
            await feed.jetstream(timeout=30).publish(subject, b"x")

    async def live(until_true: Callable[[int, IOService], bool]) -> None:
        services = [
            build_service(small_settings(guarded, tmp_path / str(n), n), has_http=False) for n in range(len(mine))
        ]
        runs = [asyncio.ensure_future(service.run(handle_signals=False)) for service in services]
        try:
            await publish_one()
            async with asyncio.timeout(40):
                while not all(until_true(n, service) for n, service in enumerate(services)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            idle = [mine[n].subject for n, service in enumerate(services) if not until_true(n, service)]
            pytest.fail(f"nobody missed {idle}")
        finally:
            for service in services:
                service.stop()
            await asyncio.gather(*runs)

    await live(lambda _, service: [lane.position for lane in service.status.lanes] == [1, 1])
    assert not [line for n in range(len(mine)) for line in guarded.violations(f"lake{n}")]
    await asyncio.to_thread(guarded.allow, whole, *(own(without(whole, line), n) for n, line in enumerate(mine)))
    await live(lambda n, _: bool(guarded.violations(f"lake{n}")))
    for n, line in enumerate(mine):
        refused = guarded.violations(f"lake{n}")
        missing = line.subject.replace("-lake-", f"-lake{n}-").rstrip(">")
        assert all(missing in violation for violation in refused), refused
    with suppress(nats.errors.Error):
        await feed.close()


def small_settings(guarded: Guarded, folder: Path, n: int) -> Settings:
    quick = {"flush_seconds": 0.1, "flush_interval_min_s": 0.0}
    return Settings(
        data_root=folder,
        writer_id=f"lake{n}",
        nats=NatsSettings(url=guarded.server.url, user=f"lake{n}", password=SecretStr(PASSWORDS["ticklake"])),
        bronze=BronzeSettings(**quick),
        gold=GoldSettings(**quick),
    )


@pytest.mark.nightly
@pytest.mark.parametrize(
    "line",
    [pytest.param(line, id=f"{line.user} {line.subject}") for line in LINES if line.user != "ticklake"],
)
async def test_each_line_of_the_others_is_needed(guarded: Guarded, line: Line, tmp_path: Path) -> None:
    await asyncio.to_thread(guarded.allow, without(FILE.read_text(), line))
    use = {"feed": use_as_feed, "admin": use_as_admin, "ticklake-core": use_as_core}[line.user]
    children = use(guarded, tmp_path)
    try:
        if line.user == "feed":
            await use_stock_client(guarded)
        await asyncio.to_thread(wait_until, lambda: bool(guarded.violations(line.user)), "the server misses the right")
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert all(line.subject.rstrip("*>") in violation for violation in guarded.violations(line.user))


def use_as_feed(guarded: Guarded, folder: Path) -> list[subprocess.Popen[bytes]]:
    path = folder / "trades.ndjson"
    path.write_text(GOOD)
    return [
        _begin(guarded, "feed", "publish", path, "--subject", subject)
        for subject in ("market.futures.trades", "levels.signals")
    ]


def use_as_admin(guarded: Guarded, _: Path) -> list[subprocess.Popen[bytes]]:
    return [_begin(guarded, "admin", "nats", "init")]


def use_as_core(guarded: Guarded, folder: Path) -> list[subprocess.Popen[bytes]]:
    return [_begin(guarded, "ticklake-core", "serve", "--mode", "core", "--data", folder / "lake", "--http-port", "0")]


def _begin(guarded: Guarded, user: str, *words: object) -> subprocess.Popen[bytes]:
    environment = clean_environment({"nats__url": guarded.url(user)})
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        [ticklake_command(), *map(str, words)], env=environment, stdin=quiet, stdout=quiet, stderr=quiet
    )


async def use_stock_client(guarded: Guarded) -> None:
    """As a feed of any make publishes: with the client's own inbox."""
    client = await nats.connect(guarded.url("feed"), error_cb=_say_nothing)
    for subject in ("market.odd", "levels.odd"):
        with suppress(nats.errors.Error, nats.js.errors.Error):  # no stream here; only the rights count
            await client.jetstream(timeout=30).publish(subject, b"x", timeout=0.3)
    await client.close()


async def _say_nothing(_: Exception) -> None:
    """The server's log is what the test looks at."""
