"""10,000 ways to touch an audit log, at random, and none goes unnoticed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from ticklake.stores.audit_records import AuditKind
from ticklake.stores.file_store import FileDataStore
from ticklake.stores.models import Action, Decision
from ticklake.testing.clock import ManualClock

DAY_NS = 86_400 * 10**9
TRIES = {"flip": 6_000, "delete": 2_000, "swap": 2_000}

Files = dict[str, bytes]
Tamper = Callable[[Files, random.Random], str]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve lines over three days, several of them alike but for their number and time."""
    base = tmp_path_factory.mktemp("audit")
    clock = ManualClock(wall_ns=1_767_600_000 * 10**9)
    store = FileDataStore(base, clock=clock)
    for number in range(12):
        store.log_decision("value", Decision("AAPL", Action.BUY, 0.05, 0.8, "same words"))
        clock.advance(DAY_NS // 2 / 1e9 if number % 2 else 0.0)
    return base


def flip(files: Files, dice: random.Random) -> str:
    """One byte becomes any other."""
    name = dice.choice(sorted(files))
    content = bytearray(files[name])
    at = dice.randrange(len(content))
    content[at] ^= dice.randrange(1, 256)
    files[name] = bytes(content)
    return f"byte {at} of {name}"


def delete(files: Files, dice: random.Random) -> str:
    """A byte, a line, the end of a file, or a file goes."""
    name = dice.choice(sorted(files))
    content = files[name]
    match dice.choice(["byte", "line", "tail", "file"]):
        case "byte":
            at = dice.randrange(len(content))
            files[name] = content[:at] + content[at + 1 :]
            return f"byte {at} of {name}"
        case "line":
            lines = content.splitlines(keepends=True)
            at = dice.randrange(len(lines))
            files[name] = b"".join(lines[:at] + lines[at + 1 :])
            return f"line {at} of {name}"
        case "tail":
            at = dice.randrange(len(content))
            files[name] = content[:at]
            return f"{name} from byte {at}"
        case _:
            del files[name]
            return name


def swap(files: Files, dice: random.Random) -> str:
    """Two lines change places, or one moves, within and between files."""
    logs = [name for name in sorted(files) if name.endswith(".jsonl")]
    lines = [(name, line) for name in logs for line in files[name].splitlines(keepends=True)]
    first, second = dice.sample(range(len(lines)), 2)
    if dice.random() < 0.5:
        (one, text), (other, words) = lines[first], lines[second]
        lines[first], lines[second] = (one, words), (other, text)
    else:
        text = lines.pop(first)[1]
        target = min(second, len(lines) - 1)
        lines.insert(second, (lines[target][0], text))
        if [line for _, line in lines] == [line for name in logs for line in files[name].splitlines(keepends=True)]:
            kept = {name: b"".join(line for at, line in lines if at == name) for name in logs}
            if kept == {name: files[name] for name in logs}:
                return swap(files, dice)  # it landed where it was
    for name in logs:
        files[name] = b"".join(line for at, line in lines if at == name)
    return f"lines {first} and {second}"


@pytest.mark.parametrize("share", [10, pytest.param(1, marks=pytest.mark.nightly)], ids=["a tenth", "all"])
@pytest.mark.parametrize("tamper", [flip, delete, swap], ids=lambda tamper: tamper.__name__)
def test_every_change_is_found(untouched: Path, tamper: Tamper, share: int) -> None:
    folder = untouched / "audit" / "decisions"
    store = FileDataStore(untouched)
    good = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}
    assert len(good) == 4
    assert store.verify_audit(AuditKind.DECISIONS).is_ok
    dice = random.Random(20260105)
    missed = []
    for _ in range(TRIES[tamper.__name__] // share):
        files = dict(good)
        what = tamper(files, dice)
        changed = [name for name in good if files.get(name) != good[name]]
        assert changed, f"{what}: the test changed nothing"
        for name in changed:
            if name in files:
                (folder / name).write_bytes(files[name])
            else:
                (folder / name).unlink()
        if store.verify_audit(AuditKind.DECISIONS).is_ok:
            missed.append(what)
        for name in changed:
            (folder / name).write_bytes(good[name])
    assert missed == []
    assert store.verify_audit(AuditKind.DECISIONS).is_ok


def test_a_file_that_does_not_belong_is_named(untouched: Path) -> None:
    stranger = untouched / "audit" / "decisions" / "2026-01-06 copy.jsonl"
    stranger.write_bytes(b"{}\n")
    report = FileDataStore(untouched).verify_audit(AuditKind.DECISIONS)
    stranger.unlink()
    assert [problem.where for problem in report.problems] == [str(stranger)]


def test_a_log_rewritten_as_a_whole_is_found_by_a_head_kept_elsewhere(tmp_path: Path) -> None:
    decision = Decision("AAPL", Action.BUY, 0.05, 0.8, "bought high")
    store = FileDataStore(tmp_path / "true")
    for _ in range(3):
        store.log_decision("value", decision)
    kept = store.verify_audit(AuditKind.DECISIONS).head
    forged = FileDataStore(tmp_path / "forged")
    for _ in range(3):
        forged.log_decision("value", Decision("AAPL", Action.HOLD, 0, 0.8, "bought nothing"))
    assert forged.verify_audit(AuditKind.DECISIONS).is_ok
    assert not forged.verify_audit(AuditKind.DECISIONS, anchor=kept).is_ok
