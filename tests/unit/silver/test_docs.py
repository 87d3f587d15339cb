"""The reference page of the features is the one the declarations give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ticklake.silver.docs import render_features
from ticklake.silver.parameters import parameter_docs
from ticklake.silver.pipeline import default_parameters, output_columns
from ticklake.silver.pipelines import PIPELINES, find_pipeline

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "backend" / "docs" / "reference" / "features.md"
SOURCE = re.compile(r"([A-Z][A-Za-z]+)[^();|]*\((\d{4})\)")


def test_the_page_in_the_repository_is_the_one_the_declarations_give() -> None:
    assert PAGE.read_text() == render_features()


@pytest.mark.parametrize("name", PIPELINES)
def test_the_page_names_every_column_of_every_file(name: str) -> None:
    pipeline = find_pipeline(name)
    columns = output_columns(pipeline, default_parameters(pipeline))
    for file, specs in columns.items():
        part = render_features().split(f"\n### {name}: {file}\n")[1].split("\n#")[0]
        assert [row.split(" | ")[0] for row in part.splitlines()[3:] if row] == [f"| {spec.name}" for spec in specs]


@pytest.mark.parametrize("name", PIPELINES)
def test_every_parameter_is_told_with_its_meaning_and_every_number_with_its_unit(name: str) -> None:
    docs = parameter_docs(name)
    told = {(doc.stage, doc.parameter): doc for doc in docs}
    every = default_parameters(find_pipeline(name))
    assert list(told) == [(stage, field) for stage, own in every.items() for field in own.__struct_fields__]
    assert not [key for key, doc in told.items() if not doc.meaning]
    numbers = [doc for doc in docs if "int" in doc.type or "float" in doc.type]
    assert not [doc.parameter for doc in numbers if not doc.unit]
    part = render_features().split(f"\n### {name}: parameters\n")[1].split("\n#")[0]
    rows = [row.split(" | ") for row in part.splitlines()[3:] if row]
    assert [(row[0], row[1]) for row in rows] == [(f"| {stage}", parameter) for stage, parameter in told]


def test_a_parameter_says_its_bounds_its_unit_and_what_the_baseline_sets_instead() -> None:
    told = {(doc.stage, doc.parameter): doc for doc in parameter_docs("es_levels")}
    tape, share = told["compute_physics", "tape_points"], told["load_bronze", "dominance_min"]
    assert (tape.type, tape.default, tape.baseline, tape.unit) == ("float >= 0", 0.5, 10.0, "points")
    assert (share.type, share.baseline, share.unit) == ("float >= 0, <= 1", None, "ratio"), "a minimum, no minutes"
    assert told["label_outcomes", "horizons_min"].unit == "min"
    assert told["build_ohlcv_2min", "atr_bars"].meaning == "bars of the average true range.", "told by its base class"
    assert told["init_market_state", "settlement"].default == "16:00:00"


def test_every_source_on_the_page_is_cited_where_its_formula_stands() -> None:
    files = [path for path in (ROOT / "backend" / "ticklake" / "silver").rglob("*.py") if path.name != "docs.py"]
    code = "\n".join(path.read_text() for path in files)
    stages = [line for line in render_features().splitlines() if "| `backend/" in line]
    found = {match for line in stages for match in SOURCE.findall(line)}
    assert len(found) >= 9
    for author, year in found:
        assert re.search(rf"{author}[^()]{{0,60}}\({year}\)", code), f"{author} ({year})"
