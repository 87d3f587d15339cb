"""The words of a nats-server configuration: what we turn, and its text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

MIB = 1024 * 1024


class SyncMode(Enum):
    """When the server syncs a stored message to disk."""

    ALWAYS = "always"  # before the publisher gets its ack
    DEFAULT = "default"  # every two minutes: acknowledged messages die with the machine


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may connect.

    Attributes:
        name: the login name; ignored for an nkey.
        password: its password, None for an nkey.
        nkey: the public user key (`U...`), None for a password.
        publish: subjects it may publish to; empty means all.
        subscribe: subjects it may subscribe to; empty means all.
    """

    name: str = ""
    password: str | None = None
    nkey: str | None = None
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files for TLS on the client port.

    Attributes:
        certificate: the server's certificate.
        key: its private key.
        client_ca: who must have signed the clients' certificates; None asks clients for none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the server should be.

    Attributes:
        sync: durability of stored messages.
        payload_bytes_max: largest message.
        store_bytes_max: room for all streams; None leaves it to the server.
        users: who may connect; empty lets everybody in.
        tls: TLS files; None means plain text.
        extra: more lines of configuration, taken as they are.
    """

    sync: SyncMode = SyncMode.ALWAYS
    payload_bytes_max: int = 8 * MIB  # a batch of 1,000 book snapshots as Arrow fits four times
    store_bytes_max: int | None = None
    users: tuple[User, ...] = ()
    tls: TlsFiles | None = None
    extra: str = ""


def render_config(
    options: ServerOptions, *, store_dir: Path, ports_dir: Path, client_port: int, monitor_port: int
) -> str:
    """The configuration file; a port of -1 lets the system choose."""
    lines = [
        'host: "127.0.0.1"',
        f"port: {client_port}",
        f'http: "127.0.0.1:{monitor_port}"',
        f"ports_file_dir: {_quoted(ports_dir)}",
        f"max_payload: {options.payload_bytes_max}",
        f"max_pending: {max(64 * MIB, 2 * options.payload_bytes_max)}",
        "jetstream {",
        f"  store_dir: {_quoted(store_dir)}",
    ]
    if options.sync is SyncMode.ALWAYS:
        lines.append("  sync_interval: always")
    if options.store_bytes_max is not None:
        lines.append(f"  max_file_store: {options.store_bytes_max}")
    lines.append("}")
    if options.users:
        entries = ", ".join(_user(user) for user in options.users)
        lines.append(f"authorization {{ users: [{entries}] }}")
    if options.tls is not None:
        lines.append(_tls(options.tls))
    if options.extra:
        lines.append(options.extra)
    return "\n".join(lines) + "\n"


def _user(user: User) -> str:
    entry: dict[str, object] = {}
    if user.nkey is not None:
        entry["nkey"] = user.nkey
    else:
        entry["user"] = user.name
        entry["password"] = user.password or ""
    permissions = {
        side: {"allow": list(subjects)}
        for side, subjects in (("publish", user.publish), ("subscribe", user.subscribe))
        if subjects
    }
    if permissions:
        entry["permissions"] = permissions
    return json.dumps(entry)  # the configuration language reads JSON objects


def _tls(tls: TlsFiles) -> str:
    parts = [f"cert_file: {_quoted(tls.certificate)}", f"key_file: {_quoted(tls.key)}"]
    if tls.client_ca is not None:
        parts += [f"ca_file: {_quoted(tls.client_ca)}", "verify: true"]
    return f"tls {{ {', '.join(parts)} }}"


def _quoted(text: object) -> str:
    return json.dumps(str(text))
