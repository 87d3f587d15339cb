"""Stages from a Python file: what is wrong with the file is said in its words, and never ends the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticklake.base.errors import UsageError
from ticklake.silver.manifest import ExtraStage
from ticklake.silver.user_stages import load_extra_stage


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import sys; sys.exit(0)", "does not run: SystemExit: 0"),
        ("def x(:", "does not run: SyntaxError"),
        ("x = 1", "defines no stage 'mine'; it has no stage at all"),
    ],
)
def test_a_file_that_gives_no_stage_is_named(tmp_path: Path, code: str, told: str) -> None:
    (tmp_path / "mine.py").write_text(code)
    with pytest.raises(UsageError, match=told):
        load_extra_stage(ExtraStage("mine", file=str(tmp_path / "mine.py")))
