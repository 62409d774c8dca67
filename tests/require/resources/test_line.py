"""What a line makes of what it may find. One small case per situation, named after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import require
from require.resource import Change, NoChange, Plan, Resource, Unknown

Case = tuple[Callable[[], Resource], dict[str, Any], Plan]


def startups() -> Resource:
    return require.line.line("/etc/ssh d", "MaxStartups 60", match="^#?MaxStartups")


WRONG = {"kind": "file", "right": False, "sha": "0"}
LINE: dict[str, Case] = {
    "as declared": (startups, {"kind": "file", "right": True}, NoChange()),
    "absent": (
        startups,
        {"kind": "absent", "right": False},
        Change(
            "create the file with the line",
            "--- /etc/ssh d (on the host)\n+++ /etc/ssh d (declared)\n@@ -0,0 +1 @@\n"
            "+MaxStartups 60\n",
        ),
    ),
    "another value": (
        startups,
        WRONG | {"text": "#MaxStartups 10\n"},
        Change(
            "set the line",
            "--- /etc/ssh d (on the host)\n+++ /etc/ssh d (declared)\n@@ -1 +1 @@\n"
            "-#MaxStartups 10\n+MaxStartups 60\n",
        ),
    ),
    "too large to show": (
        startups,
        WRONG,
        Change("set the line", "(the text on the host is too large or not a text)\n"),
    ),
    "a directory in its place": (
        startups,
        {"kind": "directory", "right": False},
        Unknown("a file with lines is expected, found directory: move it", blocked=True),
    ),
    "a line too many": (
        lambda: require.line.absent("/etc/hosts", "old$"),
        WRONG,
        Change("remove the line", "(the text on the host is too large or not a text)\n"),
    ),
    "a block that differs": (
        lambda: require.line.block("/etc/hosts", "a\n", name="tower"),
        WRONG,
        Change("set the block tower", "(the text on the host is too large or not a text)\n"),
    ),
}


@pytest.mark.parametrize(("make", "state", "expected"), LINE.values(), ids=LINE)
def test_plan(make: Callable[[], Resource], state: dict[str, Any], expected: Plan) -> None:
    with require.declare():
        assert make().plan(state) == expected
