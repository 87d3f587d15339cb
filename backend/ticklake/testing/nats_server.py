"""A real nats-server as a child process: free ports, own folder, and every way to hurt it.

The binary itself is started, never a wrapper, so that `kill` hits the server and nothing else.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from ticklake.base.clock import SystemClock
from ticklake.base.errors import UnavailableError, UsageError
from ticklake.testing.child_process import ChildProcess
from ticklake.testing.nats_config import ServerOptions, render_config
from ticklake.testing.nats_find import find_server

_POLL_S = 0.01
_HEALTH_TIMEOUT_S = 2.0
_PAGE_TIMEOUT_S = 20.0
_HEALTH_PATH = "/healthz?js-enabled-only=true"
_LOG_TAIL_LINES = 5


class NatsServer(ChildProcess):
    """One nats-server on 127.0.0.1 with JetStream, from `start` to `stop`.

    Ports are picked by the system at the first start and stay ours until `stop`, so clients find their way back.
    The server runs in its own session: Ctrl-C on the terminal reaches the caller, who stops the server last.

    ```python
    with NatsServer() as server:  # or `async with`, which does not block the loop
        print(server.url)
    ```
    """

    name = "nats-server"

    def __init__(
        self,
        folder: Path | None = None,
        *,
        options: ServerOptions | None = None,
        binary: Path | None = None,
        start_timeout_s: float = 60.0,
    ) -> None:
        """Prepare a server; nothing runs yet.

        Args:
            folder: where config, log and JetStream store live; a temporary folder, removed by `stop`, when None.
            options: durability, limits, users, TLS.
            binary: the nats-server to run; searched for when None (see `find_server`).
            start_timeout_s: how long a start may take, recovery of the store included.

        Raises:
            UnavailableError: no binary, or one that cannot do what `options` ask.
        """
        self._options = options or ServerOptions()
        self._server = find_server(binary)
        self._start_timeout_s = start_timeout_s
        self._clock = SystemClock()  # a real process lives in real time
        temporary = tempfile.TemporaryDirectory(prefix="ticklake-nats-") if folder is None else None
        super().__init__(temporary)
        self.folder = Path(temporary.name) if temporary else Path(folder or ".")
        self._client_port = -1
        self._monitor_port = -1

    @property
    def url(self) -> str:
        """Where clients connect: `nats://127.0.0.1:port`."""
        return f"nats://127.0.0.1:{self._known(self._client_port)}"

    @property
    def monitor_url(self) -> str:
        """Where `/healthz`, `/jsz` and `/varz` answer: `http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self._known(self._monitor_port)}"

    @property
    def version(self) -> tuple[int, int, int]:
        """What the binary says it is, as (major, minor, patch)."""
        return self._server.version

    @property
    def store_dir(self) -> Path:
        """Where JetStream keeps its files."""
        return self.folder / "jetstream"

    @property
    def log_path(self) -> Path:
        """The server's log, kept over restarts."""
        return self.folder / "server.log"

    def start(self) -> None:
        """Start the process and wait until JetStream is healthy.

        Raises:
            UsageError: it runs already.
            UnavailableError: it ended early or did not become healthy in time; the text ends with its last log lines.
        """
        if self.is_running():
            raise UsageError(f"nats-server runs already as process {self.pid}; call stop first")
        ports_dir = self.folder / "ports"
        ports_dir.mkdir(parents=True, exist_ok=True)
        for stale in ports_dir.iterdir():  # left by a killed server
            stale.unlink()
        if self._client_port == -1:
            self._client_port, self._monitor_port = self._held.take(), self._held.take()
        config_path = self.folder / "nats.conf"
        config_path.write_text(
            render_config(
                self._options,
                store_dir=self.folder,  # the server adds `jetstream/` itself
                ports_dir=ports_dir,
                client_port=self._client_port,
                monitor_port=self._monitor_port,
            )
        )
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [self._server.path, "-c", config_path],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_ready(ports_dir)
        except BaseException:
            self.kill()
            raise

    def restart(self, *, timeout_s: float = 10.0) -> None:
        """Stop if needed, then start again on the same ports and store."""
        self.halt(timeout_s=timeout_s)
        self.start()

    def monitor(self, path: str) -> dict[str, object]:
        """The JSON a monitoring page answers, for example `/jsz?streams=true`.

        Raises:
            OSError: nobody listens or the server is paused.
        """
        status, body = self._get(path, timeout_s=_PAGE_TIMEOUT_S)
        if status != http.client.OK:
            raise UnavailableError(f"{self.monitor_url}{path}: HTTP {status}; look at {self.log_path}")
        answer: dict[str, object] = json.loads(body)
        return answer

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _wait_ready(self, ports_dir: Path) -> None:
        process = self._running()
        ports_path = ports_dir / f"{self._server.path.name}_{process.pid}.ports"
        deadline_s = self._clock.monotonic_s() + self._start_timeout_s
        while not self._read_ports(ports_path) or not self._is_healthy():
            if process.poll() is not None:
                raise UnavailableError(f"nats-server ended with code {process.returncode}: {self._log_tail()}")
            if self._clock.monotonic_s() > deadline_s:
                raise UnavailableError(
                    f"nats-server was not healthy after {self._start_timeout_s:g} s: {self._log_tail()}"
                )
            time.sleep(_POLL_S)

    def _read_ports(self, path: Path) -> bool:
        """Learn the ports; False while the server has not written them whole."""
        try:
            ports = json.loads(path.read_bytes())
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        self._client_port = urlsplit(ports["nats"][0]).port or -1
        self._monitor_port = urlsplit(ports["monitoring"][0]).port or -1
        return True

    def _is_healthy(self) -> bool:
        with suppress(OSError, http.client.HTTPException):  # not listening yet
            return self._get(_HEALTH_PATH, timeout_s=_HEALTH_TIMEOUT_S)[0] == http.client.OK
        return False

    def _get(self, path: str, *, timeout_s: float) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._known(self._monitor_port), timeout=timeout_s)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return " / ".join(lines) or f"it logged nothing; look at {self.folder}"

    @staticmethod
    def _known(port: int) -> int:
        if port == -1:
            raise UsageError("nats-server has no port yet; call start or use `with`")
        return port
