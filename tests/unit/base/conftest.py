import os

import pytest


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    others = ("DATA_ROOT", "NATS_URL", "NATS_CREDS", "NATS_CONTEXT", "LOG_LEVEL", "NOTIFY_SOCKET", "WATCHDOG_USEC")
    for name in list(os.environ):
        if name.upper().startswith("TICKLAKE_") or name in others:
            monkeypatch.delenv(name)
