"""Containers without an engine: namespaces, a root file system made of mounts, and a user without any right.

`Pod` is a network of its own, so that every port is the one in the files. `Container` is one service of
`docker-compose.yml` on our image: its user, its read-only root, its tmpfs, its capabilities and its secrets are what
the files say, so a line that is missing there is a right too many here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from tests.deploy.dockerfile import Image
from tests.deploy.tools import DEPLOY, ROOT, compose, need
from tests.e2e.harness import EXIT_TIMEOUT_S, absent, wait_until

_LOOPBACK_UP = """
import fcntl, socket, struct, sys
line = socket.socket()
fcntl.ioctl(line, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up, running
print("up", flush=True)
sys.stdin.read()
"""
_ROOT_FILES = {
    "/etc/passwd": "root:x:0:0::/:/usr/sbin/nologin\nticklake:x:10001:10001::/var/lib/ticklake:/usr/sbin/nologin\n",
    "/etc/group": "root:x:0:\nticklake:x:10001:\n",
    "/etc/hosts": "127.0.0.1 localhost nats seaweedfs minio ticklake prometheus\n",  # the names compose would give
}
_DEVICES = ("null", "zero", "random", "urandom")


class Pod:
    """A network with nothing but a loopback; ends with the block."""

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            absent("root, to make namespaces and mounts")
        self._holder = subprocess.Popen(
            [need("unshare"), "--net", sys.executable, "-c", _LOOPBACK_UP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"up\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.communicate(timeout=EXIT_TIMEOUT_S)  # it ends with its standard input
        assert self._holder.stdout is not None

    def command(self, *command: object) -> list[str]:
        """`command`, so that it runs in this network."""
        return [need("nsenter"), f"--net=/proc/{self._holder.pid}/ns/net", "--", *map(str, command)]


class Container:
    """One service of the compose file, running on the image. Leaving the block kills it."""

    def __init__(
        self,
        pod: Pod,
        image: Image,
        service: Mapping[str, Any],
        *,
        folder: Path,
        secrets: Path,
        volumes: Mapping[str, Path] | None = None,
    ) -> None:
        """Prepare.

        Args:
            pod: the network.
            image: read from the Dockerfile.
            service: read from the compose file.
            folder: for its log and the mount point of its root.
            secrets: folder that `deploy/make-secrets` filled.
            volumes: what its named volumes are; each is given to the image's user, as an engine copies its owner.
        """
        self.log_path = folder / "container.log"
        self._pod = pod
        self._service = service
        self._root = folder / "root"
        self._root.mkdir(parents=True)
        self._secrets = secrets
        self._volumes = dict(volumes or {})
        self._user = [int(part) for part in service.get("user", "{}:{}".format(*image.user)).split(":")]
        for volume in self._volumes.values():
            volume.mkdir(exist_ok=True)
            os.chown(volume, *image.user)
        variables = image.environment | service.get("environment", {})
        self._environment = {name: _filled(value) for name, value in variables.items()}
        entrypoint = service.get("entrypoint", image.entrypoint)
        command = service.get("command", image.command if "entrypoint" not in service else [])
        self._start = [_filled(str(part)) for part in (*entrypoint, *command)]
        self._workdir = image.workdir
        self._stop_signal = signal.Signals[image.stop_signal]

    def __enter__(self) -> Self:
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self._pod.command(
                    *(need("unshare"), "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"),
                    *("/bin/sh", "-euc", self._script()),
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait(self._has_entered, "becomes the user of the container")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # unshare; its child dies with it
        self._process.wait(EXIT_TIMEOUT_S)

    @property
    def pid(self) -> int:
        """The first process of the container, as seen from here."""
        children = self._children() if self._process.poll() is None else []
        if not children:
            pytest.fail(f"the container ended with code {self._process.wait(EXIT_TIMEOUT_S)}\n{self.log()[-3000:]}")
        return int(children[0])

    def log(self) -> str:
        """What it printed."""
        return self.log_path.read_text(errors="replace")

    def wait_for(self, text: str) -> None:
        """Until it has printed `text`."""
        self._wait(lambda: text in self.log(), f"prints {text}")

    def rights(self) -> dict[str, str]:
        """`/proc/{pid}/status` of its first process."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: " ".join(value.split()) for name, value in (line.split(":", 1) for line in lines)}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command inside, as `docker exec` or a health check runs it."""
        return subprocess.run(
            [need("nsenter"), f"--target={self.pid}", "--mount", "--pid", "--net", "--", *self._entry(command)],
            capture_output=True,
            text=True,
            timeout=EXIT_TIMEOUT_S,
            check=False,
        )

    def exit_code(self) -> int:
        """How a job ended, once it has."""
        return self._process.wait(EXIT_TIMEOUT_S)

    def stop(self) -> int:
        """The image's stop signal; the exit code."""
        os.kill(self.pid, self._stop_signal)
        return self._process.wait(EXIT_TIMEOUT_S)

    def _wait(self, is_true: Callable[[], bool], what: str) -> None:
        def look() -> bool:
            if self._process.poll() == 0:
                return True  # a job, and already done
            if self._process.poll() is not None:
                pytest.fail(f"the container ended with code {self._process.returncode}\n{self.log()[-3000:]}")
            return is_true()

        wait_until(look, f"the container {what}", seen=lambda: self.log()[-3000:])

    def _children(self) -> list[str]:
        return Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()

    def _has_entered(self) -> bool:
        """Whether the first process has its root and its user; before that it is a shell of ours."""
        try:
            children = self._children()
            status = Path(f"/proc/{children[0]}/status").read_text() if children else ""
        except OSError:  # it ended meanwhile: the next look at it tells how
            return False
        return f"\nUid:\t{self._user[0]}\t" in status

    def _script(self) -> str:
        """Shell that builds the root, moves into it and becomes the first process."""
        root = shlex.quote(str(self._root))
        lines = ["mount --make-rprivate /", f"mount -t tmpfs -o mode=755 root {root}", f"cd {root}"]
        lines += [f"mkdir -p old etc proc dev tmp run .{shlex.quote(self._workdir)}", _bind("/etc/ssl")]
        for name in ("bin", "sbin", "lib", "lib64"):  # links into usr on every merged system
            lines.append(f"if [ -L /{name} ]; then cp -P /{name} .; elif [ -d /{name} ]; then {_bind('/' + name)}; fi")
        lines += [_bind("/usr"), "mount -t proc proc proc", "mkdir dev/shm", "mount -t tmpfs -o mode=1777 shm dev/shm"]
        lines += [f": > dev/{name}; mount --bind /dev/{name} dev/{name}" for name in _DEVICES]
        lines += [f"printf %s {shlex.quote(text)} > .{path}" for path, text in _ROOT_FILES.items()]
        for path in self._service.get("tmpfs", []):
            lines.append(f"mount -t tmpfs -o nosuid,nodev,mode=1777 tmp .{path}")
        lines += [_bind(path) for path in _python_folders()]
        lines += [_bind(sys.prefix, "/opt/venv")]
        lines += self._mounts()
        lines += ["pivot_root . old", "cd /", "umount -l /old", "rmdir /old"]
        if self._service.get("read_only"):
            lines.append("mount -o remount,ro /")
        return "\n".join([*lines, f"exec {shlex.join(self._entry(self._start))}"])

    def _mounts(self) -> list[str]:
        """Volumes, files of ours and secrets, where the compose file puts them."""
        lines = []
        for volume in self._service.get("volumes", []):
            source, target = volume.split(":")[:2]
            if source in self._volumes:
                lines += [f"mkdir -p .{target}", f"mount --bind {shlex.quote(str(self._volumes[source]))} .{target}"]
            else:
                lines.append(_bind_file(ROOT / source, target))
        names = {name: Path(secret["file"]).name for name, secret in compose()["secrets"].items()}
        for name in self._service.get("secrets", []):
            lines.append(_bind_file(self._secrets / names[name], f"/run/secrets/{name}"))
        return lines

    def _entry(self, command: Sequence[str]) -> list[str]:
        uid, gid = self._user
        rights = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        if "ALL" in self._service.get("cap_drop", []):
            rights += ["--bounding-set=-all", "--inh-caps=-all"]
        if "no-new-privileges:true" in self._service.get("security_opt", []):
            rights += ["--no-new-privs"]
        variables = [f"{name}={value}" for name, value in self._environment.items()]
        return [*rights, "env", "-i", f"--chdir={self._workdir}", *variables, *command]


def as_root(image: Image) -> Image:
    """An image of somebody else: its user is root, and of our environment it has the path alone."""
    return replace(image, user=(0, 0), workdir="/", environment={"PATH": image.environment["PATH"]})


def received(ticklake: Container) -> int:
    """Messages the running service has logged; none when it does not answer."""
    page = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8088/status.json').read().decode())"
    run = ticklake.run("python", "-c", page)
    return sum(lane["received"] for lane in json.loads(run.stdout)["lanes"]) if run.returncode == 0 else 0


def succeeds(container: Container, code: str) -> bool:
    """Whether this piece of Python ends well inside."""
    return container.run("python", "-c", code).returncode == 0


def is_healthy(seaweedfs: Container) -> bool:
    """The page of its health check in the compose file, asked without wget, which only its own image has."""
    page = compose()["services"]["seaweedfs"]["healthcheck"]["test"][-1]
    return succeeds(seaweedfs, f"import urllib.request; urllib.request.urlopen({page!r}, timeout=4)")


def _filled(text: str) -> str:
    """As compose reads it with nothing set: `${NAME:-default}` is the default, `$$` is `$`."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")


def _python_folders() -> list[str]:
    """What the interpreter of the image would bring: this one, its packages and ours; read-only, at the same paths."""
    paths = {Path(path).resolve() for path in (sys.prefix, sys.base_prefix, *sys.path) if path and Path(path).is_dir()}
    paths = {path for path in paths if path not in (ROOT, DEPLOY) and not path.is_relative_to("/usr")}
    return [
        str(path) for path in sorted(paths) if not any(path != other and path.is_relative_to(other) for other in paths)
    ]


def _bind(source: str, target: str | None = None) -> str:
    target = target or source
    return f"mkdir -p .{shlex.quote(target)}; {_mount_read_only(source, target)}"


def _bind_file(source: Path, target: str) -> str:
    place = shlex.quote(target)
    return f"mkdir -p $(dirname .{place}); : > .{place}; {_mount_read_only(str(source), target)}"


def _mount_read_only(source: str, target: str) -> str:
    place = "." + shlex.quote(target)
    return f"mount --bind {shlex.quote(source)} {place}; mount -o remount,bind,ro {place}"
