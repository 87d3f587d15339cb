"""The report in a real browser, wide as a desk and narrow as a phone: no text over another, none cut, no request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.e2e.harness import need_tool
from tests.unit.silver.small_version import add_date, fail, lay_down, lay_down_empty, rows

from ticklake.silver.folder import VersionFolder
from ticklake.silver.report import write_report

WIDTHS = (1280, pytest.param(390, marks=pytest.mark.long))
VERSIONS = ("drifted", "leaking", "empty", "failed", "long")
TEXTS = ".plotly-graph-div text, .ends span, .known, h3, .legend li, .axis, summary"
OVERLAPS = """texts => {
  const boxes = [...document.querySelectorAll(texts)]
    .filter(each => each.textContent.trim() && each.checkVisibility({opacityProperty: true}))
    .map(each => [each, each.getBoundingClientRect()]).filter(([_, box]) => box.width && box.height);
  const found = [];
  for (const [a, p] of boxes) for (const [b, q] of boxes) {
    if (a === b || a.contains(b) || b.contains(a) || a.compareDocumentPosition(b) & 2) continue;
    const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
    const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (wide > 1 && high > 2) found.push(a.textContent + ' | ' + b.textContent);
  }
  return found;
}"""
CUT = """() => [...document.querySelectorAll('main *')].filter(each => {
    if (each.closest('.wide') || !each.checkVisibility({opacityProperty: true})) return false;
    if (!each.textContent.trim()) return false;
    if (each.tagName === 'text') {
      const box = each.getBoundingClientRect(), of = each.closest('.plotly-graph-div').getBoundingClientRect();
      return box.width && (box.left < of.left - 1 || box.right > of.right + 1 || box.bottom > of.bottom + 1
        || box.top < of.top - 1);
    }
    return each instanceof HTMLElement && each.scrollWidth > each.clientWidth + 1
      && getComputedStyle(each).display !== 'inline';
  }).map(each => each.textContent.slice(0, 60))"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page per kind of version."""
    root = tmp_path_factory.mktemp("lake")
    lay_down(root, "parent")
    lay_down(root, "drifted", parent="parent", scale=3.0)
    lay_down(root, "leaking", parent="parent", leak=True)
    lay_down_empty(root, "empty")
    lay_down(root, "failed")
    fail(
        root, "failed", "StageFailedError: stage load_bronze: ValueError: a reason as long as reasons are", "2026-11-24"
    )
    lay_down(root, "long")
    for month in range(1, 10):
        add_date(VersionFolder(root, "long"), f"2026-{month:02}-05", rows(100_000 if month == 3 else 40 + month))
    for version in VERSIONS:
        write_report(root, version)
    return root / "silver" / "reports"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of this machine."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=need_tool("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=WIDTHS, ids=str)
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A window without network; what the page asks for or complains of fails the test."""
    with browser.new_context(viewport={"width": request.param, "height": 900}, offline=True) as context:
        page, complaints = context.new_page(), []
        page.on("request", lambda asked: complaints.append(asked.url) if asked.url.startswith(("http", "ws")) else None)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        assert not complaints


@pytest.mark.parametrize("version", VERSIONS)
def test_every_text_of_a_page_can_be_read(page: Page, reports: Path, version: str) -> None:
    page.goto((reports / f"{version}.html").as_uri())
    page.wait_for_function("document.querySelectorAll('.plotly-graph-div:not(:has(.main-svg))').length === 0")
    assert page.evaluate(OVERLAPS, TEXTS) == []
    assert page.evaluate(CUT) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_pictures_tell_is_reached_by_the_keyboard(page: Page, reports: Path) -> None:
    page.goto((reports / "drifted.html").as_uri())
    said = set()
    for _ in range(page.locator("summary, .wide").count()):  # a table that was opened is the next stop, to scroll it
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        said.add(page.evaluate("document.activeElement.textContent"))
    assert {
        "Days that are not built, and why",
        "PSI of every feature, as a table",
        "near_depth_change_at_the_level [contracts]",
    } <= said
    assert page.get_by_text("no session <i>on that day").is_visible()
    assert page.get_by_text("Depth <near> the level.").is_visible()
