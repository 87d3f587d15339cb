"""The whole compose file, as it stands: NATS, the store, the service and the feed bring messages into the bucket."""

from __future__ import annotations

import json
from pathlib import Path

from tests.deploy.container import Container, Pod, as_root, is_healthy, received
from tests.deploy.dockerfile import Image
from tests.deploy.tools import compose
from tests.e2e.harness import wait_until


def test_the_whole_compose_file_brings_messages_into_the_bucket(
    pod: Pod, image: Image, secrets: Path, nats: Container, tmp_path: Path
) -> None:
    """Every service with the environment of the compose file, as it stands there."""
    services = compose()["services"]
    seaweedfs = Container(
        pod,
        as_root(image),
        services["seaweedfs"],
        folder=tmp_path / "seaweedfs",
        secrets=secrets,
        volumes={"s3-store": tmp_path / "store"},
    )
    ticklake = Container(
        pod,
        image,
        services["ticklake"],
        folder=tmp_path / "ticklake",
        secrets=secrets,
        volumes={"state": tmp_path / "state"},
    )
    with seaweedfs:
        wait_until(lambda: is_healthy(seaweedfs), "the store is healthy", seen=seaweedfs.log)
        check = services["ticklake"]["healthcheck"]["test"][1:]
        with ticklake:
            wait_until(lambda: ticklake.run(*check).returncode == 0, "compose's health check passes", seen=ticklake.log)
            with Container(pod, image, services["feed"], folder=tmp_path / "feed", secrets=secrets) as feed:
                wait_until(lambda: received(ticklake) > 300, "messages arrive", seen=ticklake.log)
                assert feed.stop() == 0, feed.log()
            wait_until(lambda: '"table":' in json.dumps(ls(ticklake)), "files are in the bucket", seen=ticklake.log)
            verified = ticklake.run("ticklake", "verify")
            assert verified.returncode == 0, verified.stdout + verified.stderr
            assert ticklake.stop() == 0, ticklake.log()[-3000:]
    assert not list((tmp_path / "state").rglob("*.parquet"))
    for password in ((secrets / name).read_text() for name in ("s3_secret_key", "nats_ticklake_password")):
        assert password not in ticklake.log()


def ls(ticklake: Container) -> list[dict[str, object]]:
    """`ticklake ls` inside, as `docker compose exec` would run it."""
    listed = ticklake.run("ticklake", "ls", "--output", "json")
    found: list[dict[str, object]] = json.loads(listed.stdout) if listed.returncode == 0 else []
    return found
