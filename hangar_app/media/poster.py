"""Posters: one still image per item, the same width for all, so that a list of them lines up."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

WIDTH = 480
QUALITY = 80


def write(picture: Image.Image, file: Path, width: int = WIDTH, quality: int = QUALITY) -> None:
    """Writes `picture` as JPEG, not wider than `width` pixels; a small picture is not blown up.

    JPEG, because every phone in the cabin shows it, however old.

    Example:
        >>> write(Image.new("RGB", (960, 540)), Path("/tmp/poster.jpg"))
        >>> Image.open("/tmp/poster.jpg").size
        (480, 270)
    """
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").save(file, "JPEG", quality=quality, progressive=True)
