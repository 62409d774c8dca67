"""Who may read which secrets: `secrets/recipients.yml`, in clear and in git, written by people.

eva: { key: age1…, reads: ["*"] }
hangar: { key: age1…, reads: [all, group-aircraft, "host-EC-*"] }
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from fleet.age import is_public_key
from fleet.errors import did_you_mean
from fleet.inventory_yaml import Faults, Value, read

_NAME = r"[A-Za-z0-9][A-Za-z0-9@._-]{0,62}"


@dataclass(frozen=True)
class Recipient:
    """Somebody's public key, and the levels, or patterns of them, that it may read."""

    key: str
    reads: tuple[str, ...]

    def may_read(self, level: str) -> bool:
        """Whether it may read a level such as `group-aircraft`."""
        return any(fnmatchcase(level, each) for each in self.reads)


def read_recipients(path: Path, levels: Collection[str]) -> tuple[dict[str, Recipient], Faults]:
    """Returns the recipients by name, and the file's faults.

    Args:
        path: the file; it need not exist.
        levels: all that there are.

    Raises:
        UsageError: it is no YAML at all.
    """
    if not path.is_file():
        return {}, Faults(path)
    root, faults = read(path, hidden=True)  # the wrong half of a key is soon pasted
    found = {}
    for name, value in root.items("people and machines by name") if root else ():
        parts = dict(value.items("a key and what it reads", ("key", "reads")))
        for needed in ("key", "reads"):
            if needed not in parts:
                faults.add(value.line, f"{needed} for {name}", "none")
        key = public_key(parts["key"]) if "key" in parts else ""
        if not re.fullmatch(_NAME, name):
            faults.add(value.line, "a name of letters, digits and @ . _ -", repr(name))
        found[name] = Recipient(key, _reads(parts.get("reads"), levels))
    return found, faults


def _reads(value: Value | None, levels: Collection[str]) -> tuple[str, ...]:
    words = value.texts("a list of levels") if value else []
    for word, place in words:
        if not any(fnmatchcase(level, word) for level in levels):
            expected = "all, group-NAME, host-NAME or a pattern of some"
            place.faults.add(place.line, expected, repr(word), did_you_mean(word, levels))
    return tuple(word for word, _ in words)


def public_key(value: Value) -> str:
    """Returns an age public key."""
    text = value.text("an age public key (age1…)")
    if text and not is_public_key(text):
        value.fault("an age public key (age1…)")
    return text
