import os

import pytest


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("TICKLAKE_") or name in ("DATA_ROOT", "NATS_URL", "NOTIFY_SOCKET", "WATCHDOG_USEC"):
            monkeypatch.delenv(name)
