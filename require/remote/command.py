"""Guarded commands: the twin of `require.resources.command`."""

from __future__ import annotations

import os
from typing import Any

from require.remote.shell import Refused, run


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Ask the guard.

    Args:
        spec: "user", "cwd", and "unless" (argv), "creates" (path) or both.

    Returns:
        "done": there is nothing to do.
    """
    if "creates" in spec and os.path.lexists(spec["creates"]):
        return {"done": True}
    if "unless" not in spec:
        return {"done": False}
    try:
        done = run(spec["unless"], user=spec["user"], cwd=spec["cwd"])
    except (FileNotFoundError, NotADirectoryError, KeyError):
        # Neither program, directory nor account need be there yet.
        return {"done": False}
    return {"done": done.code == 0}


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Run the command.

    Args:
        spec: the question and "argv", "stdin", "timeout_s".
        state: what `probe` saw just now.

    Raises:
        Refused: there is no such account, directory or program.
        Failed: its exit code is not 0, or it took too long.
    """
    if state["done"]:
        return
    try:
        done = run(spec["argv"], spec["stdin"], spec["timeout_s"], spec["user"], spec["cwd"])
    except KeyError:
        raise Refused(f"there is no user {spec['user']}") from None
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Refused(f"there is no {error.filename}") from None
    done.check()


def handle(spec: dict[str, Any]) -> None:
    """Run a handler's command.

    Args:
        spec: "argv".

    Raises:
        Failed: its exit code is not 0, or it took too long.
    """
    run(spec["argv"], timeout_s=300).check()
