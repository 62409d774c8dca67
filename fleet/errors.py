"""What can go wrong with the fleet, said for people, each with the exit code it stands for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every command; the design keeps them."""

    DONE = 0
    CHANGES = 2  # --check or drift found something to change
    OFFLINE = 3
    FAILED = 4
    USAGE = 64  # wrong usage or wrong inventory, found before anything is touched
    INTERRUPTED = 130
    UNREAD = 141  # whoever read our output went away, as a shell says it of SIGPIPE


# When several hosts end differently the command exits with the first of these that occurred.
_WEIGHT = (Exit.INTERRUPTED, Exit.USAGE, Exit.FAILED, Exit.CHANGES, Exit.OFFLINE, Exit.DONE)


def combine(codes: Iterable[Exit]) -> Exit:
    """Returns the one exit code for several hosts: failed over changes over off-line over done.

    >>> combine([Exit.OFFLINE, Exit.CHANGES, Exit.DONE])
    <Exit.CHANGES: 2>
    """
    seen = set(codes) | {Exit.DONE}
    return next(code for code in _WEIGHT if code in seen)


class FleetError(Exception):
    """Something ops should read: what happened, and what to do about it.

    Args:
        what: one sentence with the host, resource or file, what was expected and what was found.
        remedy: what to do, or empty when the sentence says it.
    """

    exit_code: Exit = Exit.FAILED

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}\n  → {self.remedy}" if self.remedy else self.what


class UsageError(FleetError):
    """The command line or the inventory is wrong; nothing was touched."""

    exit_code = Exit.USAGE


class Offline(FleetError):
    """The host cannot be reached now. That is no failure: most of the fleet is in the air."""

    exit_code = Exit.OFFLINE


class LinkLost(Offline):
    """The link broke while a command was running; what it did there is not known from here."""


class HostKeyChanged(FleetError):
    """The host shows another key than the one that was pinned at first contact."""


class AccessRefused(FleetError):
    """The host is there and does not let us in."""


class RemoteFailed(FleetError):
    """A command on the host ended with an exit code that was not expected."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns the known word that is most like this one, or an empty string.

    >>> nearest("convrge", ["converge", "drift"])
    'converge'
    """
    by_fold = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns ` (did you mean …?)` for the nearest known word, or an empty string."""
    near = nearest(word, known)
    return f" (did you mean {near}?)" if near else ""
