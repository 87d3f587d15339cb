import math
import re

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ticklake.base.metrics import INCARNATION_REASONS, Metrics
from ticklake.ingest.resume import NEW_INCARNATION

LABELS = {"lane", "reason", "table", "op", "result", "job", "version", "revision", "le"}
UNITS = ("_total", "_seconds", "_bytes", "_info", "_pending", "_connected", "_ready", "_messages")


def test_two_services_in_one_process_do_not_share_numbers() -> None:
    first, second = Metrics(version="1"), Metrics(version="1")
    first.messages_received_total.labels("market_data").inc(5)
    assert first.registry.get_sample_value("ticklake_ingest_messages_received_total", {"lane": "market_data"}) == 5
    assert second.registry.get_sample_value("ticklake_ingest_messages_received_total", {"lane": "market_data"}) is None


def test_each_scraper_gets_the_format_it_asked_for() -> None:
    metrics = Metrics(version="1")
    page, content_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith(b"# EOF\n")
    page, content_type = metrics.render("text/plain;version=0.0.4")
    assert content_type.startswith("text/plain")
    assert b"# EOF" not in page
    assert metrics.render("")[1].startswith("text/plain")


def test_names_follow_the_house_and_labels_are_closed_sets() -> None:
    metrics = Metrics(version="1.2.3")
    metrics.wal_fsync_seconds.labels("gold").observe(0.001)
    page, _ = metrics.render("application/openmetrics-text; version=1.0.0")
    families = [
        family
        for family in text_string_to_metric_families(page.decode())
        if not re.match("process_|python_", family.name)
    ]
    assert len(families) > 15
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        assert re.fullmatch(r"ticklake_(service|job|ingest|nats|wal|lake|storage|disk|build)_[a-z_]+", name), name
        assert name.endswith(UNITS), name
        assert family.documentation.endswith("."), name
        for sample in family.samples:
            assert set(sample.labels) <= LABELS, name


def test_the_process_itself_is_measured() -> None:
    page, _ = Metrics(version="1").render("")
    assert b"process_resident_memory_bytes" in page
    assert b'ticklake_build_info{revision="unknown",version="1"} 1.0' in page


def test_a_lane_is_there_at_zero_before_anything_happens() -> None:
    metrics = Metrics(version="1")
    metrics.begin_lane("gold")
    for name in ("ticklake_ingest_missing_total", "ticklake_ingest_duplicates_total", "ticklake_lake_flush_rows_total"):
        assert metrics.registry.get_sample_value(name, {"lane": "gold"}) == 0
    lives = {"lane": "gold", "reason": "stream_regressed"}
    assert metrics.registry.get_sample_value("ticklake_ingest_incarnations_total", lives) == 0
    assert metrics.registry.get_sample_value("ticklake_lake_commit_total", {"result": "conflict"}) == 0


def test_what_was_never_measured_is_no_number() -> None:
    metrics = Metrics(version="1")
    for name in ("ticklake_disk_free_bytes", "ticklake_disk_free_min_bytes", "ticklake_nats_clock_skew_seconds"):
        assert math.isnan(metrics.registry.get_sample_value(name) or 0), name


def test_readiness_shows_every_reason_and_those_that_hold() -> None:
    metrics = Metrics(version="1")

    def shown() -> dict[str, float | None]:
        name = "ticklake_service_not_ready_info"
        return {code: metrics.registry.get_sample_value(name, {"reason": code}) for code in ("a", "b", "new")}

    metrics.show_readiness({"a", "new"}, known={"a", "b"})
    assert metrics.registry.get_sample_value("ticklake_service_ready") == 0
    assert shown() == {"a": 1, "b": 0, "new": 1}
    metrics.show_readiness((), known={"a", "b", "new"})
    assert metrics.registry.get_sample_value("ticklake_service_ready") == 1
    assert shown() == {"a": 0, "b": 0, "new": 0}


def test_facts_describe_exactly_what_is_shown() -> None:
    metrics = Metrics(version="1")
    ours = {name for name in metrics.registry._names_to_collectors if name.startswith("ticklake_")}
    assert {fact.name for fact in metrics.facts} <= ours
    assert all(any(name.startswith(fact.name.removesuffix("_total")) for fact in metrics.facts) for name in ours)


def test_the_reasons_of_new_lives_are_those_of_the_reader() -> None:
    assert set(INCARNATION_REASONS) == {finding.value for finding in NEW_INCARNATION}
