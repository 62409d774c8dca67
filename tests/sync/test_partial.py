"""What a cut transfer left: gone on with where it can be, gone where all has come."""

from __future__ import annotations

from pathlib import Path

from sync import partial


def write(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def left(base: Path) -> dict[str, int]:
    return {
        str(path.relative_to(base)): path.stat().st_size
        for path in base.rglob("*")
        if path.is_file()
    }


def test_an_orphan_becomes_what_rsync_goes_on_from(tmp_path: Path) -> None:
    write(tmp_path / "cat/.1.cs.AbC123", 9)
    write(tmp_path / "cat/1.cs", 1)
    partial.adopt(tmp_path)
    assert left(tmp_path) == {"cat/.part/1.cs": 9, "cat/1.cs": 1}
    partial.adopt(tmp_path)
    assert left(tmp_path) == {"cat/.part/1.cs": 9, "cat/1.cs": 1}


def test_of_several_the_largest_is_kept(tmp_path: Path) -> None:
    for name, size in ((".1.cs.AbC123", 5), (".1.cs.ZbC123", 7), (".1.cs.000000", 6)):
        write(tmp_path / name, size)
    write(tmp_path / ".part/1.cs", 4)
    write(tmp_path / ".2.cs.AbC123", 0)
    partial.adopt(tmp_path)
    assert left(tmp_path) == {".part/1.cs": 7}


def test_when_all_has_come_nothing_is_left(tmp_path: Path) -> None:
    write(tmp_path / "cat/.1.cs.AbC123", 9)
    write(tmp_path / "cat/.part/2.cs", 9)
    write(tmp_path / "cat/3.cs", 9)
    write(tmp_path / ".hidden", 9)
    partial.sweep(tmp_path)
    assert left(tmp_path) == {"cat/3.cs": 9, ".hidden": 9}
    assert not (tmp_path / "cat/.part").exists()


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    partial.adopt(tmp_path / "none")
    partial.sweep(tmp_path / "none")
