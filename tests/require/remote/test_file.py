"""Files on a real disk: what is looked at, what is written, and what is left alone."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import require
from require.remote import file
from require.remote.shell import Done, Refused
from require.resource import Change, NoChange, Resource

Make = Callable[[Path], Resource]


def bring(resource: Resource) -> None:
    """Look, and apply what was planned."""
    state = file.probe(resource.question())
    assert isinstance(resource.plan(state), Change)
    file.apply({**resource.question(), **resource.order()}, state)


def plan(resource: Resource) -> Any:
    return resource.plan(file.probe(resource.question()))


def motd(folder: Path, content: str | bytes = "new\n", **more: Any) -> Resource:
    path = str(folder / "mo td")
    with require.declare():
        return require.file.file(path, content=content, **({"owner": None} | more))


STARTS: dict[str, Callable[[Path], object]] = {
    "absent": lambda path: None,
    "other content": lambda path: path.write_text("old\n"),
    "other mode": lambda path: (path.write_text("new\n"), path.chmod(0o600)),
    "a link": lambda path: path.symlink_to("/etc/passwd"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a fifo": lambda path: os.mkfifo(path),
    "not a text": lambda path: path.write_bytes(b"\xff\0"),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_file_comes_to_be_as_declared_from_anything(
    tmp_path: Path, start: Callable[[Path], object]
) -> None:
    start(tmp_path / "mo td")
    resource = motd(tmp_path)
    bring(resource)
    assert plan(resource) == NoChange()
    assert (tmp_path / "mo td").read_text() == "new\n"
    assert os.listdir(tmp_path) == ["mo td"]


def test_what_a_link_points_to_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("precious")
    (tmp_path / "mo td").symlink_to("other")
    bring(motd(tmp_path))
    assert (tmp_path / "other").read_text() == "precious"


def test_setuid_survives_a_change_of_owner(tmp_path: Path) -> None:
    (tmp_path / "mo td").write_text("new\n")
    bring(motd(tmp_path, owner="root", mode=0o4755))
    assert stat.S_IMODE((tmp_path / "mo td").stat().st_mode) == 0o4755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_an_owner_that_is_not_declared_is_kept_when_the_content_changes(tmp_path: Path) -> None:
    (tmp_path / "mo td").write_text("old")
    os.chown(tmp_path / "mo td", 12345, 12345)
    assert file.probe({"path": str(tmp_path / "mo td")})["owner"] == "12345"
    bring(motd(tmp_path, group=None))
    assert (tmp_path / "mo td").stat().st_uid == 12345


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_number_stands_for_an_account_without_a_name(tmp_path: Path) -> None:
    path = tmp_path / "mo td"
    spec = {"path": str(path), "sha": "", "text": False, "kind": "file", "content": b"x"}
    spec |= {"validate": [], "secret": False, "mode": 0o600, "owner": "12345", "group": "54321"}
    file.apply(spec, {"kind": "absent"})
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_text_comes_back_only_where_it_differs_and_is_small(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    asked = {"path": str(path), "sha": hashlib.sha256(b"old").hexdigest(), "text": True}
    assert "text" not in file.probe(asked)
    assert file.probe(asked | {"sha": "other"})["text"] == "old"
    assert "text" not in file.probe(asked | {"sha": "other", "text": False})
    path.write_text("x" * (64 * 1024 + 1))
    assert "text" not in file.probe(asked)
    path.write_bytes(b"\xff")
    assert "text" not in file.probe(asked)


@pytest.mark.parametrize("path", ["nowhere/x", "file/x"])
def test_a_probe_does_not_fail_on_absence(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    assert file.probe({"path": str(tmp_path / path)}) == {"kind": "absent"}


def test_a_parent_that_is_missing_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"declare require\.file\.directory\('.*nowhere'\)"):
        bring(motd(tmp_path / "nowhere"))


def test_an_owner_that_is_missing_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"declare require\.user\.user\('nobody-here'\)"):
        bring(motd(tmp_path, owner="nobody-here"))
    assert os.listdir(tmp_path) == []


def test_content_that_its_validator_does_not_accept_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "mo td").write_text("old")
    resource = motd(tmp_path, validate=["/bin/sh", "-c", "echo line 1 is bad >&2; exit 1", "{}"])
    with pytest.raises(Refused, match="/bin/sh does not accept the new content: line 1 is bad"):
        bring(resource)
    assert (tmp_path / "mo td").read_text() == "old"
    assert os.listdir(tmp_path) == ["mo td"]


def test_a_validator_sees_the_new_content_with_its_mode(tmp_path: Path) -> None:
    command = 'grep -q new "$1" && [ "$(stat -c %a "$1")" = 440 ]'
    bring(motd(tmp_path, mode=0o440, validate=["/bin/sh", "-c", command, "check", "{}"]))
    assert (tmp_path / "mo td").read_text() == "new\n"


WHOLE = 'cd "$1"; grep -q old other; grep -q new "mo td"; ls -A | wc -l; exit "$2"'


@pytest.mark.skipif(os.geteuid() != 0, reason="a view of the file system of its own takes root")
@pytest.mark.parametrize("former", [None, "old"])
def test_a_validator_that_names_no_file_finds_the_new_one_in_its_place(
    tmp_path: Path, former: str | None
) -> None:
    (tmp_path / "other").write_text("old")
    if former:
        (tmp_path / "mo td").write_text(former)

    def whole(code: str) -> Resource:
        return motd(tmp_path, validate=["sh", "-ec", WHOLE, "sh", str(tmp_path), code])

    with pytest.raises(Refused, match=r"sh does not accept the new content: 2"):
        bring(whole("1"))
    assert plan(whole("0")) != NoChange()
    assert sorted(os.listdir(tmp_path)) == (["mo td", "other"] if former else ["other"])
    bring(whole("0"))
    assert (tmp_path / "mo td").read_text() == "new\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="a view of the file system of its own takes root")
@pytest.mark.parametrize("target", ["other", "nothing"])
def test_what_a_link_points_to_is_not_written_to_be_judged(tmp_path: Path, target: str) -> None:
    other = tmp_path / "other"
    other.write_text("precious")
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "mo td").symlink_to(tmp_path / target)
    with pytest.raises(Refused, match="false does not accept the new content"):
        bring(motd(tmp_path / "place", validate=["false"]))
    assert other.read_text() == "precious"
    bring(motd(tmp_path / "place", validate=["true"]))
    assert other.read_text() == "precious"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="a view of the file system of its own takes root")
def test_a_directory_that_is_too_large_is_not_copied_to_judge_one_file(tmp_path: Path) -> None:
    with open(tmp_path / "film", "wb") as film:
        film.truncate(65 << 20)
        os.posix_fallocate(film.fileno(), 0, 65 << 20)
    with pytest.raises(Refused, match=r"true was not asked, .* at most 64 MiB: cp: .*film"):
        bring(motd(tmp_path, validate=["true"]))
    assert os.listdir(tmp_path) == ["film"]


def test_where_nobody_may_have_a_view_of_his_own_the_validator_is_not_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "unshare: unshare failed: Operation not permitted"
    monkeypatch.setattr(file, "run", lambda argv: Done(argv, 1, "", words))
    with pytest.raises(Refused, match=f"true was not asked, .*{words}"):
        bring(motd(tmp_path, validate=["true"]))


@pytest.mark.parametrize("words", [["nobody-here"], ["nobody-here", "{}"]])
def test_a_validator_that_is_not_there_is_named(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(Refused, match="there is no program nobody-here"):
        bring(motd(tmp_path, validate=words))


def test_what_a_validator_says_of_a_secret_is_not_told(tmp_path: Path) -> None:
    with require.declare():
        resource = require.file.file(
            str(tmp_path / "key"),
            content=require.Secret("s3cret"),
            owner=None,
            validate=["/bin/sh", "-c", 'cat "$1"; exit 1', "check", "{}"],
        )
    with pytest.raises(Refused) as error:
        bring(resource)
    assert "s3cret" not in str(error.value)


def test_a_file_that_changes_under_our_hands_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "mo td"
    target.write_text("old")
    someone = ["/bin/sh", "-c", f"echo theirs > '{target}'", "{}"]
    with pytest.raises(Refused, match="changed while its new content was written"):
        bring(motd(tmp_path, validate=someone))
    assert target.read_text() == "theirs\n"


def test_what_a_power_cut_left_beside_a_file_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".mo td.turnaround~").write_text("half")
    bring(motd(tmp_path))
    assert os.listdir(tmp_path) == ["mo td"]


def in_block(make: Callable[[str], Resource]) -> Make:
    def made(folder: Path) -> Resource:
        with require.declare():
            return make(str(folder / "x y"))

    return made


OTHERS: dict[str, tuple[Callable[[Path], object], Make]] = {
    "directory absent": (
        lambda path: None,
        in_block(lambda path: require.file.directory(path, owner=None)),
    ),
    "directory of wrong mode": (
        lambda path: path.mkdir(0o700),
        in_block(lambda path: require.file.directory(path, owner=None)),
    ),
    "link absent": (lambda path: None, in_block(lambda path: require.file.link(path, "b c"))),
    "link elsewhere": (
        lambda path: path.symlink_to("a"),
        in_block(lambda path: require.file.link(path, "b c")),
    ),
    "link in place of a file": (
        lambda path: path.write_text("x"),
        in_block(lambda path: require.file.link(path, "b c")),
    ),
    "file to be absent": (lambda path: path.write_text("x"), in_block(require.file.absent)),
    "link to be absent": (lambda path: path.symlink_to("a"), in_block(require.file.absent)),
    "directory to be absent": (lambda path: path.mkdir(), in_block(require.file.absent)),
}


@pytest.mark.parametrize(("start", "make"), OTHERS.values(), ids=OTHERS)
def test_directories_links_and_nothing(
    tmp_path: Path, start: Callable[[Path], object], make: Make
) -> None:
    start(tmp_path / "x y")
    resource = make(tmp_path)
    bring(resource)
    assert plan(resource) == NoChange()


def test_a_directory_with_something_in_it_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "x y").mkdir()
    (tmp_path / "x y" / "precious").write_text("")
    with pytest.raises(Refused, match="not empty"):
        bring(in_block(require.file.absent)(tmp_path))
    assert (tmp_path / "x y" / "precious").exists()
