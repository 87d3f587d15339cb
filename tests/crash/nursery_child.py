"""Imports the service once, then forks a `ticklake serve` for each line that it is given.

A line in is `{"environment": {...}, "log": path}`, the line out the new process's number. The process stops at once
(SIGSTOP), so that a tracer can take hold of it before it does anything. `{"ended": pid}` answers with its exit code.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys

MODULES = ("ticklake.cli.main", "ticklake.cli.serve", "ticklake.assemble", "ticklake.service.io_service")


def become_service(environment: dict[str, str], log: str) -> None:
    """Run the command in this process, as the console script does; never returns."""
    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["ticklake", "serve"]
    # Where only a parent may trace, let anybody (PR_SET_PTRACER, PR_SET_PTRACER_ANY); elsewhere it does nothing.
    ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    importlib.import_module("ticklake.cli.main").run()


def main() -> None:
    """Serve requests until the other end closes."""
    for module in MODULES:
        importlib.import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        if "ended" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["ended"], 0)[1])
        elif (answer := os.fork()) == 0:
            become_service(request["environment"], request["log"])
        else:
            os.waitpid(answer, os.WUNTRACED)  # until it has stopped
        print(answer, flush=True)


if __name__ == "__main__":
    main()
