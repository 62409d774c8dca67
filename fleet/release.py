"""Releases on a host, from here: ship an artifact, look at what is there, go back.

The host's end is `fleet.aboard`; what it must decide it decides there, so that a link that breaks in
the middle leaves nothing to be decided here. A deploy is two trips: which files are missing, and one
stream with those.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from fleet.aboard import stream
from fleet.artifact import Artifact, BadArtifact
from fleet.errors import RemoteFailed

Input = bytes | Iterable[bytes] | None
ABOARD = ("sudo", "-n", "/opt/turnaround/bin/aboard")
ASK_S = 120.0
ROLLBACK_S = 600.0
SHIP_S = 4 * 3600.0
"""A whole artifact over a slow modem; a link that fell silent is given up much earlier."""
_PIECE = 1 << 16
_PACKED_UP_TO = 1 << 20
_DENSE = (".whl", ".png", ".jpg", ".webp", ".avif", ".woff2", ".gz")


class Completed(Protocol):
    """How a command on a host ended."""

    @property
    def exit(self) -> int: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> bytes: ...


class Link(Protocol):
    """The way to one host; `fleet.ssh.Connection` is one."""

    @property
    def name(self) -> str: ...
    @property
    def traffic_bytes(self) -> int:
        """Bytes both ways so far."""

    def run(
        self,
        argv: Sequence[str],
        stdin: Input = None,
        *,
        timeout_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed: ...


@dataclass(frozen=True)
class Outcome:
    """How an order ended on a host.

    Args:
        result: confirmed · already · returned (it was current and is not any more) · refused (it never
            was) · busy (another order is at work there) · failed.
        former: the release before.
        reason: wherever it is not plain success.
        files: how many travelled.
        bytes: on the link, both ways, connecting included when that happened here.
        steps: name and seconds of each step on the host.
    """

    host: str
    kind: str
    version: str | None
    result: str
    former: str | None = None
    reason: str | None = None
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    steps: tuple[tuple[str, float], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether what was asked for holds now."""
        return self.result in ("confirmed", "already")


@dataclass(frozen=True)
class Release:
    """A release on a host: how far it came, and why not further.

    Args:
        stage: staged · trial · confirmed · rolled_back.
        at: when that was, UTC.
        bytes: of its directory; 0 when only the memory of it is left.
    """

    kind: str
    version: str
    revision: str
    stage: str
    at: str
    reason: str | None
    bytes: int
    current: bool


def deploy(
    link: Link, artifact: Artifact, on_step: Callable[[str], None] = lambda step: None
) -> Outcome:
    """Ship an artifact to a host and have it made current; what the host has is not sent again.

    Args:
        link: the way to the host.
        artifact: verified, since every file of it is about to be trusted, and with its envelope.
        on_step: told what is being done.

    Returns:
        The outcome; a release that was returned from, or refused, is one too.

    Raises:
        BadArtifact: it has no envelope; nothing was asked.
        fleet.errors.Offline: the host cannot be reached, or the link broke; running it again goes on.
        RemoteFailed: the host has no aboard, or it said nothing that can be understood.

    Example:
        >>> deploy(connection, artifact).result  # doctest: +SKIP
        'confirmed'
    """
    order = _Order(link, artifact.manifest.kind, artifact.manifest.version)
    if artifact.envelope is None:
        raise BadArtifact(
            f"artifact {order.kind} {order.version}: expected an envelope, found none"
        )
    on_step(f"asking what is missing ({order.kind})")
    envelope, manifest = stream.pack(stream.ENVELOPE, artifact.envelope), artifact.manifest.dump()
    offered = stream.MAGIC + stream.pack(stream.MANIFEST, manifest) + envelope
    answer = order.ask(["offer"], offered, ASK_S)
    if "missing" not in answer:
        return order.outcome(answer)
    if (answer["current"], answer["stage"]) == (order.version, "confirmed"):
        return order.outcome({"result": "already", "former": order.version})
    missing = [str(sha256) for sha256 in answer["missing"]]
    on_step(f"sending {counted(len(missing), 'file')} ({order.kind})")
    # The manifest is there by now; its hash stands for it.
    head = stream.head(stream.OFFERED, hashlib.sha256(manifest).hexdigest(), 0) + envelope
    ended = order.ask(["accept"], _stream(artifact, head, missing), SHIP_S, on_step)
    return order.outcome(ended, len(missing))


def rollback(link: Link, kind: str, on_step: Callable[[str], None] = lambda step: None) -> Outcome:
    """Go back to the good release before the current one; it is on the host, so nothing is sent.

    Raises:
        As `deploy`.
    """
    order = _Order(link, kind, None)
    return order.outcome(order.ask(["rollback", kind], None, ROLLBACK_S, on_step))


def releases(link: Link) -> tuple[Release, ...]:
    """The releases on a host, by kind, the one that was switched to last first.

    Raises:
        As `deploy`.
    """
    answer = _Order(link, "", None).ask(["list"], None, ASK_S)
    if "kinds" not in answer:
        raise RemoteFailed(f"{link.name}: aboard list: {answer.get('reason')}")
    return tuple(
        Release(
            kind,
            one["version"],
            one["revision"],
            one["stage"],
            one["at"],
            one["reason"],
            one["bytes"],
            one["version"] == listed["current"],
        )
        for kind, listed in answer["kinds"].items()
        for one in listed["releases"]
    )


class _Order:
    """One order to a host's aboard: what it says while it works, and what it costs."""

    def __init__(self, link: Link, kind: str, version: str | None) -> None:
        self.link = link
        self.kind = kind
        self.version = version
        self.started = time.monotonic()
        self.before = link.traffic_bytes
        self.steps: list[tuple[str, float]] = []

    def ask(
        self,
        words: Sequence[str],
        stdin: Input,
        timeout_s: float,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> dict[str, Any]:
        """Gives the order and returns the last object that aboard printed."""
        said: list[dict[str, Any]] = []

        def hear(line: str) -> None:
            document = _object(line)
            if document:
                said.append(document)
                if "step" in document:
                    on_step(f"{document['step']} ({self.kind})")

        done = self.link.run([*ABOARD, *words], stdin, timeout_s=timeout_s, on_line=hear)
        if not said or "step" in said[-1]:
            raise self._not_understood(words[0], done)
        self.steps += [
            (here["step"], round(after["at_s"] - here["at_s"], 3)) for here, after in pairwise(said)
        ]
        return said[-1]

    def outcome(self, ended: dict[str, Any], files: int = 0) -> Outcome:
        """The outcome that aboard's last object stands for."""
        return Outcome(
            host=self.link.name,
            kind=self.kind,
            version=ended.get("version", self.version),
            result=ended["result"],
            former=ended.get("former"),
            reason=ended.get("reason"),
            files=files,
            bytes=self.link.traffic_bytes - self.before,
            seconds=round(time.monotonic() - self.started, 3),
            steps=tuple(self.steps),
        )

    def _not_understood(self, order: str, done: Completed) -> RemoteFailed:
        printed = done.stderr.decode(errors="replace").strip().splitlines()
        return RemoteFailed(
            f"{self.link.name}: aboard {order} ended with exit code {done.exit}: "
            f"{' '.join(printed[-3:]) or 'no output'}",
            f"if aboard is not there yet: fab converge --target {self.link.name}",
        )


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun.

    >>> counted(1, "file"), counted(0, "file")
    ('1 file', '0 files')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _object(line: str) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _stream(artifact: Artifact, head: bytes, missing: Sequence[str]) -> Iterator[bytes]:
    """The one stream: the head, the missing files, the end."""
    yield stream.MAGIC + head
    paths = {file.sha256: file.path for file in artifact.manifest.files}
    for sha256 in missing:
        path, size = artifact.path(sha256), artifact.manifest.sizes[sha256]
        if size <= _PACKED_UP_TO and not paths[sha256].endswith(_DENSE):
            yield stream.pack(stream.FILE, path.read_bytes())
            continue
        yield stream.head(stream.FILE, sha256, size)
        with path.open("rb") as content:
            while piece := content.read(_PIECE):
                yield piece
    yield stream.pack(stream.END)
