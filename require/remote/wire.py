"""What travels between the engine and its program: frames of compressed JSON.

An answer is `MAGIC`, then frames: one byte of kind, four bytes of length (big-endian), zlib'd JSON.
Kinds: b"P" progress, b"R" the result, which is last. Whatever a login shell wrote before `MAGIC` is
skipped.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

MAGIC = b"\nturnaround:1\n"
MAX_FRAME = 64 * 1024 * 1024
MASK = "••••••"


def frame(kind: bytes, value: Any) -> bytes:
    """Return one frame.

    Args:
        kind: b"P" or b"R".
        value: anything JSON can hold.
    """
    body = zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 9)
    return kind + len(body).to_bytes(4, "big") + body


def digest(state: Any) -> str:
    """Return the SHA-256 of a state, the same on both sides: what compare-and-set compares."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return the text with each secret in it replaced by the mask, the longest first.

    Args:
        text: for people or a log.
        secrets: what must not be in it, and neither may a line of one, for programs quote lines;
            what is shorter than 4 characters is left, it would mask half of any text.
    """
    pieces = {piece for secret in secrets for piece in (secret, *secret.splitlines())}
    for secret in sorted(pieces, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, MASK)
    return text


class Reader:
    """Takes an answer apart as it arrives.

    Example:
        >>> reader = Reader()
        >>> list(reader.feed(MAGIC + frame(b"R", {"ok": True})))
        [(b'R', {'ok': True})]
    """

    def __init__(self) -> None:
        self._waiting = b""
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[tuple[bytes, Any]]:
        """Yield (kind, value) of each frame that is complete.

        Args:
            piece: the bytes that came.

        Raises:
            ValueError: these are not our frames.
        """
        self._waiting += piece
        if not self._begun:
            before, found, after = self._waiting.partition(MAGIC)
            if not found:
                if len(before) > 65536:
                    raise ValueError("no answer of ours in the first 64 KiB")
                return
            self._begun, self._waiting = True, after
        while len(self._waiting) >= 5:
            kind, size = self._waiting[:1], int.from_bytes(self._waiting[1:5], "big")
            if kind not in (b"P", b"R") or size > MAX_FRAME:
                raise ValueError("a frame that is not ours")
            if len(self._waiting) < 5 + size:
                return
            body, self._waiting = self._waiting[5 : 5 + size], self._waiting[5 + size :]
            yield kind, json.loads(_inflate(body))


def _inflate(body: bytes) -> bytes:
    unzip = zlib.decompressobj()
    text = unzip.decompress(body, MAX_FRAME)
    if unzip.unconsumed_tail:
        raise ValueError("a frame larger than any of ours")
    return text


class Decoder:
    """Reads a request and remembers its secrets, so that they can be masked in what is said.

    Example:
        >>> decoder = Decoder()
        >>> decoder.load('{"password": {"$secret": "s3cret"}}'), decoder.mask("no s3cret here")
        ({'password': 's3cret'}, 'no •••••• here')
    """

    def __init__(self) -> None:
        self.secrets: set[str] = set()

    def load(self, text: str) -> Any:
        """Return the request that a JSON text holds."""
        return json.loads(text, object_hook=self._hook)

    def mask(self, text: str) -> str:
        """Return the text without the secrets of the request."""
        return masked(text, self.secrets)

    def _hook(self, value: dict[str, Any]) -> Any:
        if "$secret" in value:
            self.secrets.add(value["$secret"])
            return value["$secret"]
        if "$text" in value:
            return value["$text"].encode()
        if "$bytes" in value:
            return base64.b64decode(value["$bytes"])
        return value
