"""Archives on a real disk: the old tree or the new one, and what was changed by hand is found."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import require
from require.remote import archive
from require.remote.shell import Refused
from require.resource import Change, NoChange, Plan, Resource, Unknown
from tests.require.tars import Entries, hard, link, tar

OLD: Entries = {"v": b"old", "gone": b""}
NEW: Entries = {
    "v": b"new",
    "bin": None,
    "bin/run": {"data": b"#!/bin/sh\n", "mode": 0o4777},
    "bin/same": hard("bin/run"),
    "bin/up": link("../v"),
}


def viewer(folder: Path, entries: Entries = NEW, **more: Any) -> Resource:
    with require.declare():
        return require.archive.unpacked(
            f"{folder}/vie wer", **({"content": tar(entries), "owner": None} | more)
        )


def plan(resource: Resource) -> Plan:
    return resource.plan(archive.probe(resource.question()))


def apply(resource: Resource) -> None:
    spec = {**resource.question(), **resource.order()}
    archive.apply(spec, archive.probe(resource.question()))


def bring(resource: Resource) -> str:
    """Look and apply; a second look finds nothing to do. Return what was to be done."""
    found = plan(resource)
    assert isinstance(found, Change)
    apply(resource)
    assert plan(resource) == NoChange()
    return found.summary


def test_it_is_unpacked_beside_and_the_path_leads_there(tmp_path: Path) -> None:
    assert bring(viewer(tmp_path)).startswith("unpack ")
    path = tmp_path / "vie wer"
    assert (path / "bin/run").read_text() == "#!/bin/sh\n"
    assert (path / "bin/run").samefile(path / "bin/same")
    assert (path / "bin/run").stat().st_mode & 0o7777 == 0o755
    assert (path / "v").stat().st_mode & 0o7777 == 0o644
    assert (path / "v").stat().st_mtime == 1_700_000_000
    assert path.stat().st_mode & 0o7777 == 0o755
    assert (path / "bin/up").read_text() == "new"
    assert len(os.listdir(tmp_path)) == 2


def test_a_new_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    bring(viewer(tmp_path, OLD))
    assert " in place of " in bring(viewer(tmp_path))
    assert sorted(os.listdir(tmp_path / "vie wer")) == ["bin", "v"]
    assert len(os.listdir(tmp_path)) == 2
    assert bring(viewer(tmp_path, mode=0o750)).endswith(" otherwise")
    assert (tmp_path / "vie wer/bin/run").stat().st_mode & 0o7777 == 0o750
    assert (tmp_path / "vie wer/v").stat().st_mode & 0o7777 == 0o640


BY_HAND: dict[str, Callable[[Path], object]] = {
    "another size": lambda path: (path / "v").write_text("new and more"),
    "another time": lambda path: os.utime(path / "v", (1, 1)),
    "another mode": lambda path: (path / "bin/run").chmod(0o700),
    "removed": lambda path: (path / "v").unlink(),
    "added": lambda path: (path / "bin/more").touch(),
    "another link": lambda path: ((path / "bin/up").unlink(), (path / "bin/up").symlink_to("run")),
    "all of it removed": lambda path: shutil.rmtree(path.resolve()),
    "the seal removed": lambda path: (path.resolve().parent / "seal").unlink(),
}


@pytest.mark.parametrize("by_hand", BY_HAND.values(), ids=BY_HAND)
def test_what_was_changed_by_hand_is_found_and_unpacked_again(
    tmp_path: Path, by_hand: Callable[[Path], object]
) -> None:
    bring(viewer(tmp_path))
    by_hand(tmp_path / "vie wer")
    assert bring(viewer(tmp_path)).endswith("again, in place of what was changed by hand")
    assert (tmp_path / "vie wer/v").read_text() == "new"


def test_what_is_no_longer_wished_goes_with_its_folder(tmp_path: Path) -> None:
    bring(viewer(tmp_path))
    with require.declare():
        gone = require.archive.absent(f"{tmp_path}/vie wer")
    assert bring(gone) == "remove it"
    assert os.listdir(tmp_path) == []


class Cut(BaseException):
    """The power goes."""


@pytest.mark.parametrize("last", ["mkdir", "open", "chmod", "symlink", "sync", "replace", "fsync"])
def test_a_cut_at_any_step_leaves_the_old_or_the_new_and_the_next_run_the_new_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    bring(viewer(tmp_path, OLD))

    def cut(*more: Any, **named: Any) -> None:
        raise Cut

    with monkeypatch.context() as power:
        power.setattr(archive.os, last, cut)
        power.setattr(archive.shutil, "rmtree", lambda *more, **named: None)  # no time to tidy up
        with pytest.raises(Cut):
            apply(viewer(tmp_path))
    text = (tmp_path / "vie wer/v").read_text()
    assert text == ("new" if last == "fsync" else "old")
    bring(viewer(tmp_path))
    assert (tmp_path / "vie wer/v").read_text() == "new"
    assert len(os.listdir(tmp_path)) == 2


def test_an_archive_that_may_not_be_unpacked_leaves_what_was_there(tmp_path: Path) -> None:
    bring(viewer(tmp_path, OLD))
    bad = tmp_path / "bad.tar.gz"
    bad.write_bytes(tar({"v": b"bad", "w": link("../..")}))
    sha = hashlib.sha256(bad.read_bytes()).hexdigest()
    for what, why in ((sha, "may lead outside"), ("0" * 64, "not 0000")):
        if what != sha:
            bad.write_bytes(tar(NEW))
        with pytest.raises(Refused, match=why):
            apply(viewer(tmp_path, content=None, source=str(bad), sha256=what))
        assert (tmp_path / "vie wer/v").read_text() == "old"
        assert len(os.listdir(tmp_path)) == 3


def test_an_archive_on_the_host_is_waited_for(tmp_path: Path) -> None:
    source = tmp_path / "new.tar.xz"
    data = tar(NEW, "xz")
    sha = hashlib.sha256(data).hexdigest()
    resource = viewer(tmp_path, content=None, source=str(source), sha256=sha)
    assert plan(resource) == Unknown(f"until {source} is there")
    with pytest.raises(Refused, match=r"there is no .*new\.tar\.xz on the host"):
        apply(resource)
    source.write_bytes(data)
    bring(resource)
    source.unlink()
    assert plan(resource) == NoChange()


@pytest.mark.parametrize(
    ("start", "what"),
    [(Path.mkdir, "a directory"), (Path.touch, "a file")],
    ids=["directory", "file"],
)
def test_what_is_not_ours_stays(tmp_path: Path, start: Callable[[Path], object], what: str) -> None:
    start(tmp_path / "vie wer")
    resource = viewer(tmp_path)
    assert plan(resource) == Unknown(
        f"{what} that was not unpacked here is in the way: move it", blocked=True
    )
    with pytest.raises(Refused, match="move it"):
        apply(resource)


def test_a_link_to_elsewhere_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "vie wer").symlink_to("elsewhere")
    assert bring(viewer(tmp_path)).endswith("in place of a link")
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_parent_that_is_missing_is_told(tmp_path: Path) -> None:
    assert isinstance(plan(viewer(tmp_path / "none")), Change)
    with pytest.raises(Refused, match="there is no directory"):
        apply(viewer(tmp_path / "none"))
