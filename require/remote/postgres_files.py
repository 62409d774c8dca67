"""The server's own files: settings and pg_hba.conf, never left so that it could not start."""

from __future__ import annotations

import os
import re
import time
from typing import Any

from require.remote import file, postgres_server, private, psql
from require.remote.psql import identifier, literal, told
from require.remote.shell import Failed, Refused, run

RELOAD_S = 10
WRONG = """SELECT sourcefile || ':' || sourceline || ': ' || error FROM pg_file_settings
WHERE error IS NOT NULL AND error <> 'setting could not be applied'"""
HBA_WRONG = (
    "SELECT 'line ' || line_number || ': ' || error FROM pg_hba_file_rules WHERE error <> ''"
)


def settings(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Put the settings in place, load them, and restart the server for those that need it.

    The restart belongs to this step: what comes after it may need what is only there then, such as
    a library that is loaded at the start. What is still to be done is seen in the running values,
    so that nothing is forgotten when the run is cut in between.

    Args:
        spec: "content" of the file; "sha" of it.
        state: what `probe` saw just now.

    Raises:
        Refused: the server does not accept the file.
        Failed: it does not load it, or does not start with it; then the former one is back.
    """
    path = state["path"]
    both = _content(path) + spec["content"]
    names = sorted(set(re.findall(r"^([\w.]+) = ", both.decode(errors="replace"), re.M)))
    if state["sha"] != spec["sha"]:
        _check(path, spec["content"], state)
        _put(path, spec["content"])
        _refuse_if_wrong(path, told(f"{WRONG} AND sourcefile = {literal(path)};"))
    for name, seen in state["settings"].items():
        if seen["auto"]:
            told(f"ALTER SYSTEM RESET {identifier(name)};")
    _reload()
    ours = ", ".join(literal(name) for name in names)
    waiting = told(f"SELECT name FROM pg_settings WHERE pending_restart AND name IN ({ours});")
    why_not = postgres_server.start(state["config"], "restart") if waiting else ""
    if why_not:
        os.replace(postgres_server.former(path), path)
        again = postgres_server.start(state["config"], "restart")
        came = f"nor with the former ones: {again}" if again else "it runs with the former ones"
        raise Failed(f"the server does not start with these settings ({came}): {why_not}")
    _forget(path)


def hba(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Put pg_hba.conf in place; it counts from the next reload.

    Args:
        spec: "content" of the file.
        state: what `probe` saw just now.

    Raises:
        Refused: the server does not understand it; the former one is back.
    """
    path = state["path"]
    _put(path, spec["content"])
    _refuse_if_wrong(path, told(f"{HBA_WRONG};"))
    _forget(path)


def _refuse_if_wrong(path: str, words: str) -> None:
    if words:
        os.replace(postgres_server.former(path), path)
        private.sync(os.path.dirname(path))
        raise Refused(f"PostgreSQL does not accept it: {words}")


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as found:
            return found.read()
    except FileNotFoundError:
        return b""


def _check(path: str, content: bytes, state: dict[str, Any]) -> None:
    """Have the server's own program read settings from a file beside, and do no more."""
    beside = f"{path}.new"
    _write(beside, content)
    command = [f"{state['programs']}/postgres", "-D", state["data"]]
    try:
        done = run([*command, f"--config-file={beside}", "-C", "server_version"], user=psql.ACCOUNT)
    finally:
        os.unlink(beside)
    if done.code != 0:
        words = re.findall(r"(?:LOG|DETAIL|HINT):  (.*)", done.err)
        raise Refused(f"PostgreSQL does not accept it: {'; '.join(words) or done.err.strip()}")


def _put(path: str, content: bytes) -> None:
    """Put a file in place, its former content kept beside it until that is forgotten."""
    former = postgres_server.former(path)
    if not os.path.exists(former):
        # One that is there is of a run that was cut: still the last that the server started with.
        _write(former, _content(path))
    _write(path, content)


def _write(path: str, content: bytes) -> None:
    owner = psql.ACCOUNT or None
    question = {"path": path, "sha": "", "text": False}
    order = {"kind": "file", "content": content, "validate": [], "secret": False}
    order |= {"mode": 0o640, "owner": owner, "group": owner}
    file.apply({**question, **order}, file.probe(question))


def _forget(path: str) -> None:
    former = postgres_server.former(path)
    if os.path.exists(former):
        os.unlink(former)
        private.sync(os.path.dirname(path))


def _reload() -> None:
    wrong = told(f"{WRONG};")
    if wrong:
        raise Failed(f"PostgreSQL cannot load its configuration: {wrong}")
    loaded = told("SELECT pg_conf_load_time(); SELECT pg_reload_conf();").splitlines()[0]
    end = time.monotonic() + RELOAD_S
    while told("SELECT pg_conf_load_time();") == loaded:
        if time.monotonic() > end:
            raise Failed(f"PostgreSQL did not load its configuration in {RELOAD_S} s: see its log")
        time.sleep(0.05)
