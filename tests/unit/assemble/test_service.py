"""What the parts do together: a signal that reads the settings anew, a start that fails whole."""

from __future__ import annotations

import io
import signal
import threading
from pathlib import Path

import psutil
import pytest
import structlog

from ticklake.assemble import build_service
from ticklake.base.errors import CorruptError
from ticklake.base.logs import set_up_logs
from ticklake.base.settings import Settings, load_settings


@pytest.mark.parametrize(("flag", "expected"), [(None, ["quiet"]), ("debug", ["loud", "quiet"])])
async def test_sighup_turns_the_level_of_the_file_and_flags_still_win(
    tmp_path: Path, flag: str | None, expected: list[str]
) -> None:
    config = tmp_path / "ticklake.toml"
    config.write_text('log_level = "debug"\n')
    settings = load_settings(config=config, data_root=str(tmp_path / "lake"), log_level=flag)
    out = io.StringIO()
    control = set_up_logs(settings.log_level, "json", stream=out)
    service = build_service(settings, log_control=control, has_http=False)
    try:
        config.write_text('log_level = "error"\n')
        service._signal_actions()[signal.SIGHUP]()
        log = structlog.get_logger()
        log.debug("loud")
        log.error("quiet")
    finally:
        service._state.close()
    events = [line for line in out.getvalue().splitlines() if "loud" in line or "quiet" in line]
    assert [word for word in ("loud", "quiet") if any(word in line for line in events)] == expected


async def test_a_start_that_fails_in_its_last_tier_keeps_nothing_of_the_first(tmp_path: Path) -> None:
    bad = tmp_path / "lake/_state/wal/level_signals" / f"{7:012d}.wal"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"no segment of ours" * 1000)
    service = build_service(Settings(data_root=tmp_path / "lake"), has_http=False)
    with pytest.raises(CorruptError, match="level_signals"):
        await service.run(handle_signals=False)
    assert service.status.lanes == ()
    for thread in threading.enumerate():
        if thread.name.startswith("log-"):
            thread.join(60)
    assert [file.path for file in psutil.Process().open_files() if file.path.startswith(str(tmp_path))] == []
