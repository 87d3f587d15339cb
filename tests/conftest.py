"""What every test gets: logging as it was before, and no silent skip where CI should have everything."""

import logging
import os
from collections.abc import Generator, Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


# The opposite case is what these need: a machine without pandas, or with one disk only.
_RIGHTLY_SKIPPED = ("pandas is here", "pandas is installed", "no second disk here")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip is a failure: a missing tool or data set must not pass as a green run."""
    report = yield
    reason = str(report.longrepr)
    is_missing = report.skipped and not any(right in reason for right in _RIGHTLY_SKIPPED)
    if os.environ.get("CI") and is_missing and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI must not skip it: {reason}"
    return report
