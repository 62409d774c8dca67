"""Applies the configuration that waits for an aircraft, with the very code that it was committed with.

The archive is unpacked into a folder of its own, and a process with that folder before all others on
its path does the rest: an engine and roles that are newer or older than this hangar's are theirs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fleet.aboard.errors import ManifestError
from fleet.build_revision import unpack
from fleet.configuration import unseal
from fleet.errors import Exit
from hangar_app import wanted
from hangar_app.performing import Tools, WorkFailed
from hangar_app.work import Claim

RUN_S = 3600
# How a program ended: its exit code, its output, its errors.
Program = Callable[[Sequence[str], Path, dict[str, str]], tuple[int, str, str]]


def run_program(
    argv: Sequence[str], folder: Path, environment: dict[str, str]
) -> tuple[int, str, str]:
    """Runs a program to its end, at most `RUN_S` seconds."""
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_S,
        )
    except subprocess.TimeoutExpired:
        return 1, "", f"it was still at work after {RUN_S} s and was stopped"
    return done.returncode, done.stdout, done.stderr


def converge(tools: Tools, claim: Claim, run: Program = run_program) -> dict[str, Any]:
    """Makes an aircraft what waits for it.

    What nobody of `release_signers` signed is not even unpacked. An aircraft that is gone again, or that
    another run holds, is no failure of the configuration: it goes on waiting. What fails is tried again at
    later heartbeats, `wanted.TRIES` times in all.

    Raises:
        WorkFailed: with the reason, which names the resource where one is to blame.
    """
    keys = tools.settings.dispatch_key.parent
    with tools.session() as session:
        waiting = wanted.waiting_for(session, claim.aircraft)
    if waiting is None:
        return {"progress": "nothing waits for it any more"}
    detail = {"revision": waiting.revision[:12], "operator": waiting.operator}
    try:
        archive = unseal(
            waiting.archive, waiting.revision, keys / "release_signers", keys.parent / "fleet_name"
        )
    except ManifestError as error:
        with tools.session() as session:
            wanted.failed(session, claim.aircraft, waiting.digest, f"refused: {error}"[:2000])
            session.commit()
        raise WorkFailed(f"refused: {error}", detail) from None
    with tempfile.TemporaryDirectory(prefix="turnaround-configuration-") as name:
        folder = Path(name)
        unpack(archive, folder, f"configuration {waiting.revision[:12]}")
        argv = [sys.executable, "-m", "fleet.from_hangar", claim.aircraft]
        argv += ["--key", str(tools.settings.dispatch_key), "--operator", waiting.operator]
        mine = {**os.environ, "PYTHONPATH": str(folder), "TURNAROUND_KEYS": str(keys)}
        code, said, complained = run(argv, folder, mine)
    outcome = _outcome(said)
    if code == Exit.DONE and outcome:
        with tools.session() as session:
            wanted.drop(session, {claim.aircraft: waiting.digest})
            session.commit()
        return detail | {"progress": f"{outcome['status']}: {outcome['detail']}"}
    reason = _reason(outcome, complained, code)
    if code != Exit.OFFLINE and not outcome.get("held"):
        with tools.session() as session:
            wanted.failed(session, claim.aircraft, waiting.digest, reason)
            session.commit()
    raise WorkFailed(f"configuration {waiting.revision[:12]}: {reason}", detail)


def _outcome(said: str) -> dict[str, Any]:
    """The object that the program printed last; empty when it printed none."""
    for line in reversed(said.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and {"status", "detail"} <= found.keys():
            return found
    return {}


def _reason(outcome: dict[str, Any], complained: str, code: int) -> str:
    if outcome:
        return f"{outcome['status']}: {outcome['detail']}"[:2000]
    words = complained.strip().splitlines()
    return f"exit {code}: {' '.join(words[-3:]) or 'it gave no reason'}"[:2000]
