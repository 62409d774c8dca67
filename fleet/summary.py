"""What is said of many hosts in the end: how many ended how, and of those that did not do well, why."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fleet.errors import Exit

if TYPE_CHECKING:
    from fleet.report import Outcome

FEW = 8
"""So many hosts and no more are each told in full."""
MOST_LINES = 20
_ORDER = (Exit.FAILED, Exit.INTERRUPTED, Exit.OFFLINE)
NOT_BEGUN = "not begun"
_NUMBER = r"\b[0-9]+([.:][0-9]+)*\b"


def tally(outcomes: Sequence[Outcome]) -> str:
    """Returns how many hosts ended how, the most frequent first.

    >>> tally([Outcome("EC-TAA", status="changed"), Outcome("EC-TAB", status="changed")])
    '2 hosts: all changed'
    """
    counts = Counter(outcome.status for outcome in outcomes).most_common()
    said = [f"{'all' if len(counts) == 1 else count} {status}" for status, count in counts]
    return f"{len(outcomes)} hosts: {', '.join(said)}"


def worst(
    outcomes: Sequence[Outcome], *, width: int = 0, most: int = MOST_LINES, logged: bool = True
) -> list[str]:
    """Returns why hosts failed, then which were off-line, each with what to do, in a few lines.

    Hosts with the same reason are told together; those whose turn never came are only counted.

    Args:
        outcomes: of all hosts.
        width: columns of the terminal; 0 breaks no line.
        most: lines in all.
        logged: there is a log that has the rest.

    >>> worst([Outcome("EC-TAA", Exit.FAILED, "failed", "no disk", "free some")])
    ['EC-TAA: failed', '  no disk', '  → free some']
    """
    told = [each for each in outcomes if each.code in _ORDER and each.status != NOT_BEGUN]
    told.sort(key=lambda each: _ORDER.index(each.code))
    lines: list[str] = []
    left = len(told)
    for group in together(told, _reason):
        block = [f"{names(group, width)}: {group[0].status}"]
        block += _wrapped(_shared([(each.host, each.detail) for each in group]), "  ", width)
        block += _wrapped(_shared([(each.host, each.remedy) for each in group]), "  → ", width)
        # The last line is kept for those that have no place.
        if len(lines) + len(block) > most - (left > len(group)):
            see = ": see the log" if logged else ""
            return [*lines, f"… and {left} more hosts{see}"]
        lines += block
        left -= len(group)
    return lines


def together(
    outcomes: Sequence[Outcome], alike: Callable[[Outcome], object]
) -> list[list[Outcome]]:
    """Returns the outcomes in groups of those that are alike, each where its first one stands."""
    groups: dict[object, list[Outcome]] = {}
    for each in outcomes:
        groups.setdefault(alike(each), []).append(each)
    return list(groups.values())


def names(group: Sequence[Outcome], width: int = 0) -> str:
    """Returns the hosts' names, as many as a line has place for.

    >>> names([Outcome("EC-TAA"), Outcome("EC-TAB"), Outcome("EC-TAC")], width=40)
    'EC-TAA, EC-TAB and 1 more'
    """
    hosts = [each.host for each in group]
    count = len(hosts)
    # Beside them stand how many more there are, and how it ended.
    while count > 1 and len(", ".join(hosts[:count])) > (width or 100) - 24:
        count -= 1
    more = f" and {len(hosts) - count} more" if count < len(hosts) else ""
    return ", ".join(hosts[:count]) + more


def _reason(each: Outcome) -> object:
    """What makes hosts alike: the reason but for what only the host itself has, name and numbers."""
    said = (f"{each.detail}\n{each.remedy}").replace(each.host, "HOST")
    return each.code, each.status, re.sub(_NUMBER, "0", said)


def _shared(said: Sequence[tuple[str, str]]) -> str:
    """Returns what is said of all these hosts, without what is one host's own."""
    if len(said) == 1:
        return said[0][1]
    texts = {text.replace(host, "HOST") for host, text in said}
    first = said[0][1].replace(said[0][0], "HOST")
    return first if len(texts) == 1 else re.sub(_NUMBER, "…", first)


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    if not text or not width:
        return [indent + one_line(text)] if text else []
    later = " " * len(indent)
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=later, max_lines=3, placeholder=" …"
    )


def one_line(text: str) -> str:
    """Returns a text on one line: what a program said may have several, and words for a terminal.

    >>> one_line("no disk\\n\\x1b[2Jall is well")
    'no disk [2Jall is well'
    """
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    """Returns a text with a space for each character that does something to a terminal.

    >>> printable("no disk\\n")
    'no disk '
    """
    return "".join(each if each.isprintable() else " " for each in text)
