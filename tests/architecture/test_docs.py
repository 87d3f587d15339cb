"""Documents tell the truth: marked commands run, and files they name exist.

A block fenced as `sh` whose first line is `# tested` runs here, in an empty folder, with `ticklake` and `python` on
PATH. The blocks of one document run in order in the same folder.
"""

import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from tests.architecture.markdown import marked_blocks

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "backend" / "docs").rglob("*.md")])
BLOCK_TIMEOUT_S = 800
NAMED_FILE = re.compile(r"`((?:backend|tests|deploy|\.ci)/[\w./-]+\.\w+|[\w-]+/[\w-]+\.py)`")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_marked_commands_run(document: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),  # a reader stands in the checkout
    }
    folder = tmp_path / "work"
    folder.mkdir()
    for block in marked_blocks(document):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BLOCK_TIMEOUT_S,
        )
        assert done.returncode == 0, f"{named(document)}:{block.line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_files_that_are_named_exist(document: Path) -> None:
    for name in NAMED_FILE.findall(document.read_text(encoding="utf-8")):
        places = (ROOT / name, ROOT / "backend" / "ticklake" / name)
        assert any(place.exists() for place in places), f"{named(document)} names {name}"


def test_only_marked_blocks_are_taken(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n```sh\n# tested\necho one\n```\n\n```sh\nrm -rf unmarked\n```\n\n```python\n# tested\n```\n\n"
        "```sh\n# tested\necho two\n```\n"
    )
    assert [(block.line, block.script) for block in marked_blocks(page)] == [
        (4, "# tested\necho one\n"),
        (17, "# tested\necho two\n"),
    ]


def test_the_map_has_a_row_for_every_module() -> None:
    """A row names modules, patterns (`silver/report*.py`), or a folder that holds one family (`silver/stages/`)."""
    page = (ROOT / "DATA_ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    patterns = [pattern for row in rows for pattern in re.findall(r"`([\w*/.]+)`", row)]
    package = ROOT / "backend" / "ticklake"
    modules = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if not path.name.startswith("__")}
    matched = {
        module
        for module in modules
        for pattern in patterns
        if fnmatchcase(module, f"{pattern}*" if pattern.endswith("/") else pattern)
    }
    assert sorted(modules - matched) == []
    named = [pattern for pattern in patterns if pattern.endswith(".py")]
    assert [pattern for pattern in named if not any(fnmatchcase(module, pattern) for module in modules)] == []
