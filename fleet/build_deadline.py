"""How long a build waits for a program that it runs: one that hangs is told like any failure."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from fleet.errors import FleetError


@contextmanager
def deadline(what: str) -> Iterator[None]:
    """Tell of a program that was ended because it did not come to its end.

    Args:
        what: which program, and what for; a revision is named in it.

    Raises:
        FleetError: the program that `subprocess.run` started inside was ended.

    Example:
        >>> with deadline("git show"):
        ...     raise subprocess.TimeoutExpired(["git"], 300)
        Traceback (most recent call last):
        ...
        fleet.errors.FleetError: git show did not end within 300 s
          → run the same command again; if it hangs each time, see what this machine waits for
    """
    try:
        yield
    except subprocess.TimeoutExpired as error:
        raise FleetError(
            f"{what} did not end within {error.timeout:.0f} s",
            "run the same command again; if it hangs each time, see what this machine waits for",
        ) from error
