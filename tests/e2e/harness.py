"""The service as its users run it: `ticklake serve` in a process of its own, watched through its pages and its log.

    with NatsServer(...) as server, Service(tmp_path, server.url) as service:
        ...publish...
        service.wait_settled("MARKET_DATA", last_sequence)
        assert service.terminate() == 0

Every wait is bounded, and its failure says what was last seen. Leaving the block kills what still runs.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import pytest

# Far beyond what anything takes on a busy machine: patience costs nothing where the thing comes true.
START_TIMEOUT_S = 120.0
WAIT_TIMEOUT_S = 120.0
EXIT_TIMEOUT_S = 90.0  # above the grace time of the service, 25 s by default

_POLL_S = 0.02
_HTTP_TIMEOUT_S = 40.0
_LOG_TAIL_LINES = 15
_FOREIGN_NAMES = ("DATA_ROOT", "NATS_URL", "NOTIFY_SOCKET", "WATCHDOG_USEC")

Page = tuple[int, bytes]


def absent(what: str) -> NoReturn:
    """Skip this test because something it needs is not here; on CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: missing on CI, where every test must run")
    pytest.skip(what)


def need_tool(name: str) -> str:
    """Path of a program; skips the test without it."""
    return shutil.which(name) or absent(f"the program {name} is not installed")


def wait_until(
    is_true: Callable[[], bool], what: str, *, timeout_s: float = WAIT_TIMEOUT_S, seen: Callable[[], object] = str
) -> None:
    """Poll until `is_true`; fail with `what` and with `seen()` after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() > deadline_s:
            pytest.fail(f"{what}: not within {timeout_s:g} s; last seen: {seen()}")
        time.sleep(_POLL_S)


def ticklake_command() -> str:
    """The console script that stands beside this interpreter."""
    path = Path(sys.executable).with_name("ticklake")
    assert path.exists(), f"{path} is missing; install the package with `pip install -e .`"
    return str(path)


def clean_environment(settings: Mapping[str, object]) -> dict[str, str]:
    """The environment of this process without ticklake's names, plus `settings` (`nats__url` -> TICKLAKE_NATS__URL)."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith("TICKLAKE_") or name == "TICKLAKE_NATS_SERVER_BIN"
    }
    for name in _FOREIGN_NAMES:
        kept.pop(name, None)
    return kept | {f"TICKLAKE_{name.upper()}": str(value) for name, value in settings.items()}


def run_ticklake(
    *arguments: object, settings: Mapping[str, object] | None = None, timeout_s: float = WAIT_TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end. Look at `returncode`, `stdout`, `stderr`."""
    return subprocess.run(
        [ticklake_command(), *map(str, arguments)],
        env=clean_environment(settings or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


class Service:
    """One `ticklake serve` with a lake below `folder`; may be killed and started again on the same lake.

    Attributes:
        data_root: the lake.
        state_dir: the log.
        log_path: stderr (JSON lines) and stdout of all runs.
    """

    def __init__(
        self,
        folder: Path,
        nats_url: str,
        *,
        settings: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            folder: the lake is `lake` below it, the log `service.log`.
            nats_url: where the messages come from.
            settings: more settings by dotted-with-`__` name, `{"bronze__flush_seconds": 1}`; they win over ours.
            environment: more variables, as they are (`LD_PRELOAD`).
            wrapper: words before the command, `["strace", "-f", ...]`.
        """
        self.data_root = folder / "lake"
        self.state_dir = self.data_root / "_state"
        self.log_path = folder / "service.log"
        self.settings: dict[str, object] = {
            "data_root": self.data_root,
            "nats__url": nats_url,
            "nats__create_streams": "true",
            "http__port": 0,
            "log_format": "json",
            **(settings or {}),
        }
        self.state_dir = Path(str(self.settings.get("state_dir", self.state_dir)))
        self.data_root = Path(str(self.settings["data_root"]))
        self._environment = dict(environment or {})
        self._wrapper = list(wrapper)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begin = 0
        self._port: int | None = None

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self, *, is_ready: bool = True) -> None:
        """Start the process; wait until /readyz says 200 unless told not to."""
        assert not self.is_running(), f"the service runs already as process {self.pid}"
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log_begin = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._port = None
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._wrapper, ticklake_command(), "serve"],
                env=clean_environment(self.settings) | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if is_ready:
            self.wait_ready()

    def terminate(self, *, timeout_s: float = EXIT_TIMEOUT_S) -> int:
        """SIGTERM, then the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_exit(timeout_s=timeout_s)

    def kill(self) -> None:
        """Kill -9 (wrapper included) and wait until it is gone. Safe to repeat."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # a session of its own: nothing else is in the group
            self._process.wait(EXIT_TIMEOUT_S)

    def restart(self, *, is_ready: bool = True) -> None:
        """Kill -9 if it runs, then start again on the same lake."""
        self.kill()
        self.start(is_ready=is_ready)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, number)

    def flush(self) -> None:
        """Ask for the lake to take all that waits (SIGUSR1), now."""
        self.signal(signal.SIGUSR1)

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def wait_exit(self, *, timeout_s: float = EXIT_TIMEOUT_S) -> int:
        """The exit code, once it has ended by itself."""
        assert self._process is not None, "the service was never started"
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the service did not end within {timeout_s:g} s\n{self.log_tail()}")

    @property
    def pid(self) -> int:
        """Process id (of the wrapper, when there is one)."""
        assert self._process is not None, "the service was never started"
        return self._process.pid

    # -- what it says ------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """Port of its pages in this run; waits until it listens."""
        if self._port is None:
            self.wait_for(lambda: bool(self.events("web.listening")), "listens for HTTP", timeout_s=START_TIMEOUT_S)
            self._port = int(self.events("web.listening")[-1]["port"])
        return self._port

    def get(self, path: str) -> Page:
        """One page: HTTP status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_HTTP_TIMEOUT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """`/status.json`."""
        code, body = self.get("/status.json")
        assert code == http.client.OK, f"/status.json: {code} {body!r}"
        status: dict[str, Any] = json.loads(body)
        return status

    def lane(self, stream: str = "MARKET_DATA") -> dict[str, Any]:
        """What `/status.json` says about one stream. Its counters begin at the start of the process."""
        lane = self._find_lane(stream)
        assert lane is not None, f"{stream} has no lane yet: the service is still starting"
        return lane

    def _find_lane(self, stream: str) -> dict[str, Any] | None:
        return next((lane for lane in self.status()["lanes"] if lane["stream"] == stream), None)

    def events(self, name: str | None = None, *, all_runs: bool = False) -> list[dict[str, Any]]:
        """Log lines that are JSON, of this run or of all, with this event name or all."""
        lines = self.log_text(all_runs=all_runs).splitlines()
        found = [event for line in lines if (event := _as_event(line)) is not None]
        return [event for event in found if name is None or event.get("event") == name]

    def log_text(self, *, all_runs: bool = False) -> str:
        """Everything it wrote to stderr and stdout."""
        with self.log_path.open("rb") as log:
            log.seek(0 if all_runs else self._log_begin)
            return log.read().decode("utf-8", "replace")

    def log_tail(self) -> str:
        """The last lines, for the text of a failure."""
        return "\n".join(self.log_text().splitlines()[-_LOG_TAIL_LINES:])

    # -- waiting -----------------------------------------------------------------------------------------------------

    def wait_for(
        self,
        is_true: Callable[[], bool],
        what: str,
        *,
        timeout_s: float = WAIT_TIMEOUT_S,
        seen: Callable[[], object] = str,
    ) -> None:
        """Wait until `is_true`; an `OSError` (a page that does not answer) is a no. Fails at once when it ends."""
        deadline_s = time.monotonic() + timeout_s
        while not _answers(is_true):
            if not self.is_running():
                code = self._process.returncode if self._process is not None else None
                pytest.fail(f"the service ended with code {code} before it {what}\n{self.log_tail()}")
            if time.monotonic() > deadline_s:
                pytest.fail(f"the service never {what} in {timeout_s:g} s; last seen: {seen()}\n{self.log_tail()}")
            time.sleep(_POLL_S)

    def wait_ready(self, *, timeout_s: float = START_TIMEOUT_S) -> None:
        """Until messages flow: /readyz says 200."""
        answers: list[Page] = [(0, b"")]

        def is_ready() -> bool:
            answers[0] = self.get("/readyz")
            return answers[0][0] == http.client.OK

        self.wait_for(is_ready, "is ready", timeout_s=timeout_s, seen=lambda: answers[0])

    def wait_logged(self, stream: str, sequence: int, *, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Until everything up to this stream sequence is durable in the log."""
        self._wait_lane(stream, lambda lane: _has(lane, sequence), f"logged {stream} up to {sequence}", timeout_s)

    def wait_settled(self, stream: str, sequence: int, *, timeout_s: float = WAIT_TIMEOUT_S) -> dict[str, Any]:
        """Until everything up to this stream sequence is in files; the lane's last status.

        A message may be in the log a moment before it is counted as received: to look at counters, `wait_taken`.
        """
        return self._wait_lane(
            stream,
            lambda lane: _has(lane, sequence) and lane["waiting"] == 0,
            f"brought {stream} up to {sequence} into files",
            timeout_s,
        )

    def wait_taken(self, stream: str, messages: int, *, timeout_s: float = WAIT_TIMEOUT_S) -> dict[str, Any]:
        """Until this run has brought so many messages into files (duplicates count); the lane's last status."""
        return self._wait_lane(
            stream,
            lambda lane: lane["received"] - lane["waiting"] >= messages,
            f"brought {messages} messages of {stream} into files",
            timeout_s,
        )

    def _wait_lane(
        self, stream: str, is_true: Callable[[dict[str, Any]], bool], what: str, timeout_s: float
    ) -> dict[str, Any]:
        lanes: list[dict[str, Any]] = [{}]

        def look() -> bool:
            lanes[0] = self._find_lane(stream) or {}
            return bool(lanes[0]) and is_true(lanes[0])

        self.wait_for(look, what, timeout_s=timeout_s, seen=lambda: lanes[0])
        return lanes[0]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _answers(is_true: Callable[[], bool]) -> bool:
    try:
        return is_true()
    except (OSError, http.client.HTTPException):
        return False


def _has(lane: Mapping[str, Any], sequence: int) -> bool:
    return (lane["position"] or 0) >= sequence


def _as_event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
