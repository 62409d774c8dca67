"""A PDF becomes page images and a poster; one that is not whole is refused with a sentence."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from PIL import Image

from hangar_app.media import newspaper
from hangar_app.media.newspaper import Limits
from hangar_app.media.rendition import MediaError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_gives_poster_document_and_one_image_for_each_page(pdf: Path, out: Path) -> None:
    made = newspaper.render(pdf, out)
    assert [(one.role, one.path) for one in made] == [
        ("poster", "poster.webp"),
        ("document", "document.pdf"),
        ("page", "pages/001.webp"),
        ("page", "pages/002.webp"),
    ]
    assert Image.open(made[0].file).width == 480
    assert Image.open(made[2].file).width == 1200
    assert made[1].file.read_bytes() == pdf.read_bytes()


def test_shows_no_more_pages_than_allowed(pdf: Path, out: Path) -> None:
    made = newspaper.render(pdf, out, Limits(page_images=1))
    assert [one.path for one in made if one.role == "page"] == ["pages/001.webp"]


def broken(pdf: Path, change: str) -> None:
    whole = pdf.read_bytes()
    pdf.write_bytes(
        {
            "nothing in it": b"",
            "another kind of file": b"PK\x03\x04" + whole[4:],
            "cut in the middle": whole[: len(whole) // 2],
            "its pages overwritten": whole.replace(b"/Type /Page", b"/Type /Gone"),
            "pictures scrambled": whole[:300]
            + bytes(255 - byte for byte in whole[300:-2000])
            + whole[-2000:],
        }[change]
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("nothing in it", "empty (0 bytes)"),
        ("another kind of file", "not a PDF"),
        ("cut in the middle", "breaks off"),
        ("its pages overwritten", "damaged"),
        ("pictures scrambled", "damaged"),
    ],
)
def test_refuses_a_file_with(pdf: Path, out: Path, change: str, said: str) -> None:
    broken(pdf, change)
    with pytest.raises(MediaError, match=said.replace("(", r"\(").replace(")", r"\)")):
        newspaper.render(pdf, out)


def test_refuses_more_than_the_limits(pdf: Path, out: Path) -> None:
    with pytest.raises(MediaError, match="at most 0 MB"):
        newspaper.render(pdf, out, Limits(size=100))
    with pytest.raises(MediaError, match="2 pages; 1 to 1 are taken"):
        newspaper.render(pdf, out, Limits(pages=1))


def test_gives_up_a_pdf_that_takes_too_long(pdf: Path, out: Path) -> None:
    ticks = count(step=100)
    with pytest.raises(MediaError, match="more than 150 s"):
        newspaper.render(pdf, out, Limits(seconds=150), clock=lambda: float(next(ticks)))
