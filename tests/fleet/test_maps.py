"""Maps: a folder becomes a bundle that is the same each time, and what cannot be one is refused by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleet import maps
from fleet.aboard.manifest import parse
from fleet.errors import UsageError

NOON = 1_800_000_000  # 2027-01-15 08:00 UTC


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "iberia"
    (folder / "tiles").mkdir(parents=True)
    (folder / "style.json").write_text("{}")
    (folder / "tiles/world.pmtiles").write_bytes(b"PMTiles" * 9)
    for path in folder.rglob("*.*"):
        os.utime(path, (NOON, NOON))
    return folder


def test_the_same_files_make_the_same_bundle(source: Path, tmp_path: Path) -> None:
    first = maps.package("iberia", source, tmp_path / "one")
    again = maps.package("iberia", source, tmp_path / "two")
    assert first.manifest.dump() == again.manifest.dump()
    assert first.manifest.kind == "maps-iberia"
    assert first.manifest.version == f"20270115080000-{first.manifest.revision[:12]}"
    assert [file.path for file in first.manifest.files] == ["style.json", "tiles/world.pmtiles"]
    assert parse(first.manifest.dump()) == first.manifest
    assert first.verify() is first


def test_another_file_makes_another_bundle(source: Path, tmp_path: Path) -> None:
    before = maps.package("iberia", source, tmp_path / "out")
    (source / "tiles/world.pmtiles").write_bytes(b"PMTiles" * 10)
    os.utime(source / "tiles/world.pmtiles", (NOON, NOON))
    after = maps.package("iberia", source, tmp_path / "out")
    assert after.manifest.revision != before.manifest.revision
    assert after.manifest.version != before.manifest.version


def test_the_newest_is_what_was_packaged_last(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = maps.package("iberia", source, out)
    (source / "style.json").write_text("{ }")
    os.utime(source / "style.json", (NOON - 9, NOON - 9))
    last = maps.package("iberia", source, out)
    os.utime(out / "maps-iberia" / first.manifest.version / "manifest.json", (1, 1))
    assert maps.newest("iberia", out).manifest == last.manifest


def test_what_was_never_packaged_is_told_with_the_command(source: Path, tmp_path: Path) -> None:
    maps.package("iberia", source, tmp_path)
    with pytest.raises(
        UsageError, match=r"no maps world were packaged here.*are: iberia"
    ) as caught:
        maps.newest("world", tmp_path)
    assert caught.value.remedy == "first: fab package-maps --name world"


@pytest.mark.parametrize("name", ["", "Iberia", "a-b", "../x", "9a", "a" * 27])
def test_a_name_must_be_plain(name: str) -> None:
    with pytest.raises(UsageError, match="--name: expected a lower-case letter"):
        maps.kind_of(name)


@pytest.mark.parametrize("name", [b"caf\xe9.json", b"a\nb", b"a\\b"])
def test_a_file_with_an_odd_name_is_refused_by_its_name(
    source: Path, tmp_path: Path, name: bytes
) -> None:
    (source / os.fsdecode(name)).write_text("{}")
    with pytest.raises(UsageError) as caught:
        maps.package("iberia", source, tmp_path / "out")
    assert repr(os.fsdecode(name)) in caught.value.what


def test_what_no_release_can_hold_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone: expected the folder with the files of the maps"):
        maps.package("iberia", tmp_path / "gone", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"empty: files: expected 1 to .* files, found 0"):
        maps.package("iberia", tmp_path / "empty", tmp_path / "out")
    (source / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match=r"manifest\.json: expected a place that is not made"):
        maps.package("iberia", source, tmp_path / "out")
    (source / "manifest.json").unlink()
    (source / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="passwd: expected a file or a folder, found something"):
        maps.package("iberia", source, tmp_path / "out")
