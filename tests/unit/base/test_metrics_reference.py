from pathlib import Path

from ticklake.base.metrics_reference import render_reference

PAGE = Path(__file__).parents[3] / "backend" / "docs" / "reference" / "metrics.md"


def test_the_page_in_the_repository_is_the_one_the_definitions_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_reference()
