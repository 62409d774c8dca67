"""A film becomes an HLS ladder whose segments start at keyframes; what is no film is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from hangar_app.media import film
from hangar_app.media.film import Limits, Probe
from hangar_app.media.rendition import MediaError


def test_gives_a_ladder_with_segments_of_four_seconds_and_a_poster(
    clip: Path, tmp_path: Path
) -> None:
    made = {one.path: one for one in film.render(clip, tmp_path)}
    assert made["poster.jpg"].role == "poster"
    assert Image.open(made["poster.jpg"].file).size == (320, 240)
    master = made["hls/master.m3u8"].file.read_text()
    assert "240p/index.m3u8" in master and "480p" not in master  # a small film is not blown up
    assert "mp4a" in master
    playlist = made["hls/240p/index.m3u8"].file.read_text()
    assert [line for line in playlist.splitlines() if line.startswith("#EXTINF")] == [
        "#EXTINF:4.000000,",
        "#EXTINF:2.000000,",
    ]
    assert {one.mime for one in made.values()} == {
        "image/jpeg",
        "application/vnd.apple.mpegurl",
        "video/iso.segment",
    }


def test_a_rung_is_one_file_of_which_the_playlist_names_the_parts(
    clip: Path, tmp_path: Path
) -> None:
    made = {one.path: one for one in film.render(clip, tmp_path)}
    assert sorted(made) == [
        "hls/240p/film.m4s",
        "hls/240p/index.m3u8",
        "hls/master.m3u8",
        "poster.jpg",
    ]
    playlist = made["hls/240p/index.m3u8"].file.read_text()
    parts = [(int(n), int(at)) for n, at in re.findall(r'BYTERANGE[:="]+(\d+)@(\d+)', playlist)]
    # The head that a player needs first, then each segment after the one before.
    assert [at for _, at in parts] == [0, parts[0][0], parts[0][0] + parts[1][0]]
    assert sum(length for length, _ in parts) <= made["hls/240p/film.m4s"].file.stat().st_size


@pytest.mark.parametrize(
    ("height", "names"),
    [(120, ["240p"]), (479, ["240p"]), (480, ["240p", "480p"]), (2160, ["240p", "480p", "720p"])],
)
def test_makes_no_rung_higher_than_the_film(height: int, names: list[str]) -> None:
    assert [rung.name for rung in film.rungs_for(height)] == names


def test_a_silent_film_gets_no_sound(tmp_path: Path) -> None:
    silent = film.package_command(Path("in.mp4"), tmp_path, Probe(60, 1280, 720, sound=False))
    assert "0:a:0" not in silent
    assert "v:0,name:240p v:1,name:480p v:2,name:720p" in silent


def test_refuses_a_file_of_zero_bytes(tmp_path: Path) -> None:
    empty = tmp_path / "film.mp4"
    empty.touch()
    with pytest.raises(MediaError, match=r"empty \(0 bytes\)"):
        film.render(empty, tmp_path / "out")


def test_refuses_a_film_that_is_cut(clip: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[:2000])
    with pytest.raises(MediaError, match="ffmpeg says"):
        film.render(cut, tmp_path / "out")


def test_reads_no_playlist_that_names_other_files(ffmpeg: str, tmp_path: Path) -> None:
    """An uploaded list must not make the hangar read its own disk into a film."""
    secret = tmp_path / "secret.ts"
    secret.write_bytes(b"secret")
    for text in (
        f"#EXTM3U\n#EXTINF:4,\n{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
    ):
        listing = tmp_path / "film.mp4"
        listing.write_text(text)
        with pytest.raises(MediaError, match="ffmpeg says"):
            film.render(listing, tmp_path / "out")


def test_refuses_a_film_that_is_too_long(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="at most 0 h"):
        film.render(clip, tmp_path / "out", Limits(film_seconds=2))


def test_gives_up_when_packaging_takes_too_long(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="could not be packaged within"):
        film.render(clip, tmp_path, Limits(work_seconds=0.001))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "no video track"),
        ({"streams": [{"codec_type": "audio"}], "format": {"duration": "3"}}, "no video track"),
        (
            {"streams": [{"codec_type": "video", "disposition": {"attached_pic": 1}}]},
            "no video track",
        ),
        ({"streams": [{"codec_type": "video", "width": 1, "height": 1}]}, "how long"),
        (
            {
                "streams": [{"codec_type": "video", "width": 0, "height": 9}],
                "format": {"duration": "3"},
            },
            "nothing to see",
        ),
    ],
)
def test_says_what_is_missing_in_a_file(answer: dict, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        film.parse_probe(json.dumps(answer))
