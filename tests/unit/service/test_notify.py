import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ticklake.service.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    name = f"@ticklake-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        listener.settimeout(60)
        yield name, listener


def test_each_state_is_one_datagram(manager: tuple[str, socket.socket]) -> None:
    address, listener = manager
    notifier = Notifier(address)
    notifier.ready()
    notifier.status("2 lanes\nREADY=1")
    notifier.watchdog()
    notifier.extend_timeout(1.5)
    notifier.stopping()
    assert [listener.recv(1000) for _ in range(5)] == [
        b"READY=1",
        b"STATUS=2 lanes READY=1",
        b"WATCHDOG=1",
        b"EXTEND_TIMEOUT_USEC=1500000",
        b"STOPPING=1",
    ]


def test_without_a_manager_nothing_happens() -> None:
    Notifier(None).ready()
    Notifier("").ready()


def test_a_manager_that_went_away_is_logged_not_raised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Notifier(str(tmp_path / "gone")).ready()
    assert "service.notify_failed" in capsys.readouterr().out
