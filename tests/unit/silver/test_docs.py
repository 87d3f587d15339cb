"""The reference page of the features is the one the declarations give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ticklake.silver.docs import render_features
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


def test_every_source_on_the_page_is_cited_where_its_formula_stands() -> None:
    files = [path for path in (ROOT / "backend" / "ticklake" / "silver").rglob("*.py") if path.name != "docs.py"]
    code = "\n".join(path.read_text() for path in files)
    stages = [line for line in render_features().splitlines() if "| `backend/" in line]
    found = {match for line in stages for match in SOURCE.findall(line)}
    assert len(found) >= 9
    for author, year in found:
        assert re.search(rf"{author}[^()]{{0,60}}\({year}\)", code), f"{author} ({year})"
