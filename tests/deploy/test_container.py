"""The services of the compose file run as it says: uid 10001, no capability, read-only root; and they work so.

NATS runs with the shipped configuration and users, the service and the simulated feed as containers made of mounts and
namespaces. What an engine adds - pulling, building, its network - is not tried here.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
from tests.deploy.container import Container, Pod, as_root, is_healthy, received, succeeds
from tests.deploy.dockerfile import Image
from tests.deploy.tools import compose
from tests.e2e.harness import run_ticklake, wait_until

LOCAL_LAKE = {"TICKLAKE_DATA_ROOT": "/var/lib/ticklake/lake", "TICKLAKE_BRONZE__FLUSH_SECONDS": "0.5"}


def on_local_disk(service: dict[str, Any]) -> dict[str, Any]:
    """The service without its object store: the lake lies on its volume."""
    environment = {key: value for key, value in service["environment"].items() if "_S3__" not in key}
    return service | {"environment": environment | LOCAL_LAKE}


def test_the_service_and_the_feed_work_without_any_right(
    pod: Pod, image: Image, secrets: Path, nats: Container, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    ticklake = Container(
        pod,
        image,
        on_local_disk(compose()["services"]["ticklake"]),
        folder=tmp_path / "ticklake",
        secrets=secrets,
        volumes={"state": volume},
    )
    feed_service = compose()["services"]["feed"]
    with ticklake:
        ticklake.wait_for('"service.started"')
        rights = ticklake.rights()
        assert rights["Uid"] == rights["Gid"] == "10001 10001 10001 10001"
        assert rights["Groups"] == ""
        assert {rights[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert rights["NoNewPrivs"] == "1"
        assert rights["NSpid"].split()[-1] == "1"
        ready = compose()["services"]["ticklake"]["healthcheck"]["test"][1:]
        wait_until(lambda: ticklake.run(*ready).returncode == 0, "compose's health check passes", seen=ticklake.log)
        alive = ticklake.run(*image.healthcheck)
        assert alive.returncode == 0, alive.stderr

        for place in ("/", "/etc", "/usr", "/opt/venv", "/run/secrets"):
            refused = ticklake.run("python", "-c", f"open('{place}/written', 'w')")
            assert refused.returncode != 0
            assert "Read-only file system" in refused.stderr, f"{place}: {refused.stderr}"
        for place in ("/tmp", "/var/lib/ticklake"):
            allowed = ticklake.run("python", "-c", f"open('{place}/written', 'w')")
            assert allowed.returncode == 0, allowed.stderr

        with Container(pod, image, feed_service, folder=tmp_path / "feed", secrets=secrets) as feed:
            is_alive = feed_service["healthcheck"]["test"][1:]
            wait_until(lambda: feed.run(*is_alive).returncode == 0, "the feed's health check passes", seen=feed.log)
            assert feed.stop() == 0, feed.log()
            sent = int(feed.log().split("feed: ")[-1].split()[0])
        wait_until(lambda: received(ticklake) == sent, f"{sent} messages are logged", seen=ticklake.log)
        assert ticklake.stop() == 0, ticklake.log()[-3000:]

    files = list((volume / "lake").rglob("*.parquet"))
    assert files
    assert {os.stat(path).st_uid for path in files} == {10001}
    assert not (volume / "lake" / "quarantine").exists()
    market = [path for path in files if path.is_relative_to(volume / "lake" / "bronze")]
    rows = sum(pq.read_metadata(path).num_rows for path in market)  # one row a message
    signals = {seq for path in set(files) - set(market) for seq in pl.read_parquet(path)["stream_seq"]}
    assert rows + len(signals) == sent > 0
    verified = run_ticklake("verify", "--data", volume / "lake", settings={"state_dir": volume / "state"})
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "Permissions Violation" not in nats.log()


def test_the_image_s_health_check_fails_when_nothing_answers(
    pod: Pod, image: Image, secrets: Path, tmp_path: Path
) -> None:
    service = on_local_disk(compose()["services"]["ticklake"]) | {"entrypoint": ["sleep", "900"]}
    volumes = {"state": tmp_path / "volume"}
    with Container(pod, image, service, folder=tmp_path / "idle", secrets=secrets, volumes=volumes) as idle:
        wait_until(lambda: idle.rights()["Name"] == "sleep", "it sleeps", seen=idle.log)
        assert idle.run(*image.healthcheck).returncode != 0


def test_the_object_store_makes_its_bucket_and_takes_the_key_of_the_service(
    pod: Pod, image: Image, secrets: Path, tmp_path: Path
) -> None:
    service = compose()["services"]["seaweedfs"]
    endpoint = compose()["services"]["ticklake"]["environment"]["TICKLAKE_S3__ENDPOINT"].split(":-")[1].rstrip("}")
    keys = {name: (secrets / name).read_text() for name in ("s3_access_key", "s3_secret_key")}
    store = f"""
import obstore
from obstore.store import S3Store
store = S3Store("ticklake", endpoint="{endpoint}", region="us-east-1", access_key_id="{keys["s3_access_key"]}",
                secret_access_key="{keys["s3_secret_key"]}", client_options={{"allow_http": True}})
"""
    for start in ("one", "two"):  # the bucket is there already the second time, and what it holds
        with Container(
            pod,
            as_root(image),
            service,
            folder=tmp_path / start,
            secrets=secrets,
            volumes={"s3-store": tmp_path / "store"},
        ) as seaweedfs:
            wait_until(partial(is_healthy, seaweedfs), "the store is healthy", seen=seaweedfs.log)
            call = (
                'obstore.put(store, "lake/x", b"1", mode="create")'
                if start == "one"
                else 'obstore.get(store, "lake/x")'
            )
            wait_until(  # a store that was killed finds its volumes again a moment after it says it is healthy
                partial(succeeds, seaweedfs, store + call),
                "the service's key works",
                seen=seaweedfs.log,
            )
            stranger = seaweedfs.run("python", "-c", store.replace(keys["s3_secret_key"], "0" * 40) + call)
            assert stranger.returncode != 0
