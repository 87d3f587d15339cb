"""One writer per state folder: the second is refused and told who the first is."""

from __future__ import annotations

from pathlib import Path

from tests.crash.harness_faults import STREAM, WRITER, Market, check_exactly_once, healthy, run_until_dead

BAD_CONFIGURATION = 78
RETRY_LATER = 75


def test_a_second_service_on_the_same_state_folder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    with Market(tmp_path) as market:
        market.publish(200)
        first, second = healthy(tmp_path, market), healthy(tmp_path, market)
        second.log_path = tmp_path / "second.log"
        with first:
            assert run_until_dead(second, "a second writer") == RETRY_LATER, second.log_tail()
            said = second.log_text()
            assert f"is in use by process {first.pid} on " in said, said
            assert str(first.state_dir) in said
            assert not second.events("service.started")
            market.publish(200)
            first.wait_settled(STREAM, market.published)  # the first never noticed
            assert first.terminate() == 0, first.log_tail()
        second.start()  # the folder is free again
        second.wait_settled(STREAM, market.published)
        assert second.terminate() == 0, second.log_tail()
        check_exactly_once(second, market.published)


def test_a_killed_service_does_not_keep_its_state_folder(tmp_path: Path) -> None:
    with Market(tmp_path) as market:
        service = healthy(tmp_path, market)
        with service:
            service.kill()
        with service:
            market.publish(50)
            service.wait_settled(STREAM, market.published)
            assert service.terminate() == 0, service.log_tail()
        check_exactly_once(service, market.published)


def test_a_state_folder_keeps_the_writer_it_was_made_for(tmp_path: Path) -> None:
    with Market(tmp_path) as market:
        service = healthy(tmp_path, market)
        with service:
            market.publish(50)
            service.wait_settled(STREAM, market.published)
            assert service.terminate() == 0, service.log_tail()
        assert (service.state_dir / "IDENTITY").read_text().strip() == WRITER
        other = healthy(tmp_path, market, writer_id="another")
        assert run_until_dead(other, "another writer") == BAD_CONFIGURATION, other.log_tail()
        assert f"belongs to {WRITER!r}" in other.log_text()
        check_exactly_once(service, market.published)
