"""The stream from the sender to the host: whole, cut, damaged, hostile."""

from __future__ import annotations

import io
import struct
import zlib

import pytest

from fleet.aboard import stream
from fleet.aboard.errors import ManifestError, StreamCut
from fleet.aboard.stream import END, FILE, MAGIC, MANIFEST, Reader, pack

NOISE = bytes(range(256)) * 3000
PAGE = b"<p>all the same</p>" * 60_000


def read(data: bytes, limit: int = 1 << 24) -> list[tuple[int, bytes]]:
    reader = Reader(io.BytesIO(data))
    frames = []
    while True:
        frame = reader.next()
        if frame.kind == END:
            return frames
        frames.append((frame.kind, b"".join(reader.content(frame, limit))))


@pytest.mark.parametrize("content", [b"", b"a", NOISE, PAGE], ids=["empty", "a", "noise", "page"])
def test_what_is_packed_is_read_back(content: bytes) -> None:
    data = MAGIC + pack(MANIFEST, b"{}") + pack(FILE, content) + pack(END)
    assert read(data) == [(MANIFEST, b"{}"), (FILE, content)]


def test_pages_travel_compressed() -> None:
    assert len(pack(FILE, PAGE)) < len(PAGE) / 100


def test_wherever_it_is_cut_it_is_known_to_be_cut() -> None:
    data = MAGIC + pack(MANIFEST, b"{}") + pack(FILE, b"abc" * 20) + pack(FILE, b"\1\2") + pack(END)
    for length in range(len(data)):
        with pytest.raises(StreamCut, match=f"after {length} bytes"):
            read(data[:length])


def test_something_else_on_standard_input_is_refused() -> None:
    with pytest.raises(ManifestError, match="the stream starts with b'PK"):
        read(b"PK\3\4" + bytes(100))


@pytest.mark.parametrize(
    "head",
    [(9, 0, 1), (FILE, 7, 1), (FILE, 0, 1 << 40), (MANIFEST, 0, 1 << 23), (END, 0, 65)],
)
def test_a_frame_that_no_artifact_has_is_refused(head: tuple[int, int, int]) -> None:
    kind, coding, length = head
    frame = struct.pack(">BB32sQ", kind, coding, bytes(32), length)
    with pytest.raises(ManifestError, match="which no artifact has"):
        read(MAGIC + frame + bytes(100))


def test_a_few_bytes_that_stand_for_very_many_are_stopped_at_the_limit() -> None:
    bomb = zlib.compress(bytes(1 << 24), 9)
    frame = struct.pack(">BB32sQ", FILE, 1, bytes(32), len(bomb)) + bomb
    reader = Reader(io.BytesIO(MAGIC + frame))
    taken = 0
    with pytest.raises(ManifestError, match="expected 1000 bytes, found more"):
        for piece in reader.content(reader.next(), 1000):
            taken += len(piece)
    assert taken <= stream._CHUNK


def test_a_damaged_compressed_frame_says_send_again() -> None:
    data = bytearray(MAGIC + pack(FILE, PAGE))
    data[-40] ^= 0xFF
    with pytest.raises(ManifestError, match=r"damaged on the way .* send again"):
        read(bytes(data))
