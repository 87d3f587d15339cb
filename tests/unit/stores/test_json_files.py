"""Values as files."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from ticklake.base.errors import UsageError
from ticklake.stores.json_files import load_json, save_json

VALUE = {"b": datetime(2024, 10, 25, tzinfo=UTC), "a": [Decimal("1.10"), Path("x")], "ü": "é"}


def test_a_value_comes_back_with_its_types(tmp_path: Path) -> None:
    path = save_json(VALUE, tmp_path / "deep/x.json")
    assert path == tmp_path / "deep/x.json"
    assert load_json(path) == VALUE
    assert isinstance(load_json(path)["a"][1], Path)


def test_keys_are_sorted_unless_told_otherwise(tmp_path: Path) -> None:
    assert list(load_json(save_json(VALUE, tmp_path / "x.json"))) == ["a", "b", "ü"]
    assert list(load_json(save_json(VALUE, tmp_path / "x.json", sort_keys=False))) == ["b", "a", "ü"]


def test_indent_and_utf8_are_readable(tmp_path: Path) -> None:
    assert '\n    "ü": "é"' in save_json(VALUE, tmp_path / "x.json", indent=4).read_text("utf-8")


def test_plain_json_has_no_tags(tmp_path: Path) -> None:
    assert json.loads(save_json(VALUE, tmp_path / "x.json", plain=True).read_bytes()) == {
        "b": "2024-10-25T00:00:00+00:00",
        "a": ["1.10", "x"],
        "ü": "é",
    }


def test_a_refused_value_leaves_the_old_file(tmp_path: Path) -> None:
    path = save_json(1, tmp_path / "x.json")
    with pytest.raises(UsageError):
        save_json({"x": object()}, path)
    assert load_json(path) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def test_missing_and_invalid_files_are_two_outcomes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{bad")
    with pytest.raises(json.JSONDecodeError, match=r"line 1 column 2"):
        load_json(tmp_path / "x.json")
