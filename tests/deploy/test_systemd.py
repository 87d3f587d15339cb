"""The unit passes systemd's own check, keeps its exposure low, and agrees with what the service does."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from tests.deploy.tools import DEPLOY, need, run

from ticklake.base.errors import ConfigError, CorruptError
from ticklake.base.settings import Settings

UNIT = "ticklake.service"
EXPOSURE_MAX = 15  # tenths: 1.5 of 10, "OK"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit and its drop-in, with a program that exists here."""
    shutil.copytree(DEPLOY / "systemd", tmp_path, dirs_exist_ok=True)
    path = tmp_path / UNIT
    text = path.read_text()
    assert "ExecStart=/opt/ticklake/bin/ticklake serve\n" in text
    path.write_text(text.replace("/opt/ticklake/bin/ticklake", str(Path(sys.executable).with_name("ticklake"))))
    return path


def service_section() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / UNIT).read_text().split("[Service]")[1].split("[Install]")[0].splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_systemd_accepts_the_unit_and_its_drop_in(unit: Path) -> None:
    said = run(need("systemd-analyze"), "verify", "--man=no", unit)
    assert UNIT not in said.stderr, said.stderr


def test_a_misspelt_line_is_noticed(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    assert "WatchdogSecs" in run(need("systemd-analyze"), "verify", "--man=no", unit, check=False).stderr


def test_the_unit_is_locked_down(unit: Path) -> None:
    run(need("systemd-analyze"), "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", unit)


def test_the_unit_does_what_the_service_expects() -> None:
    service = service_section()
    assert service["Type"] == ["notify"]
    assert float(service["WatchdogSec"][0]) >= 10
    assert float(service["TimeoutStopSec"][0]) >= 2 * int(Settings.model_fields["shutdown_grace_s"].default)
    assert service["RestartPreventExitStatus"] == [f"{ConfigError.exit_code} {CorruptError.exit_code}"]
    assert service["KillSignal"] == ["SIGTERM"]
    assert service["StateDirectory"] == ["ticklake"]


def test_secrets_come_as_credentials() -> None:
    for path in (path for path in (DEPLOY / "systemd").rglob("*") if path.is_file()):
        for line in path.read_text().splitlines():
            if line.startswith("Environment=") and any(word in line for word in ("PASSWORD", "_KEY")):
                for part in line.removeprefix("Environment=").split():
                    name, _, value = part.partition("=")
                    assert name.endswith("_FILE"), line
                    assert f"LoadCredential={value.removeprefix('%d/')}:/etc/ticklake/credentials/" in path.read_text()
