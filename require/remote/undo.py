"""Undoing a run: what it did to which paths, and the twin of `require.undo.Former`."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Any

from require.remote import file, journal, look, wire
from require.remote.shell import Refused

PROBE_S = 15.0


def main(request: dict[str, Any], out: Any) -> None:
    """Answer one request to look at what the newest run did.

    Args:
        request: "state_dir", "total_s".
        out: binary file for the frames.
    """
    runs = f"{request['state_dir']}/runs"
    run = journal.last(runs)
    events = _events(runs, run["run"]) if run else []
    entries = merged(events)
    questions = [{"noun": "undo", "spec": question(each), "timeout": PROBE_S} for each in entries]
    reply = look.seen({**request, "resources": questions})
    for entry, answer in zip(entries, reply["answers"], strict=True):
        now = answer.get("state", {}).get("sha")
        entry["text"] = None if entry["secret"] or now == entry["was"].get("sha") else _text(entry)
    own = [each for each in events if each["event"] in ("begin", "end")]
    steps = {each["key"]: each.get("status", "begun") for each in own}
    body = wire.frame(b"R", reply | {"entries": entries, "steps": steps})
    out.write(wire.MAGIC + body)
    out.flush()


def _events(runs: str, run: str) -> list[dict[str, Any]]:
    """Return the events of a run, after those of the run that it mended in the same converge."""
    events = [{**each, "folder": f"{runs}/{run}"} for each in journal.read(runs, run)]
    mended = events[0].get("mends", "") if events else ""
    if mended:
        with contextlib.suppress(FileNotFoundError):
            return _events(runs, mended) + events
    return events


def merged(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a run did to each path, what it did first last. Pure.

    Args:
        events: of its journal, each with the "folder" it is from.

    Returns:
        Each with "path", "was" (before the first change), "ours" (digests of what the run itself
        may have left there), "copy" (where the former content is, or ""), "secret", "notify"
        (handlers), "keys" (of the steps).
    """
    paths: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event["event"] == "kept":
            paths.setdefault(event["path"], []).append(event)
    return [_one(path, each) for path, each in reversed(paths.items())]


def _one(path: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    was = events[0]["was"]
    copies = (
        f"{each['folder']}/{each['copy']}"
        for each in events
        if each["copy"] and each["was"]["sha"] == was.get("sha")
    )
    handlers = {each["key"]: each for event in events for each in event["notify"]}
    return {
        "path": path,
        "was": was,
        "ours": [wire.digest(each[when]) for each in events for when in ("was", "made")],
        "copy": next((copy for copy in copies if os.path.exists(copy)), ""),
        "secret": any(each["secret"] for each in events),
        "notify": list(handlers.values()),
        "keys": [each["key"] for each in events],
    }


def question(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what `file.probe` is asked about a path."""
    sha = entry["was"].get("sha", "")
    return {"path": entry["path"], "sha": sha, "text": not entry["secret"]}


def _text(entry: dict[str, Any]) -> str | None:
    """Return the former text, None where there is none to show."""
    if not entry["copy"] or entry["was"]["size"] > file.MAX_TEXT:
        return None
    with open(entry["copy"], "rb") as kept:
        try:
            return kept.read(file.MAX_TEXT).decode()
        except UnicodeDecodeError:
            return None


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at a path, as `file.probe` does."""
    return file.probe(spec)


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Put back what was at a path.

    Args:
        spec: the question and all that `file.apply` needs, but for the content, which is in "copy".
        state: what `probe` saw just now.

    Raises:
        Refused: as `file.apply`, or what was kept is not what it was.
    """
    content = b""
    if spec["kind"] == "file" and state.get("sha") != spec["sha"]:
        with open(spec["copy"], "rb") as kept:
            content = kept.read()
        if hashlib.sha256(content).hexdigest() != spec["sha"]:
            raise Refused(f"its former content, {spec['copy']}, was written to since it was kept")
    file.apply({**spec, "content": content}, state)
