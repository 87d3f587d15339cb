"""Who we are at NATS: every kind of identity works against a real server, and no secret leaves in the clear."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js import JetStreamContext
from pydantic import SecretStr
from tests.nats.rig import SUBJECT, assert_exactly, rig, until
from tests.nats.secrets import make_authority, nkey_file, operator_mode, secret_file

from ticklake.base.clock import SystemClock
from ticklake.base.errors import ConfigError, UnavailableError
from ticklake.base.metrics import Metrics
from ticklake.base.settings_groups import NatsSettings
from ticklake.gold.writer import GoldWriter
from ticklake.ingest.api import JetStreamApi
from ticklake.ingest.bus import NatsBus
from ticklake.testing.nats_config import ServerOptions, SyncMode, TlsFiles, User
from ticklake.testing.nats_server import NatsServer

PERMISSIONS = Path(__file__).parents[2] / "backend" / "docs" / "reference" / "nats-permissions.md"
SECRET = "correct-horse-battery"


def new_bus(**nats: Any) -> NatsBus:
    return NatsBus(NatsSettings(**nats), clock=SystemClock(), metrics=Metrics(version="test"))


def server(*, users: tuple[User, ...] = (), tls: TlsFiles | None = None, extra: str = "") -> NatsServer:
    return NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT, users=users, tls=tls, extra=extra))


async def assert_connects(**nats: Any) -> None:
    """Connected means: the server answered a call of ours."""
    bus = new_bus(**nats)
    await bus.connect()
    try:
        assert bus.is_connected
        assert b"streams" in await bus.request("$JS.API.STREAM.NAMES", b"")
    finally:
        await bus.close()


async def assert_refused(match: str, **nats: Any) -> None:
    with pytest.raises(UnavailableError, match=match) as caught:
        await new_bus(**nats).connect()
    assert SECRET not in str(caught.value)


async def test_user_and_password(tmp_path: Path) -> None:
    async with server(users=(User("lake", SECRET),)) as running:
        await assert_connects(url=running.url, user="lake", password=SecretStr(SECRET))
        await assert_connects(url=running.url.replace("//", f"//lake:{SECRET}@"))
        await assert_refused("(?i)authorization", url=running.url, user="lake", password=SecretStr("wrong"))
        await assert_refused("(?i)authorization", url=running.url)


async def test_nkey(tmp_path: Path) -> None:
    path, public = nkey_file(tmp_path / "seed")
    stranger, _ = nkey_file(tmp_path / "other")
    async with server(users=(User(nkey=public),)) as running:
        await assert_connects(url=running.url, nkey_file=path)
        await assert_refused("(?i)authorization", url=running.url, nkey_file=stranger)


async def test_credentials_file_in_operator_mode(tmp_path: Path) -> None:
    path, config = operator_mode(tmp_path / "user.creds")
    stranger, _ = operator_mode(tmp_path / "other.creds")
    async with server(extra=config) as running:
        await assert_connects(url=running.url, creds_file=path)
        await assert_refused("(?i)authorization", url=running.url, creds_file=stranger)


@pytest.mark.parametrize("key", ["nkey_file", "creds_file"])
async def test_a_key_file_that_others_can_read_or_that_is_none_is_refused_before_anything_is_sent(
    key: str, tmp_path: Path
) -> None:
    good, _ = nkey_file(tmp_path / "seed") if key == "nkey_file" else operator_mode(tmp_path / "seed")
    good.chmod(0o640)
    garbage = secret_file(tmp_path / "garbage", "this is no key\n")
    for path, why in ((good, "chmod 600"), (tmp_path / "missing", "readable file"), (garbage, "no (seed|credentials)")):
        with pytest.raises(ConfigError, match=why) as caught:
            await new_bus(url="nats://127.0.0.1:1", **{key: path}).connect()
        assert key in str(caught.value)
        assert "this is no key" not in str(caught.value)


@pytest.mark.parametrize("is_first", [False, True], ids=["after INFO", "handshake first"])
async def test_tls_with_our_own_authority_and_no_other(is_first: bool, tmp_path: Path) -> None:
    ours, theirs = make_authority(tmp_path / "ours"), make_authority(tmp_path / "theirs")
    extra = ""
    if is_first:
        extra = f'tls {{ cert_file: "{ours.tls.certificate}", key_file: "{ours.tls.key}", handshake_first: true }}'
    async with server(tls=None if is_first else ours.tls, extra=extra) as running:
        url = running.url.replace("nats://", "tls://")
        await assert_connects(url=url, tls_ca=ours.ca, tls_first=is_first)
        await assert_refused("(?i)certificate", url=url, tls_ca=theirs.ca, tls_first=is_first)
        await assert_refused("(?i)certificate", url=url, tls_first=is_first)


async def test_tls_checks_the_name_of_the_server(tmp_path: Path) -> None:
    other_host = make_authority(tmp_path, host="DNS:nats.example.org")
    async with server(tls=other_host.tls) as running:
        await assert_refused("(?i)certificate", url=running.url, tls_ca=other_host.ca)


async def test_a_client_certificate_is_shown_when_the_server_wants_one(tmp_path: Path) -> None:
    ours = make_authority(tmp_path)
    async with server(tls=TlsFiles(ours.tls.certificate, ours.tls.key, client_ca=ours.ca)) as running:
        url = running.url.replace("nats://", "tls://")
        await assert_connects(url=url, tls_ca=ours.ca, tls_cert=ours.client_certificate, tls_key=ours.client_key)
        await assert_refused(".", url=url, tls_ca=ours.ca)


class Impostor:
    """Speaks NATS without TLS and writes down every byte it gets."""

    def __init__(self, **info: object) -> None:
        self.received = bytearray()
        self._info = {"server_id": "X", "version": "2.12.0", "max_payload": 1 << 20, "proto": 1, "headers": True} | info

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with listener:
            port = listener.sockets[0].getsockname()[1]
            yield f"127.0.0.1:{port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO " + json.dumps(self._info).encode() + b"\r\n")
        try:
            while chunk := await reader.read(65_536):
                self.received += chunk
                if chunk.startswith(b"\x16"):  # a TLS handshake: answer nonsense, so that nobody has to wait
                    writer.write(b"no TLS here\r\n")
                if b"PING\r\n" in chunk:
                    writer.write(b"PONG\r\n")
        except ConnectionError:
            pass  # the client leaves as it likes
        finally:
            writer.close()


@pytest.mark.parametrize("is_first", [False, True], ids=["after INFO", "handshake first"])
@pytest.mark.parametrize("kind", ["password", "url", "nkey", "creds"])
async def test_a_server_that_takes_tls_away_gets_nothing(kind: str, is_first: bool, tmp_path: Path) -> None:
    """Somebody on the line removes `tls_required` from the server's greeting."""
    authority = make_authority(tmp_path / "ca")
    seed, _ = nkey_file(tmp_path / "seed")
    creds, _ = operator_mode(tmp_path / "creds")
    identity: dict[str, Any] = {
        "password": {"user": "lake", "password": SecretStr(SECRET)},
        "url": {},
        "nkey": {"nkey_file": seed},
        "creds": {"creds_file": creds},
    }[kind]
    impostor = Impostor(auth_required=True, nonce="abc")
    async with impostor.listening() as address:
        url = f"nats://lake:{SECRET}@{address}" if kind == "url" else f"nats://{address}"
        await assert_refused(
            "." if is_first else "did not offer TLS", url=url, tls_ca=authority.ca, tls_first=is_first, **identity
        )
    sent = bytes(impostor.received)
    for word in (SECRET, "lake", "CONNECT", "jwt", "sig", creds.read_text().splitlines()[1]):
        assert word.encode() not in sent, f"{word} was sent in the clear: {sent!r}"
    assert is_first == bool(sent), "only the first bytes of a TLS handshake may leave"


async def test_the_password_is_sent_where_no_tls_was_asked_for() -> None:
    """Proves that the impostor above would see it."""
    impostor = Impostor(auth_required=True)
    async with impostor.listening() as address:
        bus = new_bus(url=f"nats://{address}", user="lake", password=SecretStr(SECRET))
        await bus.connect()
        await bus.close()
    assert SECRET.encode() in impostor.received


@pytest.mark.parametrize(("version", "is_ok"), [("2.9.25", False), ("1.4.1", False), ("2.10.0", True), ("3.0.1", True)])
async def test_a_server_that_is_too_old_is_refused_for_good(version: str, is_ok: bool) -> None:
    async with Impostor(version=version).listening() as address:
        bus = new_bus(url=f"nats://{address}")
        if is_ok:
            await bus.connect()
            await bus.close()
            return
        with pytest.raises(ConfigError, match=r"is too old; 2\.10 or newer is needed"):
            await asyncio.wait_for(bus.run(), 20)  # the service must end with that text, not try for ever


def documented(heading: str) -> tuple[str, ...]:
    text = PERMISSIONS.read_text().split(f"\n{heading}:\n\n```\n")[1].split("\n```")[0]
    return tuple(line.replace("<id>", "rig") for line in text.splitlines())


async def ack_floor(jetstream: JetStreamContext) -> int:
    """The stream sequence up to which the server considers everything acked."""
    info = await jetstream.consumer_info("MARKET_DATA", "ticklake-rig-market_data")
    return 0 if info.ack_floor is None else info.ack_floor.stream_seq


async def test_the_documented_permissions_are_enough_and_forbid_the_rest(tmp_path: Path) -> None:
    reader = User("lake", SECRET, publish=documented("Publish"), subscribe=documented("Subscribe"))
    async with server(users=(reader, User("admin", "admin"))) as running:
        admin = await nats.connect(running.url, user="admin", password="admin")
        jetstream = admin.jetstream(timeout=30)
        await jetstream.add_stream(name="MARKET_DATA", subjects=["market.>"])
        await jetstream.add_stream(name="LEVEL_SIGNALS", subjects=["levels.>"])
        identity = {"url": running.url, "user": "lake", "password": SecretStr(SECRET)}
        bus = new_bus(**identity)
        await bus.connect()
        expected = []
        for life in range(2):  # the second one looks at the message at its position
            async with rig(tmp_path, bus) as writer:
                for number in range(20):
                    expected.append(b"%d %d" % (life, number))
                    await jetstream.publish(SUBJECT, expected[-1])
                await writer.stored(20)
                async with asyncio.timeout(60):  # the acks get through, and the server enters them when it likes
                    while await ack_floor(jetstream) != 20 * (life + 1):  # noqa: ASYNC110 - only the server knows
                        await asyncio.sleep(0.02)
                gold = GoldWriter(bus, settings=writer.settings.model_copy(update={"state_dir": tmp_path / "gold"}))
                await gold.start()
                await jetstream.publish("levels.signals", b"no JSON, so a quarantine row")
                await until(lambda gold=gold: gold.writers[0].counts.received == 1, "the signal is in the log")
                await gold.stop()
                assert gold.writers[0].counts.received == 1
        assert_exactly(tmp_path, expected)
        for forbidden in ("STREAM.PURGE.MARKET_DATA", "STREAM.DELETE.MARKET_DATA"):
            await bus.publish(f"$JS.API.{forbidden}", b"")
        assert (await JetStreamApi(bus).stream("MARKET_DATA")).messages == 40, "a reader cannot destroy what it reads"
        await bus.close()
        await admin.close()
