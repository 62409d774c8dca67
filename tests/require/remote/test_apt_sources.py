"""Sources of packages: fetched and checked from the side, then put in place; on a real disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import require
from require.remote import apt_sources
from require.remote.shell import Failed
from require.resource import Change, NoChange
from require.resources.apt_sources import Repository
from tests.require.armoured import KEY
from tests.require.remote.programs import Programs

OTHER = "W: OpenPGP signature verification failed: Missing key BA9C\nE: … InRelease' is not signed."
CONFLICT = "E: Conflicting values set for option Signed-By regarding source https://cabin.example/"


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the files of sources, with the scratch of apt beside."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(apt_sources, "SCRATCH", str(tmp_path / "run"))
    return tmp_path / "etc"


def cabin(etc: Path, suite: str = "./") -> Repository:
    with require.declare():
        made = require.apt.repository(
            "cabin", uris=["https://cabin.example/"], suites=[suite], key=KEY
        )
    assert made.keyring is not None
    signed_by = f"{etc}/cabin.asc"
    text = made.source.content.replace(made.keyring.path.encode(), signed_by.encode())
    ours = {"owner": None, "group": None}
    return replace(
        made,
        source=replace(made.source, path=f"{etc}/cabin.sources", content=text, **ours),
        keyring=replace(made.keyring, path=signed_by, **ours),
    )


def bring(repository: Repository) -> None:
    question = repository.question()
    apt_sources.apply({**question, **repository.order()}, apt_sources.probe(question))


def test_its_index_is_fetched_from_the_side_before_it_is_in_place(
    etc: Path, programs: Programs
) -> None:
    seen: list[str] = []

    def look(argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        if argv[1] == "update":
            source = next(each for each in argv if "SourceList=" in each).partition("List=")[2]
            text = Path(source).read_text()
            key = text.partition("Signed-By: ")[2].strip()
            assert Path(key).read_text() == KEY
            for path in (source, key, os.path.dirname(key)):
                assert os.stat(path).st_mode & 0o044 == 0o044
            seen.extend((text.splitlines()[2], *os.listdir(etc)))
        return 0, "", ""

    programs.answer = look
    repository = cabin(etc)
    state = apt_sources.probe(repository.question())
    assert isinstance(repository.plan(state), Change)
    bring(repository)
    assert seen == ["URIs: https://cabin.example/"]
    assert repository.plan(apt_sources.probe(repository.question())) == NoChange()
    assert f"Signed-By: {etc}/cabin.asc" in (etc / "cabin.sources").read_text()
    assert [argv[1] for argv in programs.started] == ["update", "indextargets"]
    assert os.listdir(apt_sources.SCRATCH) == []


@pytest.mark.parametrize(
    ("verb", "words", "said"),
    [
        ("update", OTHER, "is not signed by its key, so nothing was put in place: W: OpenPGP"),
        ("update", "E: Failed to fetch https://cabin.example/", "cannot be fetched, so nothing"),
        ("indextargets", CONFLICT, "not put in place, apt could not go on: E: Conflicting"),
    ],
    ids=["another key", "not reached", "in conflict with another source"],
)
@pytest.mark.parametrize("before", [False, True], ids=["new", "changed"])
def test_one_that_apt_cannot_use_is_not_in_its_way(
    etc: Path, programs: Programs, before: bool, verb: str, words: str, said: str
) -> None:
    if before:
        bring(cabin(etc))
        former = (etc / "cabin.sources").read_text()

    programs.answer = failing(verb, words)
    with pytest.raises(Failed, match=said):
        bring(cabin(etc, suite="other/"))
    if before:
        assert (etc / "cabin.sources").read_text() == former
    else:
        assert not (etc / "cabin.sources").exists()
    assert os.listdir(apt_sources.SCRATCH) == []


def failing(verb: str, words: str) -> Callable[[Sequence[str], str], tuple[int, str, str]]:
    return lambda argv, stdin: (100, "", words) if argv[1] == verb else (0, "", "")


def test_a_key_that_was_changed_by_hand_is_found(etc: Path, programs: Programs) -> None:
    repository = cabin(etc)
    bring(repository)
    (etc / "cabin.asc").write_text("another")
    plan = repository.plan(apt_sources.probe(repository.question()))
    assert isinstance(plan, Change)
    assert plan.summary == f"{etc}/cabin.asc: content"
