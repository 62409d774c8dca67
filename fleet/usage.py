"""The table of commands that `fab usage` prints."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

from invoke.collection import Collection

TARGETS = """\
A target is a host, a group, a pattern or `all`, separated by commas;
`!name` leaves one out: all,!hangar  or  'EC-T*,!EC-TAB'
`--limit`, in the same words, keeps only some of it: --limit 'EC-TA*'
The inventory is --inventory FILE, or FLEET_INVENTORY, or the running lab's.
Exit codes: 0 done · 2 --check or drift found changes · 3 hosts were off-line
            4 failed · 64 wrong usage or inventory, nothing was touched
            Several at once: 4 over 2 over 3."""


def table(tool: str, commands: Collection, width: int = 100) -> str:
    """Returns the commands with what they do and their flags, and how targets are written.

    Args:
        tool: the command that people type, `fab`.
        commands: what it can do.
        width: columns of the terminal.
    """
    rows = sorted(_rows(commands))
    lines: list[str] = []
    for name, task in rows:
        doc = (inspect.getdoc(task.body) or "").splitlines()
        lines += _wrap(f"{tool} {name}", *_flags(task), width=width, first=2, then=12)
        lines += _wrap(*(doc[0].split() if doc else ()), width=width, first=8, then=8)
    return "\n".join([*lines, "", TARGETS])


def _wrap(*words: str, width: int, first: int, then: int) -> list[str]:
    """Returns lines of whole words: a flag and its value stay together."""
    glued = " ".join(word.replace(" ", "\u00a0") for word in words)
    lines = textwrap.wrap(
        glued,
        width,
        initial_indent=" " * first,
        subsequent_indent=" " * then,
        break_on_hyphens=False,
    )
    return [line.replace("\u00a0", " ") for line in lines]


def _rows(commands: Collection, prefix: str = "") -> list[tuple[str, Any]]:
    own = [(prefix + name, task) for name, task in commands.tasks.items()]
    for name, inner in commands.collections.items():
        own += _rows(inner, f"{prefix}{name}.")
    return own


def _flags(task: Any) -> list[str]:
    words = []
    for argument in task.get_arguments():
        name = argument.names[0].replace("_", "-")
        word = (
            f"--{name} {name.rpartition('-')[2].upper()}" if argument.takes_value else f"--{name}"
        )
        words.append(word if argument.positional else f"[{word}]")
    return words
