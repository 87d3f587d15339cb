"""A decision of the retention, as the first version wrote it, is still read and still written like that."""

from __future__ import annotations

from pathlib import Path

from ticklake.lake.retired import decode_retirement, encode_retirement

SAMPLE = Path(__file__).with_name("retired_v1.json")


def test_a_retirement_of_version_1_opens_and_is_still_written_like_that() -> None:
    content = SAMPLE.read_bytes()
    retirement = decode_retirement(content, path=SAMPLE.name)
    assert (retirement.number, retirement.decided_ns, retirement.is_finished) == (7, 1_742_000_000_000_000_000, False)
    bronze, quarantine = retirement.files
    assert (bronze.table, bronze.rows, bronze.bytes, bronze.crc32c) == ("futures.trades", 990, 20_480, "0a1b2c3d")
    assert (quarantine.path.partition("/")[0], quarantine.reason) == ("quarantine", "exceeds_max_count")
    assert encode_retirement(retirement) == content
