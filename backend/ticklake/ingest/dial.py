"""Connecting: the first try is an answer to who asked, later losses heal in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import nats.errors

from ticklake.base.errors import UnavailableError
from ticklake.base.redact import redact_url
from ticklake.base.settings_groups import NatsSettings
from ticklake.ingest.client import LakeClient
from ticklake.ingest.connection import CONNECT_TIMEOUT_S, Callbacks, connect_options, servers, wants_tls


async def connect_once(settings: NatsSettings, callbacks: Callbacks, *, name: str) -> LakeClient:
    """Try each server once; whatever is lost after that heals for ever.

    Args:
        settings: where, and who we are there.
        callbacks: told what the connection suffers, this try included.
        name: of the connection, as the server shows it.

    Raises:
        UnavailableError: none took us; the cause is what the last one said, or how the line broke.
        ConfigError: a key or certificate file cannot be used.
    """
    told: Exception | None = None

    async def on_error(error: Exception) -> None:
        nonlocal told
        if isinstance(error, nats.errors.Error) or not isinstance(told, nats.errors.Error):
            told = error  # what the server said tells more than how the line broke after it
        await callbacks.on_error(error)

    client = LakeClient(require_tls=wants_tls(settings), fast_lane=settings.fast_lane)
    options = connect_options(settings, replace(callbacks, on_error=on_error), name=name)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S * (len(servers(settings)) + 1)):
            await client.connect(**(options | {"max_reconnect_attempts": 1}))
    except (nats.errors.Error, OSError, TimeoutError) as error:
        await client.close()
        reason = told or error  # the last try says more than "none"
        raise UnavailableError(
            f"cannot connect to NATS at {redact_url(settings.url)}: {words(reason)}; "
            "is the server running, are address and credentials right?"
        ) from reason
    client.options["max_reconnect_attempts"] = -1
    return client


async def dial(settings: NatsSettings, *, name: str, complain: Callable[[str], None]) -> LakeClient:
    """`connect_once` for programs that publish.

    Args:
        settings: where, and who we are there.
        name: of the connection, as the server shows it.
        complain: told in one line what the connection suffers; what was not acknowledged is sent again by the caller.

    Raises:
        UnavailableError: the first try failed.
        ConfigError: a key or certificate file cannot be used.
    """

    async def on_error(error: Exception) -> None:
        complain(f"nats: {words(error)}")

    async def on_change() -> None:
        """Nothing to do."""

    return await connect_once(settings, Callbacks(on_error, on_change, on_change, on_change), name=name)


def words(error: BaseException | None) -> str:
    """What an error says, without secrets; its kind when it says nothing."""
    return redact_url(str(error)) or type(error).__name__
