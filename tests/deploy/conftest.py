"""The parts of a deployment that tests share: the image, a network, passwords, and NATS as it is shipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deploy.container import Container, Pod, as_root
from tests.deploy.dockerfile import Image, read_image
from tests.deploy.tools import DEPLOY, compose, run


@pytest.fixture(scope="module")
def image() -> Image:
    return read_image(DEPLOY / "Dockerfile")


@pytest.fixture(scope="module")
def pod() -> Iterator[Pod]:
    with Pod() as pod:
        yield pod


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    run("sh", DEPLOY / "make-secrets", folder)
    return folder


@pytest.fixture(scope="module")
def nats(pod: Pod, image: Image, secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """The shipped server as compose starts it: root of its image, without a single capability."""
    folder = tmp_path_factory.mktemp("nats")
    volumes = {"nats-store": folder / "store"}
    with Container(
        pod, as_root(image), compose()["services"]["nats"], folder=folder, secrets=secrets, volumes=volumes
    ) as server:
        server.wait_for("Server is ready")
        with Container(pod, image, compose()["services"]["streams"], folder=folder / "job", secrets=secrets) as streams:
            assert streams.exit_code() == 0, streams.log()
        yield server
