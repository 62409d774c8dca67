"""Runs the machine's own programs for the lab, and says in one sentence when one fails."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from ci.lab.errors import LabFault

TIMEOUT_S = 60.0


def run(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    timeout_s: float = TIMEOUT_S,
    env: Mapping[str, str] | None = None,
) -> str:
    """Runs a program to its end and returns what it printed.

    Args:
        argv: the program and its arguments; no shell is involved.
        stdin: text for its standard input; None gives it an empty one.
        timeout_s: after so many seconds it is killed.
        env: variables to add to this process's own.

    Raises:
        LabFault: it is missing, it failed (with its last line), or it took too long.

    >>> run(["echo", "hello"])
    'hello\\n'
    """
    name = argv[0]
    try:
        done = subprocess.run(
            list(argv),
            input=stdin or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env={**os.environ, **(env or {})},
            check=False,
        )
    except FileNotFoundError:
        raise LabFault(f"{name} is not on this machine", "install it and try again") from None
    except subprocess.TimeoutExpired:
        raise LabFault(f"{' '.join(argv)} did not end within {timeout_s:g} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
        raise LabFault(f"{' '.join(argv)} failed ({done.returncode}): {said[-1]}")
    return done.stdout
