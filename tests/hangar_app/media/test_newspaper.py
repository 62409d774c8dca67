"""A PDF becomes page images and a poster; one that is not whole is refused with a sentence."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from PIL import Image

from hangar_app.media import newspaper
from hangar_app.media.newspaper import Limits
from hangar_app.media.rendition import MediaError, Rendition


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def pages(made: list[Rendition]) -> list[Rendition]:
    return [one for one in made if one.role == "page"]


def test_gives_poster_document_and_one_image_for_each_page(pdf: Path, out: Path) -> None:
    made = newspaper.render(pdf, out)
    assert [(one.role, one.path) for one in made] == [
        ("poster", "poster.jpg"),
        ("document", "document.pdf"),
        ("page", "pages/001-of-002.jpg"),
        ("page", "pages/002-of-002.jpg"),
    ]
    assert Image.open(made[0].file).width == 480
    assert Image.open(made[2].file).width == 1000
    assert made[1].file.read_bytes() == pdf.read_bytes()


def test_posters_and_pages_are_jpeg_that_every_phone_shows(pdf: Path, out: Path) -> None:
    for one in newspaper.render(pdf, out):
        if one.role != "document":
            shown = Image.open(one.file)
            assert (shown.format, one.mime) == ("JPEG", "image/jpeg")
            assert shown.info["progressive"]


def test_shows_all_pages_of_a_newspaper(tmp_path: Path, out: Path) -> None:
    hundred = tmp_path / "hundred.pdf"
    page = Image.linear_gradient("L").resize((30, 40))
    page.save(hundred, "PDF", save_all=True, append_images=[page] * 99)
    made = newspaper.render(hundred, out, Limits(page_width=20))
    assert [one.path for one in pages(made)] == [
        f"pages/{number:03d}-of-100.jpg" for number in range(1, 101)
    ]


def test_what_is_shown_says_of_how_many_pages_it_is(pdf: Path, out: Path) -> None:
    made = newspaper.render(pdf, out, Limits(page_images=1))
    assert [one.path for one in pages(made)] == ["pages/001-of-002.jpg"]


def test_shows_no_more_than_may_travel(pdf: Path, out: Path) -> None:
    first = pages(newspaper.render(pdf, out))[0].file.stat().st_size
    for size, shown in ((2 * first - 1000, 1), (3 * first, 2)):
        assert len(pages(newspaper.render(pdf, out, Limits(images_size=size)))) == shown


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
