"""Manifests: all of the build in one YAML file, and nothing else changes the hashes."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import msgspec
import pytest
from tests.integration.silver.toy import TARGET, toy_manifest

from ticklake.base.errors import NoDataError, UsageError
from ticklake.readers import frontmonth
from ticklake.silver import code_hash as module
from ticklake.silver.code_hash import code_hash, hashed_files, parsed_sources, remember
from ticklake.silver.compare import compare_manifests
from ticklake.silver.manifest import ExtraStage, dump_manifest, parse_manifest, read_manifest
from ticklake.silver.pipelines import es_levels
from ticklake.silver.recipe import resolve

USER_STAGE = """
import polars as pl
from ticklake.silver import ColumnSpec, Role, Stage, StageParameters

class Parameters(StageParameters, frozen=True, forbid_unknown_fields=True):
    factor: float = 2.0

def run(frames, parameters, session):
    twice = (pl.col("step_points") * parameters.factor).alias("scaled_step")
    return {"events": frames["events"].with_columns(twice)}

MINE = Stage(
    name="mine", run=run, needs={"events": ("step_points",)},
    gives={"events": (ColumnSpec("scaled_step", pl.Float64, "points", Role.FEATURE, "Scaled step."),)},
    parameters=Parameters,
)
"""


def test_resolved_dumped_and_read_again_is_the_same() -> None:
    recipe = resolve(toy_manifest(notes="Überprüfung", tags=["a"]))
    text = dump_manifest(recipe.manifest)
    again = resolve(parse_manifest(text))
    assert dump_manifest(again.manifest) == text
    assert (again.manifest_hash, again.code_hash) == (recipe.manifest_hash, recipe.code_hash)


def test_every_default_is_filled_in() -> None:
    full = resolve(toy_manifest()).manifest
    assert full.parameters == {
        "load": {"sessions": 1},
        "events": {},
        "move": {"rows": 5},
        "label": {"rows": 3},
        "episodes": {},
    }
    assert full.stages == ["load", "events", "move", "label", "episodes"]
    assert (full.symbol, full.calendar, full.tables) == ("ES", "us_index_futures", {"bronze_trades": "futures.trades"})


def test_only_what_shapes_the_data_changes_the_hash() -> None:
    plain = resolve(toy_manifest()).manifest_hash
    assert resolve(toy_manifest("other", notes="n", tags=["t"], description="d", parent="p")).manifest_hash == plain
    assert resolve(toy_manifest(parameters={"move": {"rows": 5}})).manifest_hash == plain
    assert resolve(toy_manifest(parameters={"move": {"rows": 6}})).manifest_hash != plain
    assert resolve(toy_manifest(symbol="NQ")).manifest_hash != plain
    assert resolve(toy_manifest(calendar="always_open")).manifest_hash != plain


@pytest.mark.parametrize(
    "name", ["", "..", ".hidden", "a/b", "a b", "-v", "v.", "v\n", "é", "x" * 101, "experiments.json"]
)
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no version name"):
        toy_manifest(name)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"parameters": {"move": {"row": 5}}}, "parameters of stage 'move'.*unknown field `row`.*it has rows"),
        ({"parameters": {"moove": {}}}, "'moove', which is no stage"),
        ({"tables": {"bronze_books": "futures.mbp10"}}, "reads no frame 'bronze_books'"),
        ({"stages": ["load", "evnets"]}, "no stage 'evnets'"),
        ({"stages": ["load", "move"]}, "stage 'move' of 'toy' needs columns ts_event_ns of frame 'events'"),
        ({"pipeline": "es_lvels"}, "no pipeline 'es_lvels'; there are es_levels"),
        ({"pipeline": "tests.integration.silver.toy:NOPE"}, "cannot be imported"),
        ({"pipeline": "tests.integration.silver.toy:TARGET"}, "no Pipeline"),
    ],
)
def test_nonsense_is_refused_with_what_there_is(more: dict[str, object], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        resolve(toy_manifest(**more))


def test_text_that_is_no_manifest_is_refused(tmp_path: Path) -> None:
    for text in ("version: [", "version: v1\npipeline: x\nunknown: 1\n", "- 1\n", "pipeline: x\n"):
        with pytest.raises(UsageError, match="is no"):
            parse_manifest(text)
    with pytest.raises(NoDataError, match="does not exist"):
        read_manifest(tmp_path / "absent.yaml")


def test_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes("version: v1\nnotes: für".encode("latin-1"))
    with pytest.raises(UsageError, match=r"m\.yaml is no text in UTF-8"):
        read_manifest(path)


def test_a_stage_of_your_own_comes_from_a_file_beside_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(USER_STAGE)
    text = f"version: v9\npipeline: {TARGET}\nstages: [{{file: mine.py, name: mine, after: events}}]\n"
    (tmp_path / "m.yaml").write_text(text + "parameters: {mine: {factor: 3.0}}\n")
    recipe = resolve(read_manifest(tmp_path / "m.yaml"))
    assert recipe.pipeline.stage_names == ("load", "events", "mine", "move", "label", "episodes")
    assert msgspec.to_builtins(recipe.parameters["mine"]) == {"factor": 3.0}
    assert "scaled_step" in [column.name for column in recipe.columns["signals"]]
    (tmp_path / "mine.py").write_text(USER_STAGE + "\n# a comment\n")
    commented = resolve(read_manifest(tmp_path / "m.yaml"))
    assert commented.code_hash == recipe.code_hash
    (tmp_path / "mine.py").write_text(USER_STAGE.replace("* parameters", "/ parameters"))
    assert resolve(read_manifest(tmp_path / "m.yaml")).code_hash != recipe.code_hash


def test_where_a_stage_file_lies_changes_no_hash(tmp_path: Path) -> None:
    text = f"version: v9\npipeline: {TARGET}\nstages: [{{file: mine.py, name: mine, after: events}}]\n"
    recipes = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "mine.py").write_text(USER_STAGE)
        (tmp_path / place / "m.yaml").write_text(text)
        recipes.append(resolve(read_manifest(tmp_path / place / "m.yaml")))
    here, there = recipes
    assert (here.manifest_hash, here.code_hash) == (there.manifest_hash, there.code_hash)
    (tmp_path / "there/mine.py").write_text(USER_STAGE.replace("* parameters", "/ parameters"))
    assert resolve(read_manifest(tmp_path / "there/m.yaml")).manifest_hash != here.manifest_hash


def test_what_a_stage_file_imports_from_beside_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text(USER_STAGE + "\nimport ticklake_test_helper\n")
    (tmp_path / "ticklake_test_helper.py").write_text("from ticklake_test_deeper import FACTOR\n")
    (tmp_path / "ticklake_test_deeper").mkdir()
    deeper = tmp_path / "ticklake_test_deeper/__init__.py"
    deeper.write_text("FACTOR = 1\n")
    manifest = toy_manifest(stages=[ExtraStage("mine", after="events", file=str(tmp_path / "mine.py"))])
    before = resolve(manifest).code_hash
    deeper.write_text("FACTOR = 1  # the same\n")
    assert resolve(manifest).code_hash == before
    deeper.write_text("FACTOR = 2\n")
    assert resolve(manifest).code_hash != before


def test_the_package_of_an_installed_stage_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "ticklake_test_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "mine.py").write_text(
        USER_STAGE.replace(
            "import polars", "from . import near\nfrom ticklake_test_package.far import FAR\nimport polars", 1
        )
    )
    (package / "near.py").write_text("NEAR = 1\n")
    (package / "far.py").write_text("FAR = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    stage = import_module("ticklake_test_package.mine").MINE
    hashes = {code_hash([stage])}
    for name in ("near", "far"):
        (package / f"{name}.py").write_text(f"{name.upper()} = 2\n")
        hashes.add(code_hash([stage]))
    assert len(hashes) == 3


def test_what_one_process_has_parsed_another_need_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = es_levels().stages
    known = code_hash(stages)
    parsed = parsed_sources()
    monkeypatch.setattr(module, "_parsed", {})
    remember(parsed)
    monkeypatch.setattr(module.ast, "parse", None)
    assert code_hash(stages) == known
    changed = tmp_path / module.source_file(stages[0]).name
    changed.write_bytes(module.source_file(stages[0]).read_bytes() + b"ONE = 1")
    monkeypatch.setattr(module, "source_file", lambda _stage: changed)
    with pytest.raises(TypeError):  # other bytes: it has to be parsed
        code_hash(stages[:1])


def test_the_choice_of_the_front_month_is_code_that_shapes_data() -> None:
    files = hashed_files(es_levels().stages)
    assert Path(frontmonth.__file__) in files
    assert {"load.py", "session.py", "encode.py"} <= {path.name for path in files}


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "does not exist"), ("1 / 0", "ZeroDivisionError"), ("x = 1", "defines no stage 'mine'; it has no stage")],
)
def test_a_stage_file_that_is_none_is_refused(tmp_path: Path, content: str | None, what: str) -> None:
    if content is not None:
        (tmp_path / "mine.py").write_text(content)
    with pytest.raises(UsageError, match=what):
        resolve(toy_manifest(stages=[ExtraStage("mine", file=str(tmp_path / "mine.py"))]))


def test_an_entry_point_that_is_not_installed_is_named() -> None:
    with pytest.raises(UsageError, match=r"no entry point 'mine' in 'ticklake\.stages'"):
        resolve(toy_manifest(stages=[ExtraStage("mine")]))


def test_two_versions_are_compared_by_what_changed() -> None:
    a, b = (
        resolve(toy_manifest("a")),
        resolve(toy_manifest("b", symbol="NQ", stages=["load", "events"], parameters={"load": {"sessions": 4}})),
    )
    with_columns = [msgspec.structs.replace(r.manifest, columns=r.column_entries) for r in (a, b)]
    found = compare_manifests(*with_columns)
    assert found.features_removed == ("distance_points",)
    assert found.features_common == ("step_points",)
    assert (found.parameters_a["symbol"], found.parameters_a["load.sessions"]) == ("ES", 1)
    assert found.parameters_b == {"symbol": "NQ", "load.sessions": 4, "move.rows": None, "label.rows": None}
    assert found.counts == {"added": 0, "removed": 1, "common": 1}
