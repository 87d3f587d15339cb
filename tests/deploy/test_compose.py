"""The compose file is valid, and says of every service what keeps it small, ordered and without secrets."""

from __future__ import annotations

import json
import math
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.dockerfile import read_image
from tests.deploy.tools import COMPOSE, DEPLOY, ROOT, compose, need, run

from ticklake.base.settings import Settings

SERVICES: dict[str, dict[str, Any]] = compose()["services"]
JOBS = {"minio-bucket", "streams"}  # run to their end, so there is no health to ask for
LONG_RUNNING = sorted(set(SERVICES) - JOBS)
SECRET_NAME = re.compile(r"password|secret|token|access_key|credential", re.I)


def environment(name: str) -> dict[str, str]:
    return SERVICES[name].get("environment", {})


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_the_file_follows_the_compose_schema() -> None:
    run(need("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", COMPOSE)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_may_do_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["ulimits"]["core"] == 0
    assert not service.get("privileged")
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), f"{port} is open to other machines"


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_every_service_has_a_health_check_that_runs_a_program(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "start_period", "retries"} <= set(check)
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned_and_may_be_pinned_by_digest(name: str) -> None:
    image = SERVICES[name]["image"]
    pinned = re.fullmatch(r"\$\{[A-Z_]+_?IMAGE:-(?P<image>[a-z0-9./-]+):(?P<tag>[\w.-]+)\}", image)
    assert pinned, image
    assert pinned["tag"] == "local" if pinned["image"] == "ticklake" else re.search(r"\d", pinned["tag"])
    assert pinned["tag"] != "latest"


def test_who_needs_another_waits_until_it_is_healthy() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in JOBS else "service_healthy"
            if name != "prometheus":  # it is there to see that the service is not healthy
                assert how["condition"] == wanted, f"{name} -> {other}"
            is_optional = bool(SERVICES[other].get("profiles")) and not service.get("profiles")
            assert how.get("required", True) is not is_optional, f"{name} -> {other}"
    assert set(SERVICES["ticklake"]["depends_on"]) == {"streams", "seaweedfs", "minio-bucket"}


def test_the_file_holds_no_secret_and_names_no_machine() -> None:
    for name in SERVICES:
        for key, value in environment(name).items():
            if SECRET_NAME.search(key):
                assert key.endswith(("_FILE",)), f"{name}: {key} must come from a file"
                assert value.startswith("/run/secrets/"), f"{name}: {key}"
    for key, secret in compose()["secrets"].items():
        assert set(secret) == {"file"}, key
        assert secret["file"].startswith("./deploy/secrets/"), key
    assert [path.name for path in (DEPLOY / "secrets").iterdir() if path.name != ".gitignore"] == [] or (
        (DEPLOY / "secrets" / ".gitignore").read_text().startswith("*\n")
    )


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_gets_the_secrets_it_reads_and_no_others(name: str) -> None:
    service = SERVICES[name]
    given = set(service.get("secrets", []))
    read = set(re.findall(r"/run/secrets/(\w+)", json.dumps([service.get("command"), service.get("environment")])))
    assert given == read
    assert given <= set(compose()["secrets"])


def test_the_script_makes_every_secret_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    run("sh", DEPLOY / "make-secrets", folder)
    wanted = {Path(secret["file"]).name for secret in compose()["secrets"].values()}
    made = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert wanted <= set(made)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}
    alone = [value for name, value in made.items() if "." not in name]
    assert len(set(alone)) == len(alone) == 6
    assert all(re.fullmatch(rb"n?[0-9a-f]{20,40}", value) for value in alone)
    identities = json.loads(made["s3_identities.json"])["identities"]
    keys = {"accessKey": made["s3_access_key"].decode(), "secretKey": made["s3_secret_key"].decode()}
    assert [identity["credentials"] for identity in identities] == [[keys]]
    run("sh", DEPLOY / "make-secrets", folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made


def test_the_service_is_told_to_stop_with_time_to_drain() -> None:
    grace_s = Settings.model_fields["shutdown_grace_s"].default
    assert seconds(SERVICES["ticklake"]["stop_grace_period"]) >= 2 * math.floor(grace_s)


def test_the_service_runs_as_the_image_s_user_on_the_image_s_volume() -> None:
    image = read_image(DEPLOY / "Dockerfile")
    for name in ("ticklake", "feed", "streams"):
        assert SERVICES[name]["user"] == "{}:{}".format(*image.user)
    mounts = [volume.partition(":")[2] for volume in SERVICES["ticklake"]["volumes"]]
    assert mounts == image.volumes
    assert environment("ticklake")["TICKLAKE_STATE_DIR"].startswith(mounts[0])


def test_what_is_mounted_from_here_exists() -> None:
    theirs = {"./deploy/prometheus/rules", "./deploy/grafana/dashboards"}
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            if source.startswith("./"):
                assert rest.endswith(":ro"), f"{name}: {volume}"
                assert (ROOT / source).exists() or source in theirs, f"{name}: {volume}"
            else:
                assert source in compose()["volumes"], f"{name}: {volume}"
