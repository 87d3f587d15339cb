"""Prometheus accepts its configuration, and Grafana is told one data source and one folder that compose mounts."""

from __future__ import annotations

from typing import Any

import yaml
from tests.deploy.tools import DEPLOY, compose, need, run

PROVISIONING = DEPLOY / "grafana" / "provisioning"


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((PROVISIONING / name).read_text())
    return document


def test_prometheus_accepts_the_file() -> None:
    run(need("promtool"), "check", "config", DEPLOY / "prometheus" / "prometheus.yml")


def test_prometheus_scrapes_the_service_where_compose_has_it() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    services = compose()["services"]
    (port,) = services["ticklake"]["ports"]
    assert targets["ticklake"] == [f"ticklake:{port.rpartition(':')[2]}"]
    assert set(services["prometheus"]["networks"]) <= set(services["ticklake"]["networks"])
    assert config["rule_files"] == ["rules/*.yml"]
    mounts = [volume.split(":")[:2] for volume in services["prometheus"]["volumes"]]
    assert ["./deploy/prometheus/rules", "/etc/prometheus/rules"] in mounts


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    (source,) = load("datasources/prometheus.yaml")["datasources"]
    assert (source["type"], source["uid"], source["url"]) == (
        "prometheus",
        "ticklake-prometheus",
        "http://prometheus:9090",
    )
    (provider,) = load("dashboards/ticklake.yaml")["providers"]
    mounts = dict(reversed(volume.split(":")[:2]) for volume in compose()["services"]["grafana"]["volumes"])
    assert mounts[provider["options"]["path"]] == "./deploy/grafana/dashboards"
    assert mounts["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"
