"""The page of the format names what the code writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

import ticklake
from ticklake.wal.state import SegmentState, decode_state, encode_state

PAGE = (Path(ticklake.__file__).parents[1] / "docs/formats/wal.md").read_text()


def test_the_state_on_the_page_is_one_that_we_write() -> None:
    [sample] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    written = encode_state(decode_state(sample.encode()))
    assert msgspec.json.format(written, indent=0) == msgspec.json.format(sample, indent=0).encode()
    assert list(json.loads(sample)) == [*json.loads(encode_state(SegmentState("l", "L")))]


def test_every_key_of_the_state_is_explained() -> None:
    for key in json.loads(encode_state(SegmentState("l", "L"))):
        assert key in ("lane", "stream") or f"- `{key}`:" in PAGE, key
