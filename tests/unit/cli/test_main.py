import ast
import errno
import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
import typer

from ticklake.base.errors import ConfigError, CorruptError, DiskError, NoDataError, TickLakeError, UnavailableError
from ticklake.base.version import __version__
from ticklake.cli import commands, main
from ticklake.cli.commands import COMMANDS, CommandEntry


def with_command(monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> None:
    """Register `action` as the command `act` of a module of its own."""
    module = type(sys)("ticklake_test_command")
    module.act = action  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ticklake_test_command", module)
    entry = CommandEntry("act", "ticklake_test_command:act", "Act.")
    monkeypatch.setattr(main, "COMMANDS", (*commands.COMMANDS, entry))


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TickLakeError("x"), 1),
        (NoDataError("x"), 1),
        (ConfigError("x"), 78),
        (UnavailableError("x"), 69),
        (CorruptError("x"), 65),
        (DiskError("x"), 74),
    ],
)
def test_an_error_is_one_line_on_stderr_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: TickLakeError, code: int
) -> None:
    with_command(monkeypatch, raising(error))
    assert main.main(["act"]) == code
    assert capsys.readouterr() == ("", "error: x\n")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/lake/bronze"),
            1,
            "error: /lake/bronze: Permission denied; ",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), 74, "error: No space left on device; check the disk"),
        (ExceptionGroup("of threads", [OSError(errno.EIO, "I/O error", b"/x")]), 74, "error: /x: I/O error; check the"),
    ],
)
def test_what_the_system_refuses_is_one_line_with_the_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int, text: str
) -> None:
    with_command(monkeypatch, raising(error))
    assert main.main(["act"]) == code
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(text)


def test_a_lost_connection_that_nobody_expected_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    with_command(monkeypatch, raising(ConnectionResetError(errno.ECONNRESET, "reset")))
    with pytest.raises(ConnectionResetError):
        main.main(["act"])


def test_logs_of_every_command_go_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_command(monkeypatch, lambda: structlog.get_logger().warning("room.thing_happened"))
    assert main.main(["act"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "room.thing_happened" in captured.err


def test_of_several_errors_all_are_shown_and_the_gravest_decides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = [UnavailableError("no server"), ExceptionGroup("inner", [CorruptError("bad byte")])]
    with_command(monkeypatch, raising(ExceptionGroup("outer", errors)))
    assert main.main(["act"]) == 65
    assert capsys.readouterr().err == "error: no server\nerror: bad byte\n"


def test_a_bug_is_not_dressed_up_as_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with_command(monkeypatch, raising(ExceptionGroup("outer", [ConfigError("x"), ZeroDivisionError("bug")])))
    with pytest.raises(ExceptionGroup):
        main.main(["act"])


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    with_command(monkeypatch, raising(KeyboardInterrupt()))
    assert main.main(["act"]) == 130


def test_a_command_can_choose_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    with_command(monkeypatch, raising(typer.Exit(3)))
    assert main.main(["act"]) == 3


@pytest.mark.parametrize("arguments", [[], ["--no-such-option"], ["no-such-command"], ["version", "surplus"]])
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert main.main(arguments) == 2


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(arguments) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_help_names_every_command_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--help"]) == 0
    page = capsys.readouterr().out
    for entry in COMMANDS:
        assert entry.name in page


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_every_command_exists_and_has_help(entry: CommandEntry, capsys: pytest.CaptureFixture[str]) -> None:
    module, _, attribute = entry.target.partition(":")
    target = getattr(importlib.import_module(module), attribute)
    assert isinstance(target, typer.Typer) or inspect.getdoc(target), "say what the command does"
    assert main.main([entry.name, "--help"]) == 0
    assert "Usage: ticklake " + entry.name in capsys.readouterr().out


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_help_shows_what_stands_in_brackets(
    entry: CommandEntry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rich takes `[default: ...]` for markup and prints nothing of it, unless it is escaped."""
    monkeypatch.setenv("COLUMNS", "400")
    group = typer.main.get_command(main.build_app([entry.name]))
    command = group.commands[entry.name]  # type: ignore[attr-defined]
    for one in (command, *getattr(command, "commands", {}).values()):
        main.main([entry.name, *([] if one is command else [one.name]), "--help"])
        page = capsys.readouterr().out
        for parameter in one.params:
            for bracket in re.findall(r"\[[^\]]+\]", getattr(parameter, "help", None) or ""):
                assert bracket in page


def test_help_names_the_variable_of_the_data_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert main.main(["ls", "--help"]) == 0
    assert "[default: TICKLAKE_DATA_ROOT]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shell", "line", "word"),
    [
        ("bash", "ticklake bars s", "show"),
        ("bash", "ticklake bars show --time", "--timeframe"),
        ("zsh", "ticklake q", "quar"),
    ],
)
def test_a_shell_completes_words_behind_the_first(
    shell: str, line: str, word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_TICKLAKE_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", line) if shell == "bash" else monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    assert main.main([]) == 0
    assert word in capsys.readouterr().out


def test_the_quick_commands_do_not_load_the_heavy_libraries() -> None:
    program = "import sys; from ticklake.cli.main import main; main(['version']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=200)
    loaded = set(ast.literal_eval(done.stdout.splitlines()[1]))
    assert loaded.isdisjoint({"pyarrow", "polars", "duckdb", "nats", "uvicorn", "pydantic_settings"})


def test_the_service_starts_without_what_only_readers_need() -> None:
    program = (
        "import sys, ticklake.cli.serve\n"
        "from ticklake.cli.spare import spare_pandas\n"
        "spare_pandas()\n"
        "import pyarrow\n"
        "pyarrow.array([1])\n"
        "print(sorted(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=200)
    loaded = set(ast.literal_eval(done.stdout))
    assert loaded.isdisjoint({"polars", "duckdb", "plotly", "pandas", "ticklake.catalog.runs"})


def run_command(action: str) -> subprocess.CompletedProcess[str]:
    """A command of one line in a process of its own, as `ticklake` runs it."""
    program = (
        "import atexit, os, sys, threading, time\n"
        "from ticklake.cli import main\n"
        "from ticklake.cli.commands import CommandEntry\n"
        "module = type(sys)('own')\n"
        f"def act():\n    {action}\n"
        "module.act = act\n"
        "sys.modules['own'] = module\n"
        "main.COMMANDS = (CommandEntry('act', 'own:act', 'Act.'),)\n"
        "sys.argv = ['ticklake', 'act']\n"
        "main.run()\n"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=200)


def test_the_quick_end_waits_for_threads_and_for_what_was_registered() -> None:
    late = "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()"
    done = run_command(f"{late}; atexit.register(print, 'registered'); print('done'); sys.exit(3)")
    assert (done.returncode, done.stdout, done.stderr) == (3, "done\nthread\nregistered\n", "")


def test_a_bug_ends_with_its_traceback() -> None:
    done = run_command("raise ZeroDivisionError('bug')")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("ZeroDivisionError: bug\n")


def test_python_dash_m_is_the_same_program() -> None:
    command = [sys.executable, "-m", "ticklake", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=200).stdout == f"{__version__}\n"


def test_closed_standard_files_are_as_good_as_the_null_device(tmp_path: Path) -> None:
    command = 'exec "$0" -m ticklake ls --data "$1" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", command, sys.executable, tmp_path], check=False, timeout=200).returncode == 0


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_leaves_early_causes_no_traceback(lines: int) -> None:
    program = (
        "import sys\n"
        "from ticklake.cli import main\n"
        "from ticklake.cli.commands import CommandEntry\n"
        "module = type(sys)('loud')\n"
        f"def act():\n    for _ in range({lines}): print('x' * 100)\n"
        "module.act = act\n"
        "sys.modules['loud'] = module\n"
        "main.COMMANDS = (CommandEntry('act', 'loud:act', 'Act.'),)\n"
        "sys.argv = ['ticklake', 'act']\n"
        "main.run()\n"
    )
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=write_end, stderr=subprocess.PIPE, env=buffered) as process:
        os.close(write_end)
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(60) == 141
