"""Manifests: all of the build in one YAML file, and nothing else changes the hashes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.integration.silver.toy import TARGET, toy_manifest

from ticklake.base.errors import NoDataError, UsageError
from ticklake.silver.compare import compare_manifests
from ticklake.silver.manifest import ExtraStage, dump_manifest, parse_manifest, read_manifest
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
        resolve(toy_manifest("b", stages=["load", "events"], parameters={"load": {"sessions": 4}})),
    )
    with_columns = [msgspec.structs.replace(r.manifest, columns=r.column_entries) for r in (a, b)]
    found = compare_manifests(*with_columns)
    assert found.features_removed == ("distance_points",)
    assert found.features_common == ("step_points",)
    assert found.parameters_a["load.sessions"] == 1
    assert found.parameters_b == {"load.sessions": 4, "move.rows": None, "label.rows": None}
    assert found.counts == {"added": 0, "removed": 1, "common": 1}
