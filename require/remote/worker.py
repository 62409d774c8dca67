"""The second trip, its far end: applies the steps of a plan, whether anyone listens or not.

Under the host's lock, for each step in order: what it needs is right, the world is as it was probed,
the markers of the handlers it notifies are on the disk; then the change; then the journal's line.
After the last one the handlers, then everything is looked at again. Whatever goes wrong with a step
once they have begun, a full disk included, is that step's failure, and the others go on.

A step may find a world that differs from the probed one only where an earlier step of this run can
have changed it. That nothing had changed when the run began is checked once for all of them.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import select
import time
from collections.abc import Callable
from typing import Any

from require.remote import kept, lock, pending, private, probing, wire
from require.remote.journal import Journal, last
from require.remote.shell import Refused

Step = dict[str, Any]
Tell = Callable[[bytes, Any], None]


def main(request: dict[str, Any], decoder: wire.Decoder, out: int) -> None:
    """Do one run and answer with what became of it.

    Args:
        request: see `require.planning.apply_request`.
        decoder: knows the secrets of the request.
        out: file descriptor for the frames; that nobody reads it does not matter.
    """
    os.umask(0o077)
    os.set_blocking(out, False)
    tell = _teller(out)
    try:
        reply = _locked(request, decoder, tell)
    except lock.Held as held:
        reply = {"locked": held.holder}
    except (Refused, OSError) as error:
        place = request["state_dir"]
        reply = {"unbegun": decoder.mask(f"no notes can be made in {place}: {_words(error)}")}
    tell(b"R", reply)


def _locked(request: dict[str, Any], decoder: wire.Decoder, tell: Tell) -> dict[str, Any]:
    # A directory that our own notes need may be declared too: then making it is no conflict.
    made = _missing(request["state_dir"])
    runs = private.folder(f"{request['state_dir']}/runs")
    now = time.time()
    holder = {
        "owner": request["operator"],
        "run": request["run"],
        "at": _utc(now),
        "expires": _utc(now + request["expires_s"]),
    }
    held = lock.take(runs, holder, request["expires_s"])
    try:
        before = last(runs)
        if before and not before["finished"]:
            # What a run wrote that was killed looks done, and may not be on the disk.
            os.sync()
        journal = Journal(runs, request["run"])
        steps = [each["key"] for each in request["resources"] if "order" in each]
        more = {each: request[each] for each in ("operator", "declares", "mends")}
        journal.write("start", at=holder["at"], steps=steps, **more)
        for each in request["resources"]:
            if each["key"] in made and "order" in each:
                each["expect"] = None
        keeper = kept.Keeper(runs, request["run"], journal)
        run = Run(request, decoder, journal, keeper, tell)
        run.steps()
        run.handlers()
        tell(b"P", {"stage": "verify"})
        answers = probing.look(request["resources"], request["total_s"])
        run.note("finish", at=_utc(time.time()))
        return {"results": run.results, "handlers": run.ran, "answers": answers}
    finally:
        os.close(held)


class Run:
    """The steps and handlers of one run, with the lock held.

    Args:
        request: what is to be done.
        decoder: masks secrets in what is said and written.
        journal: where it is noted.
        keeper: keeps what is replaced.
        tell: sends progress.
    """

    def __init__(
        self,
        request: dict[str, Any],
        decoder: wire.Decoder,
        journal: Journal,
        keeper: kept.Keeper,
        tell: Tell,
    ) -> None:
        self.request, self.decoder, self.journal, self.tell = request, decoder, journal, tell
        self.keeper = keeper
        self.markers = private.folder(f"{request['state_dir']}/pending")
        self.results: dict[str, dict[str, Any]] = {}
        self.ran: dict[str, dict[str, Any]] = {}
        self._bad = dict.fromkeys(request["bad"], "it could not be looked at")
        self._applied: set[str] = set()
        self._wide = False

    def steps(self) -> None:
        """Apply every step, each after what it needs."""
        todo = [each for each in self.request["resources"] if "order" in each]
        seen = dict(zip((each["key"] for each in todo), probing.look(todo), strict=True))
        for number, step in enumerate(todo):
            key = step["key"]
            self.tell(b"P", {"stage": "apply", "key": key, "done": number, "total": len(todo)})
            try:
                result = self._step(step, seen[key])
                self.journal.write("end", key=key, **result)
            except Exception as error:
                result = self._failed("end", key, error)
            self.results[key] = result
            if result["status"] in ("failed", "skipped"):
                self._bad[key] = result["reason"]
            self.tell(
                b"P",
                {
                    "stage": "apply",
                    "key": key,
                    "done": number + 1,
                    "total": len(todo),
                    "status": result["status"],
                },
            )

    def _step(self, step: Step, at_first: dict[str, Any]) -> dict[str, Any]:
        missing = [need for need in self._needs(step["key"]) if need in self._bad]
        if missing:
            return {"status": "skipped", "reason": f"it needs {missing[0]}, which failed"}
        for handler in pending.waiting(self.markers):
            if step["key"].startswith(tuple(handler["before"])):
                self._handle(handler)
        module = importlib.import_module(f"require.remote.{step['noun']}")
        state = self._compare(step, at_first)
        handlers = [self.request["handlers"][key] for key in step["notify"]]
        try:
            self.journal.write("begin", key=step["key"])
            marked = self._mark(handlers)
        except OSError as error:
            place = self.request["state_dir"]
            raise Refused(f"it could not be noted in {place}: {_words(error)}") from error
        try:
            with self.keeper.step(step["key"], handlers):
                module.apply({**step["spec"], **step["order"]}, state)
        except Refused:
            self._unmark(marked)
            raise
        except Exception:
            self._touched(step)
            raise
        try:
            same = step["expect"] is None and self._state(step) == state
        except Refused:
            self._touched(step)
            raise
        if same:
            self._unmark(marked)
            return {"status": "ok"}
        self._touched(step)
        return {"status": "changed"}

    def _compare(self, step: Step, at_first: dict[str, Any]) -> dict[str, Any]:
        """Return the state of now, if it is the one the plan was made for."""
        expected = step["expect"]
        if expected is None:
            return self._state(step)
        if "failed" in at_first:
            raise Refused(at_first["failed"])
        if wire.digest(at_first["state"]) != expected:
            raise Refused(f"{_CONFLICT} It was {_short(at_first['state'])} when the run began.")
        state = self._state(step)
        ours = self._wide or not self._applied.isdisjoint(self._needs(step["key"]))
        if not ours and wire.digest(state) != expected:
            raise Refused(f"{_CONFLICT} It is {_short(state)} now.")
        return state

    def _state(self, step: Step) -> dict[str, Any]:
        answer = probing.look([step])[0]
        if "failed" in answer:
            raise Refused(answer["failed"])
        state: dict[str, Any] = answer["state"]
        return state

    def _needs(self, key: str) -> set[str]:
        """All that a resource needs, and what those need."""
        needs: dict[str, list[str]] = self.request["needs"]
        found: set[str] = set()
        waiting = list(needs.get(key, ()))
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting += needs.get(each, ())
        return found

    def _touched(self, step: Step) -> None:
        self._applied.add(step["key"])
        self._wide = self._wide or step["wide"]

    def _mark(self, handlers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Set the markers of what a step notifies, all or none; return those that are new."""
        new: list[dict[str, Any]] = []
        try:
            for handler in handlers:
                if pending.mark(self.markers, handler, self._run_id):
                    new.append(handler)
        except OSError:
            self._unmark(new)
            raise
        return new

    def _unmark(self, handlers: list[dict[str, Any]]) -> None:
        for handler in handlers:
            pending.clear(self.markers, handler["key"])

    def _failed(self, event: str, key: str, error: Exception) -> dict[str, Any]:
        failed = {"status": "failed", "reason": self.decoder.mask(_words(error))}
        self.note(event, key=key, **failed)
        return failed

    def note(self, event: str, **values: Any) -> None:
        """Add a line to the journal if that can be done: a full disk must not end the run."""
        with contextlib.suppress(OSError):
            self.journal.write(event, **values)

    def handlers(self) -> None:
        """Run every handler that waits, this run's and those that earlier runs left."""
        waiting = pending.waiting(self.markers)
        # A unit that is restarted need not reload as well, so restarts come first.
        waiting.sort(key=lambda handler: handler["spec"]["verb"] == "reloaded")
        for number, handler in enumerate(waiting):
            place = {"stage": "handlers", "key": handler["key"], "total": len(waiting)}
            self.tell(b"P", {**place, "done": number})
            restarted = handler["key"].replace(".reloaded:", ".restarted:")
            again = restarted != handler["key"] and self.ran.get(restarted) == {"status": "changed"}
            if self.ran.get(handler["key"], {}).get("status") != "failed":
                self._try(handler, again)
            self.tell(b"P", {**place, "done": number + 1})

    def _try(self, handler: dict[str, Any], needless: bool) -> None:
        try:
            if needless:
                pending.clear(self.markers, handler["key"])
            else:
                self._handle(handler)
        except Exception as error:
            # What could not be done is said; the marker stays, so the next run tries again.
            self.ran[handler["key"]] = self._failed("handler", handler["key"], error)

    def _handle(self, handler: dict[str, Any]) -> None:
        module = importlib.import_module(f"require.remote.{handler['noun']}")
        self._wide = True
        module.handle(handler["spec"])
        pending.clear(self.markers, handler["key"])
        self.journal.write("handler", key=handler["key"], status="done")
        self.ran[handler["key"]] = {"status": "changed"}

    @property
    def _run_id(self) -> str:
        run: str = self.request["run"]
        return run


def _missing(path: str) -> set[str]:
    """Return the keys of the directories on the way to a path that are not there."""
    parts = path.strip("/").split("/")
    ways = ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]
    return {f"file:{way}" for way in ways if not os.path.exists(way)}


_REMEDIES = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EROFS: "look why (dmesg) and mount it writable",
}
_CONFLICT = "The host is no longer as it was probed, so nothing was overwritten: converge again."


def _words(error: Exception) -> str:
    text = str(error) or "no reason given"
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        return f"{text}: {_REMEDIES[error.errno]}, then converge again"
    return text if type(error).__module__.endswith("shell") else f"{type(error).__name__}: {text}"


def _short(state: dict[str, Any]) -> str:
    # The hash of a short secret is as good as the secret.
    hidden = ("text", "sha", "verifier")
    shown = {name: value for name, value in state.items() if name not in hidden}
    return ", ".join(f"{name} {value}" for name, value in shown.items())[:400]


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _teller(out: int) -> Tell:
    """Return what writes frames; it never waits for a reader that does not read.

    Progress is small enough for a pipe to take it whole or not at all. The result is waited for
    as long as the other side goes on reading.
    """
    begun = False
    gone = False

    def tell(kind: bytes, value: Any) -> None:
        nonlocal begun, gone
        data = (b"" if begun else wire.MAGIC) + wire.frame(kind, value)
        if gone or (kind == b"P" and len(data) > select.PIPE_BUF):
            return
        try:
            while data:
                if kind == b"R" and not select.select([], [out], [], 30)[1]:
                    return
                data = data[os.write(out, data) :]
                begun = True
        except BlockingIOError:
            return
        except OSError:
            gone = True

    return tell
