"""What an archive makes of what it may find. One small case per situation, named after it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import require
from require.errors import DeclarationError
from require.resource import Change, NoChange, Plan, Resource, Unknown
from require.resources import archive
from tests.require.tars import link, tar

Case = tuple[Callable[[], Resource], dict[str, Any], Plan]
DATA = tar({"v": b"1"})
SHA = hashlib.sha256(DATA).hexdigest()


def viewer(**more: Any) -> archive.Archive:
    return require.archive.unpacked("/opt/vie wer", **({"content": DATA} | more))


def absent() -> Resource:
    return require.archive.absent("/opt/vie wer")


def from_host() -> Resource:
    return viewer(content=None, source="/var/cache/v.tar", sha256=SHA)


def wished(**more: Any) -> str:
    with require.declare():
        return viewer(**more).id


def seen(kind: str = "unpacked", **more: Any) -> dict[str, Any]:
    state = {"kind": kind, "id": "", "whole": False, "left": [], "source": False}
    return state | more


CASES: dict[str, Case] = {
    "as declared": (viewer, seen(id=wished(), whole=True), NoChange()),
    "not there": (viewer, seen("absent"), Change(f"unpack {SHA[:12]}")),
    "another": (
        viewer,
        seen(id="f" * 40 + "-00000000"),
        Change(f"unpack {SHA[:12]} in place of ffffffffffff"),
    ),
    "of another owner": (
        viewer,
        seen(id=wished(owner="www-data")),
        Change(f"unpack {SHA[:12]} otherwise"),
    ),
    "changed by hand": (
        viewer,
        seen(id=wished()),
        Change(f"unpack {SHA[:12]} again, in place of what was changed by hand"),
    ),
    "left by a cut": (
        viewer,
        seen(id=wished(), whole=True, left=[".x"]),
        Change("remove what an interrupted run left"),
    ),
    "a link in its place": (viewer, seen("link"), Change(f"unpack {SHA[:12]} in place of a link")),
    "a directory in its place": (
        viewer,
        seen("directory"),
        Unknown("a directory that was not unpacked here is in the way: move it", blocked=True),
    ),
    "on the host": (from_host, seen("absent", source=True), Change(f"unpack {SHA[:12]}")),
    "not on the host yet": (
        from_host,
        seen("absent"),
        Unknown("until /var/cache/v.tar is there"),
    ),
    "no longer on the host": (from_host, seen(id=wished(), whole=True), NoChange()),
    "absent": (absent, seen("absent"), NoChange()),
    "not absent": (absent, seen(id=wished()), Change("remove it")),
    "absent, left by a cut": (
        absent,
        seen("absent", left=[".x"]),
        Change("remove what an interrupted run left"),
    ),
    "absent, a link of somebody else": (
        absent,
        seen("link"),
        Unknown("a link that was not unpacked here is in the way: move it", blocked=True),
    ),
}


@pytest.mark.parametrize(("make", "state", "expected"), CASES.values(), ids=CASES)
def test_plan(make: Callable[[], Resource], state: dict[str, Any], expected: Plan) -> None:
    with require.declare():
        assert make().plan(state) == expected


def test_it_comes_after_its_directory_its_owner_and_its_source() -> None:
    with require.declare() as catalog:
        viewer(content=None, source="/var/cache/v.tar", sha256=SHA, owner="viewer")
        require.user.user("viewer", system=True)
        require.file.directory("/opt")
        require.file.file("/var/cache/v.tar", content=DATA)
    assert [each.key for each in catalog.ordered()][-1] == "archive:/opt/vie wer"


def test_its_bytes_are_not_shown_and_not_part_of_a_look() -> None:
    with require.declare():
        made = viewer()
    assert "content" not in repr(made)
    assert DATA not in made.question().values()
    assert made.order()["content"] == DATA


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "neither": ({"content": None}, "one of them"),
    "both": ({"source": "/v.tar", "sha256": SHA}, "one of them"),
    "no hash": ({"content": None, "source": "/v.tar"}, "needs its sha256="),
    "half a hash": ({"sha256": SHA[:32]}, "64 hexadecimal digits"),
    "another hash": ({"sha256": "0" * 64}, "not 0000"),
    "no file": ({"content": Path("/nowhere/v.tar")}, "No such file"),
    "too large": ({"content": bytes(archive.MAX_CONTENT_BYTES + 1)}, "declare source="),
    "no archive": ({"content": b"text" * 1000}, "damaged, or no tar"),
    "leads outside": ({"content": tar({"v": link("/etc")})}, "may lead outside"),
    "less than nothing": ({"strip": -1}, "strip= from 0"),
    "a path of no root": ({"content": None, "source": "v.tar", "sha256": SHA}, "absolute path"),
}


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_unpacked_is_said_when_it_is_declared(
    given: dict[str, Any], said: str
) -> None:
    with require.declare(), pytest.raises(DeclarationError, match=said):
        viewer(**given)
