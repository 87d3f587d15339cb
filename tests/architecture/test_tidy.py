"""What the linters cannot check: size, docstrings, rooms that stay synchronous, words that must not appear."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import LONGEST_FIRST

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "backend" / "ticklake"
FILES = sorted(HOUSE.rglob("*.py"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts)
LINES_MAX = 400
FUNCTION_LINES_MAX = 70
SYNC_ROOMS = {"files", "schema", "decode", "wal", "lake", "catalog", "sink", "readers", "stores"}
WAITING_FILES = {"sink/commits.py", "sink/feed.py", "sink/tier.py", "sink/writer.py"}  # between loop and threads
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|Users)/\w+")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def async_parts(tree: ast.AST) -> Iterator[ast.AST]:
    kinds = ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await
    return (node for node in ast.walk(tree) if isinstance(node, kinds))


def long_functions(tree: ast.AST) -> list[str]:
    return [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_has_one_idea_and_says_which(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= LINES_MAX
    assert ast.get_docstring(tree), "say what the file is for"
    assert not long_functions(tree)
    assert not UNFINISHED.search(text)


@pytest.mark.parametrize("path", [path for path in FILES if path.relative_to(HOUSE).parts[0] in SYNC_ROOMS], ids=named)
def test_rooms_that_block_do_not_wait(path: Path) -> None:
    if path.relative_to(HOUSE).as_posix() not in WAITING_FILES:
        assert not list(async_parts(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("name", LONGEST_FIRST)
def test_a_long_test_file_that_goes_first_exists(name: str) -> None:
    assert (ROOT / "tests" / name).is_file()


def test_the_exceptions_exist_and_are_needed() -> None:
    for name in WAITING_FILES:
        assert list(async_parts(ast.parse((HOUSE / name).read_text(encoding="utf-8")))), f"{name} need not be listed"


@pytest.mark.parametrize("path", [*FILES, *TESTS], ids=named)
def test_no_path_of_a_machine_is_written_down(path: Path) -> None:
    assert not MACHINE_PATH.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", TESTS, ids=named)
def test_tests_are_small_enough_to_read(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= LINES_MAX


def test_modules_do_nothing_when_imported() -> None:
    """A statement at the top level may define, import, annotate or assign; it may not call for effect."""
    for path in (path for path in FILES if path.name != "__main__.py"):  # that one is for running
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            calls_for_effect = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            assert not calls_for_effect, f"{named(path)}:{node.lineno} calls something when imported"


def test_locks_name_no_host_and_no_machine() -> None:
    for name in (
        "requirements.lock",
        "requirements-test.lock",
        "deploy/requirements-image.lock",
        "deploy/requirements-build.lock",
        "tests/e2e/node/package-lock.json",
    ):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text, name
        assert "--index-url" not in text.replace("--no-emit-index-url", ""), name
        assert not MACHINE_PATH.search(text), name


def test_the_locks_agree() -> None:
    def pins(name: str) -> dict[str, str]:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        return dict(line.split(" ")[0].split("==") for line in lines if re.match(r"^[a-z0-9].*==", line))  # type: ignore[misc]

    runtime, test = pins("requirements.lock"), pins("requirements-test.lock")
    assert len(runtime) > 30
    assert runtime == {name: test[name] for name in runtime}
