import re

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ticklake.base.metrics import Metrics

UNITS = ("_total", "_seconds", "_bytes", "_info", "_pending", "_connected")


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
        assert re.fullmatch(r"ticklake_(ingest|nats|wal|lake|build)_[a-z_]+", name), name
        assert name.endswith(UNITS), name
        assert family.documentation.endswith("."), name
        for sample in family.samples:
            assert set(sample.labels) <= {"lane", "reason", "table", "result", "version", "le"}, name


def test_the_process_itself_is_measured() -> None:
    page, _ = Metrics(version="1").render("")
    assert b"process_resident_memory_bytes" in page
    assert b'ticklake_build_info{version="1"} 1.0' in page
