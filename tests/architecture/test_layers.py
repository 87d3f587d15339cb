"""The floors of DATA_ARCHITECTURE.md hold, and the check that says so does bite."""

from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_ERROR, EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[2]


def test_imports_go_down_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_a_climbing_import_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    house = tmp_path / "crooked_house"
    for room, text in {"": "", "ground": "import crooked_house.roof\n", "roof": ""}.items():
        (house / room).mkdir(parents=True)
        (house / room / "__init__.py").write_text(text)
    config = tmp_path / "lint.toml"
    config.write_text(
        '[tool.importlinter]\nroot_package = "crooked_house"\n[[tool.importlinter.contracts]]\nname = "floors"\n'
        'type = "layers"\ncontainers = ["crooked_house"]\nlayers = ["roof", "ground"]\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert lint_imports(config_filename=str(config), no_cache=True) == EXIT_STATUS_ERROR
    assert "crooked_house.ground is not allowed to import crooked_house.roof" in capsys.readouterr().out
