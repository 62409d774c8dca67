"""A value that cannot be printed by accident."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import NoReturn

from require.remote import wire

MASK = wire.MASK


class Secret:
    """A text that appears in no diff, no log and no argument list.

    Formatting it raises instead of writing the mask, because a mask that is silently rendered into
    a configuration file is worse than an error.

    Example:
        >>> require.postgres.user(name="cms", password=Secret("s3cret"))
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself, for the one place that must write it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> NoReturn:
        raise TypeError(
            "a Secret cannot be turned into text: pass it on, or reveal() it on purpose"
        )

    def __format__(self, spec: str) -> NoReturn:
        self.__str__()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(hashlib.sha256(self._value.encode()).digest())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


def mask(text: str, secrets: Iterable[Secret]) -> str:
    """Return the text with each secret in it replaced by the mask.

    Args:
        text: for people or a log.
        secrets: what must not be in it.
    """
    return wire.masked(text, (secret.reveal() for secret in secrets))
