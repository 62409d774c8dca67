"""What a converge found and did, for people and for programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["ok", "changed", "would change", "unknown", "failed", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """What became of one resource, or of one handler.

    Args:
        key: the resource's key, or the handler's.
        status: "ok" nothing to do; "changed"; "would change" (`check` only); "unknown" until
            something else is applied, or because looking failed; "failed"; "skipped" because
            something it needs failed.
        summary: what changes, in one line.
        diff: unified diff of a text, secrets never.
        reason: why it is unknown, failed or skipped, and what to do.
        role: the role that declared it.
        where: file:line of the declaration.
    """

    key: str
    status: Status
    summary: str = ""
    diff: str = ""
    reason: str = ""
    role: str = ""
    where: str = ""


@dataclass(frozen=True)
class LastRun:
    """The last run that touched the host, as its journal tells it.

    Args:
        run: run id.
        operator: who started it.
        at: when, ISO 8601 in UTC by the host's clock.
        finished: it came to its end; otherwise it was cut short, or is still running.
        running: it holds the host's lock now.
        failed: keys of the steps and handlers that failed.
    """

    run: str
    operator: str
    at: str
    finished: bool
    running: bool
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """Everything about one converge of one host.

    Args:
        host: name of the host.
        check: nothing was to be changed.
        outcomes: one per resource, in the order they are applied.
        handlers: one per handler that ran, would run, or failed.
        errors: what is wrong, each a sentence that names the resource and the remedy; empty when
            the host is as declared (or, with `check`, when everything could be looked at).
        notes: what is to be known and is no error, each a sentence.
        run: id of the run on the host, "" when nothing was applied.
        last_run: what the host's journal said before this converge, None on a fresh host.
        held: id of the run that holds the host's lock, "" when that kept us from nothing.
        link_lost: the link broke while the host applied, and it could not be reached again; it goes
            on there, and what became of it can be collected by the run's id.
        trips: calls of the transport.
        bytes_sent, bytes_received: both ways, before the transport's own framing.
        seconds: from the first call to the end.
    """

    host: str
    check: bool
    outcomes: tuple[Outcome, ...]
    handlers: tuple[Outcome, ...] = ()
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    run: str = ""
    last_run: LastRun | None = None
    held: str = ""
    link_lost: bool = False
    trips: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    seconds: float = 0.0

    @property
    def changes(self) -> tuple[Outcome, ...]:
        """What changed, or with `check` would; handlers included."""
        found = ("changed", "would change")
        return tuple(each for each in (*self.outcomes, *self.handlers) if each.status in found)

    @property
    def unknowns(self) -> tuple[Outcome, ...]:
        """What could not be known."""
        return tuple(each for each in self.outcomes if each.status == "unknown")

    @property
    def diffs(self) -> dict[str, str]:
        """Unified diffs by resource key."""
        return {each.key: each.diff for each in self.outcomes if each.diff}

    @property
    def differs(self) -> bool:
        """Whether the host was not, or is not known to be, as declared: `--check` exits 2."""
        return bool(self.changes or self.unknowns)

    @property
    def failed(self) -> bool:
        """Whether anything went wrong: exit code 4."""
        return bool(self.errors)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values, for `--json`."""
        return asdict(self) | {"differs": self.differs, "failed": self.failed}


@dataclass(frozen=True)
class Event:
    """A sign of life while a converge runs.

    Args:
        host: name of the host.
        stage: "probe", "plan", "apply", "handlers", "verify", "reconnect" or "done".
        done: steps that are over.
        total: steps of this stage.
        key: what it is at, "" when nothing in particular.
        status: how that ended, "" when it has just begun.
        run: id of the run on the host, "" before it is asked for one.
    """

    host: str
    stage: str
    done: int = 0
    total: int = 0
    key: str = ""
    status: str = ""
    run: str = ""


Progress = Callable[[Event], None]
