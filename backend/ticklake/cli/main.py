"""The command line: finds the command, runs it, turns errors into one line on stderr and an exit code."""

from __future__ import annotations

import atexit
import errno
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from types import ModuleType, TracebackType
from typing import Annotated, Final

import typer

from ticklake.base.errors import CheckFailedError, ConfigError, CorruptError, DiskError, TickLakeError
from ticklake.base.redact import redact_text, redact_traceback
from ticklake.base.version import __version__
from ticklake.cli.commands import COMMANDS, CommandEntry

INTERRUPTED: Final = 130
_STDOUT_CLOSED: Final = 141  # what the shell shows for a program that ended by SIGPIPE

_DISK_FAILED: Final = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS})

# Of several errors at once, the one that most changes what the caller must do gives the exit code.
_GRAVEST_FIRST: Final = (CorruptError, DiskError, ConfigError, CheckFailedError)


def run() -> None:
    """Entry point of the `ticklake` program."""
    _fill_standard_files()
    sys.excepthook = _print_harmless
    ended: list[int] = []
    atexit.register(_leave, ended)  # first come, last called: after every thread and what anybody else registers
    code = main(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader left; the flush at exit must not fail a second time
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _STDOUT_CLOSED
    ended.append(code)
    sys.exit(code)


def _fill_standard_files() -> None:
    """Whoever starts us with a closed stdin, stdout or stderr gets the null device there, and no file of ours does."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _leave(ended: list[int]) -> None:
    """End at once with the code that `main` gave; without one, Python shows the error and ends in its own way.

    What is left of an orderly exit is to free every object by itself, which takes a quarter of a second.
    """
    if ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended[0])


def main(arguments: Sequence[str]) -> int:
    """Run one command line.

    Returns:
        the exit code: 0 done, 2 usage, 130 interrupted, else the `exit_code` of the error.
    """
    try:
        build_app(arguments)(args=list(arguments), prog_name="ticklake")
    except SystemExit as done:
        if done.code == INTERRUPTED:  # as the command line library tells it
            return _interrupted()
        if isinstance(done.__context__, BrokenPipeError):  # which the library makes a 1 of
            return _STDOUT_CLOSED
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except KeyboardInterrupt:
        return _interrupted()
    except TickLakeError as error:
        return _report([error])
    except OSError as error:
        if (told := _of_the_system(error)) is None:
            raise
        return _report([told])
    except BaseExceptionGroup as group:
        errors = [_of_the_system(error) if isinstance(error, OSError) else error for error in _leaves(group)]
        known = [error for error in errors if isinstance(error, TickLakeError)]
        if len(known) < len(errors):
            raise  # something we did not raise on purpose: show all of it
        return _report(known)
    return 0


def _interrupted() -> int:
    typer.echo("interrupted", err=True)
    return INTERRUPTED


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The program with every command's name and help; only the command that `arguments` call is imported."""
    app = typer.Typer(
        name="ticklake",
        help="A market-data lake that can prove it lost nothing: NATS in, write-ahead log, Parquet out.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # its frames show local variables, and those hold secrets
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    words = _line_to_complete() or arguments
    called = next((word for word in words if not word.startswith("-")), None)
    for entry in COMMANDS:
        if entry.name == called:
            _add(app, entry)
        else:
            app.command(entry.name, help=entry.help)(_not_called)
    return app


def _line_to_complete() -> list[str]:
    """The words behind `ticklake` on the line that a shell wants completed; empty when this is no such call."""
    environment = os.environ  # noqa: TID251, a protocol with shells and no setting of ours
    if "_TICKLAKE_COMPLETE" not in environment:
        return []
    return (environment.get("COMP_WORDS") or environment.get("_TYPER_COMPLETE_ARGS", "")).split()[1:]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options before the command; they end the program by themselves. Logs of every command go to stderr."""
    if context.invoked_subcommand != "version":  # which prints one line and needs no libraries
        _import("ticklake.base.logs").set_up_logs("warning")


def _add(app: typer.Typer, entry: CommandEntry) -> None:
    module, _, attribute = entry.target.partition(":")
    target = getattr(_import(module), attribute)
    if isinstance(target, typer.Typer):
        app.add_typer(target, name=entry.name, help=entry.help, no_args_is_help=True)
    else:
        app.command(entry.name)(target)


def _import(module: str) -> ModuleType:
    """Import a command without the collector, which would look again and again through objects that all stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        if was_enabled:
            gc.enable()


def _not_called() -> None:
    raise AssertionError("only the command that is called is imported and run")


def _of_the_system(error: OSError) -> TickLakeError | None:
    """What the operating system refused, with the path; None for what is a bug of ours, such as a lost connection."""
    if error.errno is None or isinstance(error, ConnectionError | TimeoutError):
        return None
    reason = error.strerror or str(error)
    text = reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"
    if error.errno in _DISK_FAILED:
        return DiskError(f"{text}; check the disk and its room, then run it again")
    return TickLakeError(f"{text}; check the path and the rights of user {os.geteuid()}")


def _report(errors: Sequence[TickLakeError]) -> int:
    for error in errors:
        # What is wrong with a setting is said with its value masked already, and must stay readable.
        text = str(error) if isinstance(error, ConfigError) else redact_text(str(error))
        typer.echo(f"error: {text}", err=True)
    for kind in _GRAVEST_FIRST:
        for error in errors:
            if isinstance(error, kind):
                return error.exit_code
    return errors[0].exit_code


def _print_harmless(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    """A bug ends the program with its traceback; addresses and keys in it are masked."""
    typer.echo(redact_traceback("".join(traceback.format_exception(kind, error, frames))), err=True, nl=False)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    run()
