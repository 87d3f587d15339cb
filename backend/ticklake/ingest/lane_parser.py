"""The fast lane: message frames of our subscriptions go from the socket buffer straight into their intake.

The stock parser matches six regular expressions per frame, builds a message object and queues it; a lane needs none of
that. Here a run of plain frames is taken at once, as it lies in the buffer (`ingest/run.py`); any other frame of a lane
costs one `find`, one `split` and a few appends. Frames of other subscriptions, and every other protocol line, are
handed to the client's own code, so requests, pings and errors work as always.
"""

from __future__ import annotations

from collections.abc import Mapping

from nats.aio.client import Client
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from ticklake.ingest.intake import Intake
from ticklake.ingest.run import RUN_MIN, cut_run

_M, _H = ord("M"), ord("H")
_SID_WITHIN = 1_024  # most subjects are far shorter; behind a longer one frames go one by one
_LINE_BYTES_MAX = 65_536  # a control line without end beyond this is no NATS; the server's own limit is 4 KiB


class LaneParser(Parser):
    """A parser of the NATS protocol that knows our lanes by subscription id.

    Args:
        client: gets every frame that is not of a lane.
        lanes: subscription id as it stands on the wire -> intake; the client adds and removes entries.
        run_min: messages from which on a read is taken as one run.
    """

    def __init__(self, client: Client, lanes: Mapping[bytes, Intake], *, run_min: int = RUN_MIN) -> None:
        super().__init__(client)
        self._client = client
        self._lanes = lanes
        self._run_min = run_min
        self._frame_bytes = 0

    def reset(self) -> None:
        """Forget a half-received frame; called by the client on every (re)connect."""
        super().reset()
        self._frame_bytes = 0

    async def parse(self, data: bytes = b"") -> None:
        """Take every complete frame; keep the rest for the next read.

        Raises:
            ProtocolError: the bytes are no NATS frame; the client reconnects.
        """
        if self.buf:
            self.buf += data
            if len(self.buf) < self._frame_bytes:
                return  # a large message is still on its way: do not look again before it can be whole
            buffer = bytes(self.buf)
        else:
            buffer = data
        at = self._take_run(buffer)
        if at < len(buffer):
            at = await self._take_frames(buffer, at)
        self.buf = bytearray(buffer[at:]) if at < len(buffer) else bytearray()

    def _take_run(self, buffer: bytes) -> int:
        """Take all whole frames at once if they are plain messages of one lane; give the offset behind them, else 0."""
        sid = _first_sid(buffer)
        intake = self._lanes.get(sid) if sid else None
        if sid is None or intake is None or intake.bytes_max is not None:
            return 0
        run = cut_run(buffer, sid, at_least=self._run_min)
        if run is None:
            return 0
        intake.add_run(run)
        return run.end

    async def _take_frames(self, buffer: bytes, at: int) -> int:
        """Handle all whole frames from an offset on; give the offset of the first incomplete one."""
        end, find, lanes = len(buffer), buffer.find, self._lanes
        self._frame_bytes = 0
        while at < end:
            kind = buffer[at]
            line_end = find(b"\r\n", at)
            if line_end < 0:
                if end - at > _LINE_BYTES_MAX:
                    raise ProtocolError("nats: control line without end")
                return at
            if kind != _M and kind != _H:
                self.buf = bytearray()
                await super().parse(buffer[at : line_end + 2])
                at = line_end + 2
                continue
            words = buffer[at:line_end].split(b" ")
            start = line_end + 2
            try:
                stop = start + int(words[-1])
                header_bytes = int(words[-2]) if kind == _H else 0
                sid = words[2]
            except (ValueError, IndexError) as error:
                raise ProtocolError(f"nats: malformed frame {words[0][:8]!r}") from error
            if not 0 <= header_bytes <= stop - start or not 4 <= len(words) - (kind == _H) <= 5:
                raise ProtocolError(f"nats: a frame of impossible shape: {buffer[at : min(line_end, at + 120)]!r}")
            if stop + 2 > end:
                self._frame_bytes = stop + 2 - at
                return at
            # MSG subject sid [reply] size  |  HMSG subject sid [reply] header_size size
            has_reply = len(words) == (5 if kind == _M else 6)
            intake = lanes.get(sid)
            if intake is None:
                header = buffer[start : start + header_bytes] if header_bytes else None
                reply = words[3] if has_reply else b""
                payload = buffer[start + header_bytes : stop]
                await self._client._process_msg(int(sid), words[1], reply, payload, header)  # type: ignore[arg-type]
            else:
                header = buffer[start : start + header_bytes] if header_bytes else None
                intake.add(words[1], words[3] if has_reply else b"", header, buffer[start + header_bytes : stop])
            at = stop + 2
        return at


def _first_sid(buffer: bytes) -> bytes | None:
    """The subscription id of a plain message at the begin of a buffer."""
    words = buffer[:_SID_WITHIN].split(b" ", 3)
    return words[2] if len(words) == 4 and words[0] == b"MSG" else None
