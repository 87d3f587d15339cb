"""What an image made from our Dockerfile would do when it is started: the last stage, read as data."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Image:
    """How a container of the image starts.

    Attributes:
        base: the image of each stage, build arguments filled in.
        environment: ENV of the last stage.
        labels: LABEL of the last stage.
        user: (uid, gid).
        workdir, entrypoint, command, volumes, stop_signal: as the instruction says.
        healthcheck: the command, in exec form.
    """

    base: tuple[str, ...]
    environment: dict[str, str]
    labels: dict[str, str]
    user: tuple[int, int]
    workdir: str
    entrypoint: list[str]
    command: list[str]
    volumes: list[str]
    stop_signal: str
    healthcheck: list[str]


def read_image(path: Path) -> Image:
    """The image of a Dockerfile whose last stage uses exec forms and numeric users; anything else is an error."""
    instructions = list(_instructions(path.read_text()))
    arguments = dict(rest.partition("=")[::2] for word, rest in instructions if word == "ARG")
    starts = [number for number, (word, _) in enumerate(instructions) if word == "FROM"]
    bases = tuple(_filled(instructions[number][1].split()[0], arguments) for number in starts)
    last = instructions[starts[-1] + 1 :]
    one = dict(last)  # of an instruction that is repeated, the last one counts, as for the builder
    uid, gid = one["USER"].split(":")
    return Image(
        base=bases,
        environment=_pairs(rest for word, rest in last if word == "ENV"),
        labels=_pairs(rest for word, rest in last if word == "LABEL"),
        user=(int(uid), int(gid)),
        workdir=one["WORKDIR"],
        entrypoint=json.loads(one["ENTRYPOINT"]),
        command=json.loads(one["CMD"]),
        volumes=json.loads(one["VOLUME"]),
        stop_signal=one["STOPSIGNAL"],
        healthcheck=json.loads(one["HEALTHCHECK"].partition("CMD ")[2]),
    )


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, rest = line.split(maxsplit=1)
            yield word.upper(), rest.strip()


def _pairs(texts: Iterator[str]) -> dict[str, str]:
    return dict(part.partition("=")[::2] for text in texts for part in shlex.split(text))


def _filled(text: str, arguments: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda name: arguments[name[1]], text)
