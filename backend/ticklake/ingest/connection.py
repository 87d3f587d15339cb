"""How to reach NATS: settings -> connection options, with nothing secret in any text."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nkeys

from ticklake.base.errors import ConfigError
from ticklake.base.settings_groups import NatsSettings

SERVER_VERSION_MIN = (2, 10)

CONNECT_TIMEOUT_S = 5  # a server
_RECONNECT_WAIT_S = 0.5
_PING_INTERVAL_S = 4  # with two outstanding pings a dead line is noticed within 12 s
_PINGS_OUTSTANDING_MAX = 2
_PENDING_BYTES = 8 * 1024 * 1024
INBOX_PREFIX = "_INBOX_ticklake"


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the connection tells us. None of them may raise."""

    on_error: Callable[[Exception], Awaitable[None]]
    on_disconnect: Callable[[], Awaitable[None]]
    on_reconnect: Callable[[], Awaitable[None]]
    on_closed: Callable[[], Awaitable[None]]


def servers(settings: NatsSettings) -> list[str]:
    """The server addresses, user-info included."""
    return [part.strip() for part in settings.url.split(",")]


def wants_tls(settings: NatsSettings) -> bool:
    """Whether the connection must be encrypted before anything secret is sent."""
    return bool(
        settings.tls_ca
        or settings.tls_cert
        or settings.tls_first
        or any(urlsplit(server).scheme == "tls" for server in servers(settings))
    )


def connect_options(settings: NatsSettings, callbacks: Callbacks, *, name: str) -> dict[str, Any]:
    """Options for `Client.connect`: heals for ever, checks the line every few seconds.

    Raises:
        ConfigError: a key or certificate file cannot be used.
    """
    options: dict[str, Any] = {
        "servers": servers(settings),
        "name": name,
        "error_cb": callbacks.on_error,
        "disconnected_cb": callbacks.on_disconnect,
        "reconnected_cb": callbacks.on_reconnect,
        "closed_cb": callbacks.on_closed,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "reconnect_time_wait": _RECONNECT_WAIT_S,
        "max_reconnect_attempts": -1,
        "ping_interval": _PING_INTERVAL_S,
        "max_outstanding_pings": _PINGS_OUTSTANDING_MAX,
        "pending_size": _PENDING_BYTES,
        "inbox_prefix": INBOX_PREFIX,
    }
    if wants_tls(settings):
        options["tls"] = _tls_context(settings)
        options["tls_handshake_first"] = settings.tls_first
    if settings.creds_file is not None:
        _check_credentials(settings.creds_file, _secret_content(settings.creds_file, "nats.creds_file"))
        options["user_credentials"] = str(settings.creds_file)
    if settings.nkey_file is not None:
        _check_seed(settings.nkey_file, _secret_content(settings.nkey_file, "nats.nkey_file"))
        options["nkeys_seed"] = str(settings.nkey_file)
    if settings.user is not None:
        options["user"] = settings.user
        options["password"] = settings.password.get_secret_value() if settings.password else ""
    return options


def _secret_content(path: Path, key: str) -> bytes:
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: {path}: {error.strerror}; give the path of a readable file") from error
    if mode & 0o077:
        raise ConfigError(f"{key}: {path} can be read by others (mode {mode & 0o777:03o}); run chmod 600 {path}")
    return content


def _check_seed(path: Path, content: bytes) -> None:
    """Look before the client does: it would report a bad seed as a lost server. The text never shows the content."""
    try:
        nkeys.from_seed(bytearray(content.strip())).wipe()
    except (ValueError, nkeys.NkeysError):
        raise ConfigError(f"nats.nkey_file: {path} holds no seed; give a file with the line that begins SU") from None


def _check_credentials(path: Path, content: bytes) -> None:
    if b"BEGIN NATS USER JWT" not in content or b"BEGIN USER NKEY SEED" not in content:
        raise ConfigError(f"nats.creds_file: {path} holds no credentials; give the .creds file with JWT and seed")


def _tls_context(settings: NatsSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(settings.tls_ca) if settings.tls_ca else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.tls_cert is not None:
            context.load_cert_chain(str(settings.tls_cert), str(settings.tls_key))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"nats.tls_ca / tls_cert / tls_key: {error}; give readable PEM files") from error
    return context
