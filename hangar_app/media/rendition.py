"""What the renderers hand over: files made from an upload, each with its place in the item."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Role = Literal["poster", "hls", "document", "page"]

MIME_TYPES = {
    ".jpg": "image/jpeg",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".pdf": "application/pdf",
}


class MediaError(Exception):
    """An upload that cannot become an item; the message is for the editor who brought it."""


@dataclass(frozen=True)
class Rendition:
    """One file of an item: `path` is where it lies in the item, `file` where it lies now.

    Example:
        >>> Rendition("page", "pages/001-of-024.jpg", Path("/tmp/001-of-024.jpg")).mime
        'image/jpeg'
    """

    role: Role
    path: str
    file: Path

    @property
    def mime(self) -> str:
        """The media type that nginx and the browsers are told."""
        return MIME_TYPES[self.file.suffix]


def refuse_size(upload: Path, limit_bytes: int, what: str) -> None:
    """Refuses an upload that is empty or larger than `limit_bytes`.

    Raises:
        MediaError: with the size found and the size allowed.

    Example:
        refuse_size(Path("/dev/null"), 10, "newspaper")
        # MediaError: The newspaper is empty (0 bytes). Bring the file again.
    """
    size = upload.stat().st_size
    if size == 0:
        raise MediaError(f"The {what} is empty (0 bytes). Bring the file again.")
    if size > limit_bytes:
        raise MediaError(
            f"The {what} has {size / 1e6:.0f} MB; at most {limit_bytes / 1e6:.0f} MB are taken. "
            "Export it smaller and bring it again."
        )
