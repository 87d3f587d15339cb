"""A connection for programs that publish: the first try is an answer, later losses heal in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import nats.errors

from ticklake.base.errors import UnavailableError
from ticklake.base.redact import redact_url
from ticklake.base.settings_groups import NatsSettings
from ticklake.ingest.client import LakeClient
from ticklake.ingest.connection import Callbacks, connect_options, wants_tls

_TIMEOUT_S: Final = 10.0


async def dial(settings: NatsSettings, *, name: str, complain: Callable[[str], None]) -> LakeClient:
    """Connect once.

    Args:
        settings: where, and who we are there.
        name: of the connection, as the server shows it.
        complain: told in one line what the connection suffers; what was not acknowledged is sent again by the caller.

    Raises:
        UnavailableError: the first try failed.
        ConfigError: a key or certificate file cannot be used.
    """

    async def on_error(error: Exception) -> None:
        complain(f"nats: {_words(error)}")

    async def on_change() -> None:
        """Nothing to do."""

    client = LakeClient(require_tls=wants_tls(settings), fast_lane=settings.fast_lane)
    options = connect_options(settings, Callbacks(on_error, on_change, on_change, on_change), name=name)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await client.connect(**(options | {"max_reconnect_attempts": 1}))
    except (nats.errors.Error, OSError, TimeoutError) as error:
        await client.close()
        raise UnavailableError(
            f"cannot connect to NATS at {redact_url(settings.url)}: {_words(error)}; "
            "is the server running, are --url and the credentials in the settings right?"
        ) from error
    client.options["max_reconnect_attempts"] = -1
    return client


def _words(error: Exception) -> str:
    return redact_url(str(error)) or type(error).__name__
