"""Where the lake lies: a file, nothing at all, an empty folder. Every command says the same."""

from pathlib import Path

import pytest

from ticklake.cli.main import main

LISTS = [
    ["ls"],
    ["sql", "SELECT 1"],
    ["verify"],
    ["quarantine", "ls"],
    ["silver", "ls"],
    ["gold", "ls"],
    ["registry", "ls"],
    ["runs", "ls"],
    ["lineage", "ls"],
    ["retention", "ls"],
    ["decisions", "ls"],
    ["bars", "ls"],
    ["fundamentals", "ls"],
    ["events", "ls"],
    ["state", "ls"],
    ["audit", "ls"],
]


def named(words: list[str]) -> str:
    return " ".join(words)


@pytest.mark.parametrize("words", [*LISTS, ["gold", "promote", "v1"], ["demo"]], ids=named)
def test_a_file_is_no_lake(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "lake"):
        assert main([*words, "--data", str(place)]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith(f"error: data root {place}: {tmp_path / 'file'} is a file")


def test_a_file_named_by_the_settings_is_bad_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TICKLAKE_DATA_ROOT", str(tmp_path / "file"))
    assert main(["runs", "ls"]) == 78


def test_an_empty_name_is_not_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["serve"], ["ls"]):
        assert main([*words, "--data", ""]) == 78
        assert "data_root = '' (from command line): expected a local folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", LISTS, ids=named)
def test_a_lake_that_is_not_there_is_an_error(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--data", str(tmp_path / "typo")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: no lake at {tmp_path / 'typo'};")


@pytest.mark.parametrize("words", [words for words in LISTS if words[0] not in ("sql", "verify")], ids=named)
def test_an_empty_lake_is_a_table_with_names_of_columns(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--data", str(tmp_path), "-o", "csv"]) == 0
    captured = capsys.readouterr()
    assert "," in captured.out.splitlines()[0]
    assert "import" not in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["foo", "postgresql://me:planted@host:x/db?what"])
def test_a_dsn_that_is_none_is_a_usage_error(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bars", "ls", "--dsn", address]) == 2
    assert "postgresql://host/database" in (told := capsys.readouterr().err)
    assert "planted" not in told
