"""Diffs for people."""

from __future__ import annotations

import difflib


def unified(old: str, new: str, name: str, becomes: str = "declared") -> str:
    """Return the unified diff of two texts, "" when they are equal.

    Args:
        old: the text on the host, "" when there is none.
        new: the text that it becomes.
        name: path that both headers show.
        becomes: what the second header says of the new text.

    Example:
        >>> print(unified("a\\n", "b\\n", "/etc/x"), end="")
        --- /etc/x (on the host)
        +++ /etc/x (declared)
        @@ -1 +1 @@
        -a
        +b
    """
    lines: list[str] = []
    for line in difflib.unified_diff(
        old.splitlines(keepends=True),
        new.splitlines(keepends=True),
        f"{name} (on the host)",
        f"{name} ({becomes})",
    ):
        lines.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(lines)
