"""Serial frames from the bus converter: `A5 5A | type | channel | length | payload | CRC-16`.

The CRC is CRC-16/CCITT-FALSE over type to payload, big-endian. A frame whose CRC is wrong gives up
its first byte only: what looked like a frame may have begun inside another one.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field

SYNC = b"\xa5\x5a"
HEADER = 5
CRC = 2

WORDS = 1
DISCRETES = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame that arrived whole: its type, the channel it was heard on, its payload."""

    kind: int
    channel: int
    payload: bytes


@dataclass
class Framer:
    """Cuts a stream of bytes into frames, whatever the pieces it arrives in.

    >>> Framer().feed(bytes.fromhex("a55a 0100 04 c1c0e07f 1e20"))
    [Frame(kind=1, channel=0, payload=b'\\xc1\\xc0\\xe0\\x7f')]

    `bad` counts frames with a wrong CRC, `skipped` the bytes that belonged to no frame.
    """

    bad: int = 0
    skipped: int = 0
    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[Frame]:
        """Takes the bytes that arrived and returns the frames they complete."""
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        at = 0
        while True:
            start = buffer.find(SYNC, at)
            if start < 0:
                # The last byte may be the first half of a sync.
                start = len(buffer) - (buffer[-1:] == SYNC[:1])
                self.skipped += max(0, start - at)
                at = max(at, start)
                break
            self.skipped += start - at
            at = start
            if len(buffer) < at + HEADER:
                break
            end = at + HEADER + buffer[at + 4] + CRC
            if len(buffer) < end:
                break
            body = bytes(buffer[at + 2 : end - CRC])
            if binascii.crc_hqx(body, 0xFFFF) == int.from_bytes(buffer[end - CRC : end], "big"):
                frames.append(Frame(body[0], body[1], body[3:]))
                at = end
            else:
                self.bad += 1
                self.skipped += 1
                at += 1
        del buffer[:at]
        return frames
