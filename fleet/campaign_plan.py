"""The plan of a campaign: waves, gate, how many may fail, deadline. Words are read here, and only here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from fleet.errors import UsageError

CANARY = "canary"
STATES = (
    "confirmed",
    "shipping",
    "pending",
    "off-line",
    "failed",
    "returning",
    "rolled back",
    "left",
)
"""Of an aircraft. `pending` is heard, or was a minute ago; `off-line` is pending as well, and no failure."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_PER_CENT = re.compile(r"([1-9]\d?|100)%")
_GATE = re.compile(r"confirmed(?::(.+))?")
_COUNT = re.compile(r"\d{1,4}")


@dataclass(frozen=True)
class Plan:
    """How a campaign goes.

    Args:
        waves: `canary`, or how many per cent of the fleet have been offered it once that wave is open.
        gate: how many per cent of a wave must be confirmed before the next one opens; failed ones and
            those that were left alone are not counted.
        max_failed: so many may fail, `3`, or `5%` of those in open waves; one more pauses it.
        deadline: an aircraft that was called in so many landings, and is not done, has failed.
        at_once: to so many aircraft it is shipped at the same time.
        canary: the names of the first wave; empty takes the aircraft that was heard last.
        everyone: whether aircraft that are enrolled later belong to it.
        names: whom it is for, when not for everyone.
        left_out: whom it is not for, when it is.
    """

    waves: tuple[str, ...]
    gate: int = 100
    max_failed: str = "5%"
    deadline: int = 3
    at_once: int = 16
    canary: tuple[str, ...] = ()
    everyone: bool = True
    names: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Plan:
        """The plan that `plain` gave, once read back from JSON."""
        known = {one.name: plain[one.name] for one in fields(cls)}
        words: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in known.items()
        }
        return cls(**words)

    def plain(self) -> dict[str, Any]:
        """The plan as JSON has it."""
        return asdict(self)

    def offered(self, wave: int, fleet: int) -> int:
        """How many of a fleet are in waves once this one is open, which is no canary.

        Example:
            >>> Plan(("canary", "10%", "100%")).offered(1, 12)
            2
        """
        return math.ceil(int(self.waves[wave].removesuffix("%")) * fleet / 100)

    def bearable(self, offered: int) -> int:
        """How many of those that were offered it may fail.

        Example:
            >>> Plan(("100%",), max_failed="5%").bearable(101)
            5
        """
        number = int(self.max_failed.removesuffix("%"))
        return number * offered // 100 if self.max_failed.endswith("%") else number


def waves(text: str) -> tuple[str, ...]:
    """Reads `--waves`.

    Raises:
        UsageError: naming the word that is wrong.

    Example:
        >>> waves("canary, 10%, 100%")
        ('canary', '10%', '100%')
    """
    words = tuple(word.strip() for word in text.split(","))
    before = 0
    for number, word in enumerate(words):
        if word == CANARY and number == 0:
            continue
        if not _PER_CENT.fullmatch(word):
            raise _wrong("--waves", "canary first, then per cents such as 10%", word)
        if (share := int(word[:-1])) <= before:
            raise _wrong("--waves", f"more than {before}% after {before}%", word)
        before = share
    if before != 100:
        raise _wrong("--waves", "100% as the last one, so that nobody is forgotten", words[-1])
    return words


def wave(text: str) -> str:
    """Reads `--wave`: the word of one wave.

    Raises:
        UsageError: no wave is called so.
    """
    if text != CANARY and not _PER_CENT.fullmatch(text):
        raise _wrong("--wave", "canary, or per cents such as 10%", text)
    return text


def gate(text: str) -> int:
    """Reads `--gate`: `confirmed`, or `confirmed:90%` when some may be missing.

    Raises:
        UsageError: it is neither.

    Example:
        >>> gate("confirmed"), gate("confirmed:90%")
        (100, 90)
    """
    found = _GATE.fullmatch(text)
    share = found and (found[1] or "100%")
    if not share or not _PER_CENT.fullmatch(share):
        raise _wrong("--gate", "confirmed, or confirmed:90%", text)
    return int(share[:-1])


def max_failed(text: str) -> str:
    """Reads `--max-failed`: a number of aircraft, or per cents of those in open waves.

    Raises:
        UsageError: it is neither.

    Example:
        >>> max_failed("5%"), max_failed("0")
        ('5%', '0')
    """
    if not _COUNT.fullmatch(text) and text != "0%" and not _PER_CENT.fullmatch(text):
        raise _wrong("--max-failed", "a number of aircraft, or per cents such as 5%", text)
    return text


def within(flag: str, number: int, least: int, most: int) -> int:
    """Reads a number.

    Raises:
        UsageError: it is out of bounds.
    """
    if not least <= number <= most:
        raise _wrong(flag, f"a number from {least} to {most}", number)
    return number


def name(text: str) -> str:
    """Reads the name of a campaign.

    Raises:
        UsageError: it is none.
    """
    if not _NAME.fullmatch(text):
        raise _wrong("--name", "lower-case letters, digits and -, at most 40", text)
    return text


def _wrong(flag: str, expected: str, found: object) -> UsageError:
    return UsageError(f"{flag}: expected {expected}, found {found!r}", "nothing was touched")
