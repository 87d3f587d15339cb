"""Ports that are ours: nobody else gets them, a server of ours may listen on them as often as it likes."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ticklake.testing.held_ports import HeldPorts


@pytest.fixture
def held() -> Iterator[HeldPorts]:
    ports = HeldPorts()
    yield ports
    ports.release()


def test_a_held_port_is_refused_to_others_until_it_is_given_back(held: HeldPorts) -> None:
    port = held.take()
    other = HeldPorts()
    for _ in range(2):
        with pytest.raises(OSError, match="in use"):
            other.take(port)
    held.release()
    held.release()  # safe to repeat
    assert other.take(port) == port
    other.release()


def test_a_server_listens_beside_it_ends_and_listens_again(held: HeldPorts) -> None:
    port = held.take()
    for _ in range(2):
        with (
            socket.create_server(("127.0.0.1", port)) as server,  # with SO_REUSEADDR, as servers are
            socket.create_connection(("127.0.0.1", port), timeout=60) as client,
        ):
            line, _ = server.accept()
            with line:
                line.sendall(b"x")
                assert client.recv(1) == b"x"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=60)


def test_each_port_is_another_one(held: HeldPorts) -> None:
    assert len({held.take() for _ in range(50)}) == 50
