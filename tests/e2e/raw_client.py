"""A NATS publisher written by hand on a socket: it can send what no client library would."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit

_TIMEOUT_S = 60.0
_READ_BYTES = 1 << 16
_WINDOW = 400  # acks under way; the server's answers to so many fit into the socket's buffers
_INBOX = b"_RAW.acks"
_MESSAGE = re.compile(rb"MSG (\S+) \S+ (?:\S+ )?(\d+)\r\n")


class Publication(NamedTuple):
    """One message.

    Attributes:
        subject: any bytes without white space.
        payload: any bytes.
        header: the whole header block with its closing empty line; None sends none.
    """

    subject: bytes
    payload: bytes
    header: bytes | None = None


class RawClient:
    """One connection. Use as `with`."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=_TIMEOUT_S)
        self._buffer = b""
        assert self._line().startswith(b"INFO ")
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "by hand"}
        self.send(b"CONNECT %s\r\nSUB %s.* 1\r\n" % (json.dumps(options).encode(), _INBOX))
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, frame: bytes) -> None:
        """Bytes as they are."""
        self._socket.sendall(frame)

    def flush(self) -> None:
        """Wait until the server has read everything; fails with what it complained about."""
        self.send(b"PING\r\n")
        while (line := self._line()) != b"PONG":
            assert not line.startswith(b"-ERR"), line

    def publish(self, message: Publication, *, reply: bytes = b"") -> None:
        """Send without waiting for anything."""
        self.send(frame_of(message, reply))

    def publish_acked(self, messages: Iterable[Publication]) -> list[int]:
        """Send through JetStream; the stream sequence of each message."""
        sequences: list[int] = []
        window: list[Publication] = []
        for message in messages:
            window.append(message)
            if len(window) == _WINDOW or len(message.payload) > _READ_BYTES:
                sequences += self._publish_window(window)
                window = []
        return sequences + self._publish_window(window)

    def _publish_window(self, messages: Sequence[Publication]) -> list[int]:
        frames = [frame_of(message, b"%s.%d" % (_INBOX, number)) for number, message in enumerate(messages)]
        self.send(b"".join(frames))
        sequences: dict[int, int] = {}
        while len(sequences) < len(messages):
            subject, body = self._message()
            ack = json.loads(body)
            number = int(subject.rpartition(b".")[2])
            assert "error" not in ack, (ack, messages[number].subject)
            assert not ack.get("duplicate"), (ack, messages[number].subject)
            sequences[number] = ack["seq"]
        return [sequences[number] for number in range(len(messages))]

    def _message(self) -> tuple[bytes, bytes]:
        while True:
            line = self._line()
            found = _MESSAGE.fullmatch(line + b"\r\n")
            if found is not None:
                return found[1], self._take(int(found[2]) + 2)[:-2]
            assert line in (b"PING", b"PONG"), line
            if line == b"PING":
                self.send(b"PONG\r\n")

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._read()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._read()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _read(self) -> None:
        found = self._socket.recv(_READ_BYTES)
        assert found, f"the server closed the connection after {self._buffer!r}"
        self._buffer += found


def frame_of(message: Publication, reply: bytes = b"") -> bytes:
    """PUB, or HPUB when there is a header block."""
    subject, payload, header = message
    words = subject + (b" " + reply if reply else b"")
    if header is None:
        return b"PUB %s %d\r\n%s\r\n" % (words, len(payload), payload)
    return b"HPUB %s %d %d\r\n%s%s\r\n" % (words, len(header), len(header) + len(payload), header, payload)
