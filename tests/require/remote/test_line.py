"""Lines in files that others own too: found, set, removed, and all else left as it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import require
from require.errors import DeclarationError
from require.remote import line
from require.remote.shell import Refused
from require.resource import Change, NoChange, Resource

SSHD = "#Port 22\n#MaxStartups 10:30:100\nPermitRootLogin no\n"


def declared(make: Callable[[], Resource]) -> Resource:
    with require.declare():
        return make()


def startups(path: str, **more: object) -> Resource:
    return declared(
        lambda: require.line.line(path, "MaxStartups 60", match=r"^#?MaxStartups ", **more)  # type: ignore[arg-type]
    )


def hosts(path: str, text: str = "10.0.0.1 hangar\n") -> Resource:
    return declared(lambda: require.line.block(path, text, name="tower"))


def bring(resource: Resource) -> None:
    """Look, and apply what was planned; a second look finds nothing to do."""
    state = line.probe(resource.question())
    assert isinstance(resource.plan(state), Change)
    line.apply({**resource.question(), **resource.order()}, state)
    assert resource.plan(line.probe(resource.question())) == NoChange()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (SSHD, "#Port 22\nMaxStartups 60\nPermitRootLogin no\n"),
        ("Port 22\n", "Port 22\nMaxStartups 60\n"),
        ("Port 22", "Port 22\nMaxStartups 60\n"),
        ("", "MaxStartups 60\n"),
        (
            "#MaxStartups 1\nMaxStartups 2\nMaxStartups 3\n",
            "#MaxStartups 1\nMaxStartups 2\nMaxStartups 60\n",
        ),
    ],
    ids=["in place of a comment", "added", "no end of line", "empty file", "the last of several"],
)
def test_a_line_takes_the_place_of_the_last_that_matches(
    tmp_path: Path, before: str, after: str
) -> None:
    path = tmp_path / "sshd config"
    path.write_text(before)
    path.chmod(0o640)
    bring(startups(str(path)))
    assert path.read_text() == after
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["sshd config"]


def test_a_file_that_is_not_there_is_made_for_a_line_and_not_for_its_absence(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new"
    gone = declared(lambda: require.line.absent(str(path), r"^old"))
    assert gone.plan(line.probe(gone.question())) == NoChange()
    bring(startups(str(path)))
    assert path.read_text() == "MaxStartups 60\n"
    assert path.stat().st_mode & 0o777 == 0o644


def test_lines_that_match_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n10.0.0.9 old\n\n10.0.0.8 old\n")
    bring(declared(lambda: require.line.absent(str(path), r"\sold$")))
    assert path.read_text() == "127.0.0.1 localhost\n\n"


def test_a_block_is_set_changed_and_removed_between_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n")
    bring(hosts(str(path)))
    path.write_text(path.read_text() + "::1 localhost\n")
    bring(hosts(str(path), "10.0.0.1 hangar\n10.0.0.2 other\n"))
    assert path.read_text() == (
        "127.0.0.1 localhost\n# turnaround tower: begin\n10.0.0.1 hangar\n10.0.0.2 other\n"
        "# turnaround tower: end\n::1 localhost\n"
    )
    bring(hosts(str(path), ""))
    assert path.read_text() == "127.0.0.1 localhost\n::1 localhost\n"


IPV4 = "127.0.0.1 localhost\n127.0.1.1 EC-TAA # of the box\n"
LOCAL = f"{IPV4}::1 localhost\n"


@pytest.mark.parametrize(
    ("entry", "before", "after"),
    [
        ("10.0.0.1 hangar", LOCAL, f"{LOCAL}10.0.0.1 hangar\n"),
        ("10.0.0.1 hangar", "", "10.0.0.1 hangar\n"),
        ("10.0.0.1 hangar", "10.0.0.1 hangar old\n# x\n", "10.0.0.1 hangar\n# x\n"),
        (
            "10.0.0.1 hangar",
            "10.0.0.9 hangar\n# 10.0.0.9 hangar\n",
            "# 10.0.0.9 hangar\n10.0.0.1 hangar\n",
        ),
        ("10.0.0.1 a b", "10.0.0.9 x b\ty #b\n", "10.0.0.9 x y #b\n10.0.0.1 a b\n"),
        ("10.0.0.1 a", "10.0.0.1 other a\n", "10.0.0.1 other a\n10.0.0.1 a\n"),
        ("10.0.0.1 a b", "10.0.0.1 a\n10.0.0.1 a b\n", "10.0.0.1 a b\n"),
        (
            "fe80::1 localhost",
            LOCAL,
            "127.0.0.1 localhost\n127.0.1.1 EC-TAA # of the box\nfe80::1 localhost\n",
        ),
        ("127.0.0.1 portal", LOCAL, f"{LOCAL}127.0.0.1 portal\n"),
        ("10.0.0.1 EC-TAA", "127.0.1.1 box ec-taa\n", "127.0.1.1 box\n10.0.0.1 EC-TAA\n"),
    ],
    ids=[
        "added",
        "to an empty file",
        "a name too many",
        "moved",
        "taken out of another's line",
        "also named by another",
        "declared twice",
        "of IPv6",
        "a second line of an address",
        "in other capitals",
    ],
)
def test_names_have_the_address_that_is_declared_and_no_other_of_its_kind(
    tmp_path: Path, entry: str, before: str, after: str
) -> None:
    path = tmp_path / "hosts"
    path.write_text(before)
    address, *names = entry.split()
    resource = declared(lambda: require.host.hosts_entry(address, *names))
    bring(replace(resource, path=str(path)))  # type: ignore[call-arg]
    assert path.read_text() == after


@pytest.mark.parametrize("text", ["10.0.0.1\thangar  tower # ours\n", "10.0.0.1 hangar tower\n"])
def test_an_entry_that_says_the_same_is_left_as_it_is_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hosts"
    path.write_text(text)
    resource = declared(lambda: require.host.hosts_entry("10.0.0.1", "hangar", "tower"))
    state = line.probe(replace(resource, path=str(path)).question())  # type: ignore[call-arg]
    assert resource.plan(state) == NoChange()


def test_a_block_without_its_end_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("# turnaround tower: begin\n10.0.0.1 hangar\n127.0.0.1 localhost\n")
    with pytest.raises(Refused, match="no '# turnaround tower: end' after it"):
        line.probe(hosts(str(path)).question())


def test_bytes_that_are_no_text_are_kept_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "latin"
    path.write_bytes(b"# caf\xe9\n")
    resource = startups(str(path))
    assert "text" not in line.probe(resource.question())
    bring(resource)
    assert path.read_bytes() == b"# caf\xe9\nMaxStartups 60\n"


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(SSHD)
    (tmp_path / "link").symlink_to("real")
    bring(startups(str(tmp_path / "link")))
    assert (tmp_path / "link").is_symlink()
    assert "MaxStartups 60\n" in (tmp_path / "real").read_text()


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda path: path.mkdir(), "directory"),
        (lambda path: os.mkfifo(path), "other"),
        (lambda path: path.write_bytes(b"x\n" * (3 << 20)), "a file of more than 4194304 bytes"),
    ],
    ids=["directory", "pipe", "too large"],
)
def test_what_has_no_lines_is_left_alone(
    tmp_path: Path, make: Callable[[Path], object], found: str
) -> None:
    make(tmp_path / "it")
    resource = startups(str(tmp_path / "it"))
    state = line.probe(resource.question())
    assert state["kind"] == found
    assert getattr(resource.plan(state), "blocked", False)


def test_what_the_validator_refuses_is_not_put_in_place(tmp_path: Path) -> None:
    path = tmp_path / "sshd"
    path.write_text(SSHD)
    resource = startups(str(path), validate=["false", "{}"])
    state = line.probe(resource.question())
    with pytest.raises(Refused, match="false does not accept the new content"):
        line.apply({**resource.question(), **resource.order()}, state)
    assert path.read_text() == SSHD


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: require.line.line("/a", "two\nlines"), "wanted one line"),
        (lambda: require.line.line("/a", " "), "wanted one line"),
        (lambda: require.line.line("/a", "x = 1", match="^y"), "does not find the line"),
        (lambda: require.line.line("/a", "x", match="("), "match '\\('"),
        (lambda: require.line.absent("/a", ".*"), "would remove empty lines"),
        (lambda: require.line.block("/a", "x", name="two words"), "wanted one word"),
        (lambda: require.line.line("etc/x", "x"), "absolute path"),
    ],
)
def test_a_declaration_that_cannot_hold_is_refused(make: Callable[[], Resource], said: str) -> None:
    with pytest.raises(DeclarationError, match=said), require.declare():
        make()


SPECS = [
    {"verb": "hosts", "text": "a b #", "match": "", "name": "", "comment": ""},
    {"verb": "present", "text": "b=1", "match": r"^#?b=", "name": "", "comment": "#"},
    {"verb": "present", "text": "b=1", "match": "", "name": "", "comment": "#"},
    {"verb": "absent", "text": "", "match": "^b", "name": "", "comment": "#"},
    {"verb": "block", "text": "b=1\nc\n", "match": "", "name": "n", "comment": ";"},
    {"verb": "block", "text": "", "match": "", "name": "n", "comment": ";"},
]


@given(st.text(alphabet="ab#=1\n\r \u2028", max_size=40), st.sampled_from(SPECS))
def test_editing_twice_is_editing_once(text: str, spec: dict[str, str]) -> None:
    once = line.edited(text, spec)
    assert line.edited(once, spec) == once
    if spec["verb"] == "present":
        assert spec["text"] in once.split("\n")


def test_two_lines_of_one_file_converge_together(tmp_path: Path) -> None:
    path = tmp_path / "sshd"
    path.write_text(SSHD)
    with require.declare() as catalog:
        require.line.line(str(path), "Port 2022", match=r"^#?Port ")
        require.line.line(str(path), "MaxStartups 60", match=r"^#?MaxStartups ")
    state = str(tmp_path / "state")
    transport = require.LocalTransport()
    result = require.run.converge(transport, catalog, state_dir=state)
    assert (result.errors, [each.status for each in result.outcomes]) == ((), ["changed"] * 2)
    assert path.read_text() == "Port 2022\nMaxStartups 60\nPermitRootLogin no\n"
    again = require.run.converge(transport, catalog, check=True, state_dir=state)
    assert not again.differs
