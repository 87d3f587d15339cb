"""What kustomize makes of the overlays follows the schemas of Kubernetes, and keeps the promises of the deployment.

The merge is done by the kustomize inside `kubectl`. One older than 1.27 knows the two newer words of our overlays under
other names; it gets a copy with those.
"""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.deploy.dockerfile import read_image
from tests.deploy.tools import DEPLOY, need, run

from ticklake.base.settings import Settings

KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ("dev", "production")
VERSIONS = ("1.30", "1.34")
MODERN_MINOR = 27


@cache
def objects(overlay: str) -> dict[str, dict[str, Any]]:
    """The rendered objects of an overlay, by kind."""
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(KUBERNETES, Path(folder) / "kubernetes"))
        if _kubectl_minor() < MODERN_MINOR:
            _use_old_words(copy / "overlays" / overlay / "kustomization.yaml")
        text = run(need("kubectl"), "kustomize", copy / "overlays" / overlay).stdout
    found = list(yaml.safe_load_all(text))
    by_kind = {item["kind"]: item for item in found}
    assert len(by_kind) == len(found)
    return by_kind


def _kubectl_minor() -> int:
    version = json.loads(run(need("kubectl"), "version", "--client", "-o", "json").stdout)
    return int(version["clientVersion"]["minor"].rstrip("+"))


def _use_old_words(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    document["bases"] = document.pop("resources")
    document["patchesStrategicMerge"] = [patch["path"] for patch in document.pop("patches")]
    path.write_text(yaml.safe_dump(document))


def pod_of(overlay: str) -> dict[str, Any]:
    pod: dict[str, Any] = objects(overlay)["StatefulSet"]["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_follows_its_schema(overlay: str, version: str) -> None:
    wanted = {"StatefulSet", "Service", "ServiceAccount", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy"}
    assert set(objects(overlay)) == wanted
    for item in objects(overlay).values():
        kubernetes_validate.validate(item, version, strict=True)


def test_the_schema_check_bites() -> None:
    broken = json.loads(json.dumps(objects("dev")["StatefulSet"]))
    broken["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_pod_has_no_right_and_one_writable_disk(overlay: str) -> None:
    pod = pod_of(overlay)
    uid, gid = read_image(DEPLOY / "Dockerfile").user
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    own = pod["securityContext"]
    assert (own["runAsUser"], own["runAsGroup"], own["fsGroup"], own["runAsNonRoot"]) == (uid, gid, gid, True)
    (container,) = pod["containers"]
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    writable = {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"state", "tmp"}
    (claim,) = objects(overlay)["StatefulSet"]["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "state"
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_probes_ask_the_pages_that_are_meant_for_them(overlay: str) -> None:
    (container,) = pod_of(overlay)["containers"]
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}
    assert container["ports"] == [{"name": "http", "containerPort": Settings.model_fields["http"].default.port}]
    grace_s = Settings.model_fields["shutdown_grace_s"].default
    assert pod_of(overlay)["terminationGracePeriodSeconds"] >= 2 * int(grace_s)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_are_referred_to_and_never_written_down(overlay: str) -> None:
    settings = objects(overlay)["ConfigMap"]["data"]
    (container,) = pod_of(overlay)["containers"]
    assert [source["configMapRef"]["name"] for source in container["envFrom"]] == [
        objects(overlay)["ConfigMap"]["metadata"]["name"]
    ]
    mounted = next(mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "secrets")
    secret_files = {name: value for name, value in settings.items() if name.endswith("_FILE")}
    assert len(secret_files) == 3
    assert all(value.startswith(f"{mounted}/") for value in secret_files.values())
    assert not [name for name in settings if name.endswith(("PASSWORD", "_KEY", "TOKEN"))]


def test_overlays_change_what_they_say_they_change() -> None:
    assert objects("dev")["StatefulSet"]["metadata"]["namespace"] == "ticklake-dev"
    assert objects("dev")["ConfigMap"]["data"]["TICKLAKE_NATS__CREATE_STREAMS"] == "true"
    assert objects("production")["ConfigMap"]["data"]["TICKLAKE_NATS__URL"].startswith("tls://")
    assert objects("production")["ConfigMap"]["data"]["TICKLAKE_S3__ENDPOINT"].startswith("https://")
    assert "TICKLAKE_NATS__CREATE_STREAMS" not in objects("production")["ConfigMap"]["data"]
    (container,) = pod_of("production")["containers"]
    assert container["image"] == "registry.example.net/ticklake:0.1.0"
    ports = {port["port"] for rule in objects("dev")["NetworkPolicy"]["spec"]["egress"] for port in rule["ports"]}
    assert ports == {53, 4222, 8333}
