"""A newspaper: a PDF that is checked, kept as it is, and shown as page images and a poster.

Phones of the cabin open the page images at once; the PDF itself stays there for those who want all
of it. The name of a page image says which page it is, and of how many: a paper that is longer than
what is shown of it does not end without a word. PDFium repairs what it can without a word, so the
checks here are about what a repaired file cannot hide: no header, no end, no pages, a first page
with nothing on it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pypdfium2 as pdfium
from PIL import Image

from hangar_app.media import poster
from hangar_app.media.rendition import MediaError, Rendition, refuse_size

HEADER_WITHIN = (
    1024  # bytes: readers accept leading rubbish up to here (ISO 32000-1, annex H.3.4.1)
)
TRAILER_WITHIN = 2048


@dataclass(frozen=True)
class Limits:
    """How much of a newspaper is taken and shown: sizes in bytes, pages in pixels, time in seconds."""

    size: int = 200_000_000
    pages: int = 400
    page_images: int = 120
    images_size: int = 40_000_000
    page_width: int = 1000
    page_height: int = 2400
    seconds: float = 600.0


def check(upload: Path, limits: Limits) -> None:
    """Refuses what is not a whole PDF, before a parser sees it.

    Raises:
        MediaError: when the file is empty, too large, or lacks the first or the last mark of a PDF.
    """
    refuse_size(upload, limits.size, "newspaper")
    with upload.open("rb") as file:
        head = file.read(HEADER_WITHIN)
        file.seek(max(0, upload.stat().st_size - TRAILER_WITHIN))
        tail = file.read()
    if b"%PDF-" not in head:
        raise MediaError(
            "This is not a PDF: it does not begin with %PDF-. Bring the newspaper as a PDF."
        )
    if b"%%EOF" not in tail:
        raise MediaError(
            "The PDF breaks off: its end mark (%%EOF) is missing, so the upload or the delivery "
            "was cut. Fetch it from the publisher again."
        )


def render(
    upload: Path,
    into: Path,
    limits: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> list[Rendition]:
    """Renders a PDF into `into` and returns what belongs to the item, the poster first.

    Args:
        upload: the PDF.
        into: an empty folder for the page images.
        limits: how much is taken.
        clock: seconds that only grow.

    Raises:
        MediaError: when the PDF is damaged, locked, too large or too slow to render.

    Example:
        render(Path("courier.pdf"), Path("/tmp/out"))
        # [Rendition("poster", "poster.jpg", …), Rendition("document", "document.pdf", …),
        #  Rendition("page", "pages/001-of-024.jpg", …), …]
    """
    limits = limits or Limits()
    check(upload, limits)
    deadline = clock() + limits.seconds
    document = _open(upload)
    try:
        count = len(document)
        if not 1 <= count <= limits.pages:
            raise MediaError(f"The PDF has {count} pages; 1 to {limits.pages} are taken.")
        pages: list[Rendition] = []
        left = limits.images_size
        for index in range(min(count, limits.page_images)):
            if clock() > deadline:
                raise MediaError(
                    f"The PDF took more than {limits.seconds:.0f} s to render and was given up at "
                    f"page {index + 1}. Ask the publisher for a flattened one."
                )
            picture = _picture(document, index, limits)
            if index == 0:
                _refuse_blank(picture)
                poster.write(picture, into / "poster.jpg")
            file = into / f"{index + 1:03d}-of-{count:03d}.jpg"
            poster.write(picture, file, width=limits.page_width)
            left -= file.stat().st_size
            if left < 0:
                break
            pages.append(Rendition("page", f"pages/{file.name}", file))
    finally:
        document.close()
    paper = into / "document.pdf"
    shutil.copyfile(upload, paper)
    return [
        Rendition("poster", "poster.jpg", into / "poster.jpg"),
        Rendition("document", "document.pdf", paper),
        *pages,
    ]


def _open(upload: Path) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(upload)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise MediaError(
                "The PDF is locked with a password. Ask the publisher for an open one."
            ) from error
        raise MediaError(
            f"The PDF is damaged and cannot be opened ({error}). Fetch it from the publisher again."
        ) from error


def _picture(document: pdfium.PdfDocument, index: int, limits: Limits) -> Image.Image:
    """One page as an image; the scale is bounded by width and height, whatever the page claims."""
    try:
        page = document[index]
        width, height = page.get_size()
        if width <= 0 or height <= 0:
            raise MediaError(f"Page {index + 1} of the PDF has no size. The file is damaged.")
        scale = min(limits.page_width / width, limits.page_height / height)
        picture: Image.Image = page.render(scale=scale).to_pil()
    except pdfium.PdfiumError as error:
        raise MediaError(
            f"Page {index + 1} of the PDF is damaged ({error}). Fetch it from the publisher again."
        ) from error
    return picture


def _refuse_blank(picture: Image.Image) -> None:
    low, high = picture.convert("L").getextrema()
    if low == high:
        raise MediaError(
            "The first page of the PDF comes out blank: its contents are damaged. Fetch it from "
            "the publisher again."
        )
