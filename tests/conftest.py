"""What every test gets: logging as it was, no bucket known from before, no silent skip where CI should have all."""

import compileall
import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

# As on CI everywhere: no deadline for an example, and the same examples each time (`--hypothesis-profile=default` has
# both the other way round).
settings.load_profile("ci")

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "backend" / "ticklake"
LONGEST_FIRST = (
    "crash/test_kill_syscalls.py",
    "crash/test_kill_random.py",
    "crash/test_silver_kill.py",
    "crash/test_gold_kill.py",
    "crash/test_silver_kill_levels.py",
    "e2e/test_real_data.py",
    "architecture/test_docs.py",
    "crash/test_disk_errors.py",
    "unit/decode/test_paths_agree.py",
    "crash/test_crash_images.py",
    "crash/test_retention_kill.py",
    "conformance/test_wire.py",
    "integration/silver/test_engine_cluster.py",
    "integration/silver/test_engine_determinism.py",
    "integration/silver/test_shipped_pipelines.py",
    "nats/test_stream_faults.py",
    "nats/test_leader_change.py",
    "crash/test_fuzz_conservation.py",
    "crash/test_sigterm.py",
    "nats/test_auth.py",
    "crash/test_two_writers.py",
    "nats/test_foreign_clients.py",
    "nats/test_connection_faults.py",
    "integration/test_records_real_data.py",
    "crash/test_records_decisions.py",
    "e2e/test_poison.py",
    "nats/test_work_queue.py",
    "e2e/test_demo.py",
    "integration/test_records_catalog.py",
    "integration/gold/test_gold_races.py",
    "crash/test_records_kills.py",
    "crash/test_records_kill.py",
    "integration/gold/test_gold_retention.py",
    "property/test_wal_flips.py",
    "property/test_wal_model.py",
    "unit/silver/test_leaks.py",
    "nats/test_core_mode.py",
    "unit/sink/test_real_data.py",
    "integration/silver/test_real_data.py",
    "conformance/test_data_store.py",
)
"""Files that take longest, in the order in which they begin: no worker shall end alone with one of them."""

LONG = (
    "crash/test_disk_errors.py",
    "crash/test_kill_far_behind.py",
    "crash/test_kill_random.py",
    "crash/test_kill_syscalls.py",
    "crash/test_records_decisions.py",
    "crash/test_records_kill.py",
    "crash/test_records_kills.py",
    "crash/test_retention_kill.py",
    "crash/test_sigterm.py",
    "crash/test_silver_kill.py",
    "crash/test_silver_kill_levels.py",
    "deploy/test_compose_run.py",
    "deploy/test_container.py",
    "incidents",
    "integration/silver/test_engine_cluster.py",
    "integration/silver/test_shipped_pipelines.py",
    "integration/test_delta_races.py",
    "integration/test_traces.py",
    "nats/test_connection_faults.py",
    "nats/test_leader_change.py",
    "nats/test_stream_faults.py",
    "s3",
    "security/test_permissions.py",
    "security/test_planted_secrets.py",
)
"""Files and folders whose tests are marked `long`, unless they are nightly: the second of the two runs of CI."""


def pytest_configure(config: pytest.Config) -> None:
    """Order the files, and compile the package once."""
    if hasattr(config, "workerinput"):
        return
    # Files go to the workers as collected; by itself xdist begins with those of the most tests.
    config.option.loadscopereorder = False
    # The many processes that tests start find bytecode, also where Python is told not to write any.
    compileall.compile_dir(PACKAGE, quiet=2)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what is long."""
    is_long = any(item.path.is_relative_to(TESTS / name) for name in LONG)
    if is_long and item.get_closest_marker("nightly") is None:
        item.add_marker("long")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others as they were."""
    rank = {TESTS / name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _no_bucket_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process remembers how it reached a bucket; the wrong keys of one test must not open the next one's."""
    monkeypatch.setattr("ticklake.files.s3_access._known", {})


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
