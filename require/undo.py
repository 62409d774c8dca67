"""Puts the files of the last run back, by a run like any other: it can be undone itself.

The first trip asks the host what its last run replaced; each path becomes a resource that wishes
what was there before. From then on it is a converge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from require.catalog import Catalog
from require.diff import unified
from require.planning import plan
from require.remote.wire import digest
from require.resource import Change, Handler, NoChange, Plan, Spec, State, Unknown, Where
from require.resources.file import File
from require.result import Progress, Result
from require.run import STATE_DIR, Session, new_run_id
from require.transport import Transport

FILES = ("file", "line")
"""Nouns whose steps change nothing but files: undone when their files are put back."""


@dataclass(frozen=True, kw_only=True)
class Former(File):
    """What was at a path before a run, to be there again.

    Args:
        was: what was there, as the host's `file.probe` tells it.
        ours: digests of what the run may have left there.
        copy: where on the host the former content is, or "".
        text: the former text, None where it is not to be shown or is none.
        hidden: whether the content is secret.
    """

    noun: ClassVar[str] = "undo"

    was: Mapping[str, Any]
    ours: frozenset[str]
    copy: str = ""
    text: str | None = field(default=None, repr=False)
    hidden: bool = False

    @property
    def secret(self) -> bool:
        return self.hidden

    def natural_needs(self) -> tuple[str, ...]:
        return ()

    def question(self) -> Spec:
        return {"path": self.path, "sha": self._sha(), "text": not self.hidden}

    def order(self) -> Spec:
        spec: Spec = {"kind": self.kind, "target": self.target, "copy": self.copy, "validate": []}
        spec |= {"mode": self.mode, "owner": self.owner, "group": self.group}
        return spec | {"secret": self.hidden}

    def plan(self, state: State) -> Plan:
        now = {name: value for name, value in state.items() if name != "text"}
        if now == self.was:
            return NoChange()
        if digest(now) not in self.ours:
            return Unknown(
                "it is no longer what that run made it, so it is left alone: put it right by hand",
                blocked=True,
            )
        if self.kind == "other":
            return Unknown("what was there was no file, directory or link", blocked=True)
        if self.kind == "file" and state.get("sha") != self._sha() and not self.copy:
            return Unknown(
                f"its former content, {self.was['size']} bytes, is not kept: it was too large, or "
                "had to make room for that of later runs",
                blocked=True,
            )
        found = super().plan(state)
        if self.kind == "absent" and "text" in state and isinstance(found, Change):
            return Change(found.summary, self._unified(state["text"], ""))
        return found

    def _sha(self) -> str:
        sha: str = self.was.get("sha", "")
        return sha

    def _diff(self, state: State) -> str:
        former = state["kind"] == "file" and state.get("text") is None
        if self.hidden or former or self.text is None:
            return "(no text, too large or secret)\n"
        return self._unified(state.get("text") or "", self.text)

    def _unified(self, old: str, new: str) -> str:
        return unified(old, new, self.path, becomes="before the run")


def undo(
    transport: Transport,
    check: bool = False,
    *,
    host: str = "",
    progress: Progress | None = None,
    operator: str = "",
    state_dir: str = STATE_DIR,
    run_id: Callable[[], str] = new_run_id,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Put back what was at each path before the host's last run, or with `check` tell.

    A path that is no longer as the run left it is left alone and is an error. What other nouns did
    (packages, accounts, databases, commands) stays, and `notes` says which steps that is.

    Args:
        transport, check, host, progress, operator, state_dir, run_id, clock, sleep: as for
            `require.run.converge`.

    Returns:
        The result, one outcome per path; none when there is nothing to undo.

    Raises:
        TransportError: the host could not be looked at; nothing was touched.

    Example:
        >>> undo(LocalTransport(), check=True).diffs
        {'file:/etc/motd': '--- /etc/motd (on the host)…'}
    """
    session = Session(
        transport, Catalog(), host, progress, operator, state_dir, run_id, clock, sleep
    )
    reply = session.look("undo")
    last = session.last_run
    session.declare(former(reply))
    if last is not None and last.running:
        session.ledger.lock_of(reply["lock"] or {"run": last.run})
        return session.result(check)
    session.ledger.notes += notes(reply)
    waits = reply["pending"]
    if not any(each.step for each in plan(session.resources, reply["answers"])):
        waits = []  # handlers that an earlier run left are the next converge's
    session.go(reply["answers"], waits, reply["lock"], check)
    return session.result(check)


def former(reply: Mapping[str, Any]) -> Catalog:
    """Return what was at each path before the run that a host tells of. Pure.

    None needs another: what the run did first is undone last, and one that somebody changed since
    keeps no other from being put back.

    Args:
        reply: see `require.remote.undo`.
    """
    catalog = Catalog()
    run = reply["last_run"]["run"] if reply["last_run"] else ""
    for entry in reply["entries"]:
        was = entry["was"]
        catalog.add(
            Former(
                path=entry["path"],
                kind=was["kind"],
                target=was.get("target", ""),
                mode=was.get("mode", 0),
                owner=was.get("owner"),
                group=was.get("group"),
                was=was,
                ours=frozenset(entry["ours"]),
                copy=entry["copy"],
                text=entry["text"],
                hidden=entry["secret"],
                notify=tuple(
                    Handler(each["noun"], each["spec"], tuple(each["before"]))
                    for each in entry["notify"]
                ),
                where=Where(f"run {run}"),
            )
        )
    return catalog


def notes(reply: Mapping[str, Any]) -> list[str]:
    """Return what to know of the steps that putting files back does not undo. Pure."""
    filed = {key for entry in reply["entries"] for key in entry["keys"]}
    said = []
    for key, status in reply["steps"].items():
        wholly = key.partition(":")[0] in FILES and (key in filed or status != "changed")
        if wholly or status not in ("changed", "failed", "begun"):
            continue
        what = "only its files are put back" if key in filed else "it cannot be put back"
        said.append(f"{key} ({status}): {what}")
    return said
