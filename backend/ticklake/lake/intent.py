"""The decision to publish a segment, as a checked document. Pure.

Once an intent is durable its files are linked, whatever happens; they are never encoded again. So a new version of the
encoder between crash and restart changes nothing, and the position it carries holds even if the log's tail is lost.
"""

from __future__ import annotations

import struct
from typing import Any

import google_crc32c
import msgspec

MAGIC = b"TLINTENT"
VERSION = 1

_FRAME = struct.Struct("<8sII I")


class StagedFile(msgspec.Struct, frozen=True):
    """One staged file and where it goes.

    Attributes:
        staged: name in the staging folder.
        folder: target folder, relative to the data root.
        name: target name.
        crc32c: of the whole file, eight lower-case hex digits.
    """

    staged: str
    folder: str
    name: str
    rows: int
    bytes: int
    crc32c: str


class Intent(msgspec.Struct, frozen=True):
    """Everything that finishing a commit needs.

    Attributes:
        segment: number of the log segment.
        files: the data files.
        ledger: the staged ledger document; linked after the data files are durable.
        reached: what the lane knows once the batch is published: position, incarnation, sequences seen.
    """

    segment: int
    files: tuple[StagedFile, ...]
    ledger: StagedFile
    reached: dict[str, Any]  # the lane's own words; the lake only carries them


def encode_intent(intent: Intent) -> bytes:
    """The intent as magic, version, length, crc32c and JSON."""
    body = msgspec.json.encode(intent)
    return _FRAME.pack(MAGIC, VERSION, len(body), google_crc32c.value(body)) + body


def decode_intent(content: bytes) -> Intent | None:
    """The intent, or None when it is torn: then nothing was decided and nothing was linked.

    Raises:
        ValueError: a whole intent of a version that this program does not know.
    """
    if len(content) < _FRAME.size:
        return None
    magic, version, body_bytes, crc = _FRAME.unpack_from(content)
    body = content[_FRAME.size : _FRAME.size + body_bytes]
    if magic != MAGIC or len(body) != body_bytes or google_crc32c.value(body) != crc:
        return None
    if version != VERSION:
        raise ValueError(f"INTENT version {version}; this program reads version {VERSION}: use the one that wrote it")
    return msgspec.json.decode(body, type=Intent)
