"""For any role and any start: what the plan shows is what is changed, and a second time changes nothing.

Roles that contradict themselves are left out, such as a file whose content is declared and a line that
is declared to be in it by way of a link: each link leads to a file of its own that no other wish is about.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import require
from tests.require.host import Host

NAMES = ("one", "two wo", "three")
TEXTS = ("", "a\n", "b=1\na", "#b=2\n")

Start = Callable[[Path], object]
Wish = Callable[[str], object]

STARTS: dict[str, Start] = {
    "absent": lambda path: None,
    "directory": lambda path: path.mkdir(),
    "full directory": lambda path: (path.mkdir(), (path / "inside").write_text("x")),
    "link": lambda path: (
        path.symlink_to(f"aside {path.name}"),
        path.with_name(f"aside {path.name}").write_text("a\n"),
    ),
    "link to nothing": lambda path: path.symlink_to("nothing"),
    **{f"file {text!r}": lambda path, text=text: path.write_text(text) for text in TEXTS},
    "private file": lambda path: (path.write_text("a\n"), path.chmod(0o600)),
}
WISHES: dict[str, Wish] = {
    "nothing": lambda path: None,
    "absent": require.file.absent,
    "directory": lambda path: require.file.directory(path, owner=None),
    "link": lambda path: require.file.link(path, "elsewhere"),
    "line": lambda path: require.line.line(path, "b=1", match=r"^#?b="),
    "block": lambda path: require.line.block(path, "c\n", name="test"),
    "no line": lambda path: require.line.absent(path, "^a"),
    **{
        f"file {text!r}": lambda path, text=text: require.file.file(path, content=text, owner=None)
        for text in TEXTS
    },
}

starts = st.tuples(*(st.sampled_from(sorted(STARTS)) for _ in NAMES))
wishes = st.tuples(*(st.sampled_from(sorted(WISHES)) for _ in NAMES))


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(starts, wishes)
def test_the_plan_is_what_is_done_and_a_second_time_nothing_is(
    found: tuple[str, ...], wished: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(folder))
        for name, start in zip(NAMES, found, strict=True):
            STARTS[start](host.root / name)
        with require.declare() as catalog:
            for name, wish in zip(NAMES, wished, strict=True):
                WISHES[wish](host.path(name))
        shown = host.converge(catalog, check=True)
        done = host.converge(catalog)
        again = host.converge(catalog, check=True)
    refused = {each.key for each in done.outcomes if each.status in ("failed", "unknown")}
    changed = {each.key for each in done.outcomes if each.status == "changed"}
    assert {each.key for each in shown.changes} - refused == changed
    assert {each.key for each in again.changes} <= refused
    assert bool(refused) == bool(done.errors)
