"""What arrives is not what was sent: a bit changed, another manifest, half a stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from ci.faults.case import Case
from ci.faults.release.aftermath import finished, served
from ci.faults.release.artifacts import LARGE, Made
from ci.faults.release.stand import Stand
from ci.faults.under_test import Said
from ci.story.teller import NotSo
from fleet.aboard import stream
from fleet.release import Completed, Input
from fleet.ssh import Connection

UP = LARGE + 9000  # what a deploy sends, give or take
CHANGED = (
    "expected",
    "which no artifact has",
    "does not name",
    "the stream",
    "damaged",
    "not JSON",
)


@dataclass(frozen=True)
class Tampering:
    """A connection that changes what is sent to an order of aboard.

    Args:
        link: the connection.
        change: what becomes of the stream.
        order: accept, or offer, which is sent the manifest.
    """

    link: Connection
    change: Callable[[bytes], bytes]
    order: str = "accept"

    @property
    def name(self) -> str:
        return self.link.name

    @property
    def traffic_bytes(self) -> int:
        return self.link.traffic_bytes

    def run(self, argv: Sequence[str], stdin: Input = None, **how: Any) -> Completed:
        if argv[-1] == self.order and stdin is not None:
            stdin = self.change(stdin if isinstance(stdin, bytes) else b"".join(stdin))
        return self.link.run(argv, stdin, **how)


def on_the_wire(stand: Stand, chance: Random) -> str:
    """One bit of what goes over the wire is changed, wherever it is."""
    new = stand.make()
    with stand.way() as way:
        way.flip_up(chance.randint(0, UP))
        said = stand.deploy(new, way)
    if said.code not in (3, 4):
        raise NotSo(f"a changed bit was not noticed: {said.text}")
    return _old(stand, new, said)


def in_the_stream(stand: Stand, chance: Random) -> str:
    """One bit of the artifact's stream is changed, before it is encrypted."""
    new = stand.make()

    def change(content: bytes) -> bytes:
        at = chance.randrange(len(content))
        return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]

    said = stand.deploy(new, over=lambda link: Tampering(link, change))
    if said.code == 0:  # of the end frame only the kind is looked at
        served(stand, new)
        stand.good = new
        return "it was no bit of the artifact"
    return _refused(stand, new, said)


def another_manifest(stand: Stand, chance: Random) -> str:
    """The manifest in the stream is that of another artifact, as well made as the right one."""
    new, other = stand.make(), stand.make()

    def change(content: bytes) -> bytes:
        right, wrong = (
            stream.pack(stream.MANIFEST, each.artifact.manifest.dump()) for each in (new, other)
        )
        if right not in content:
            raise NotSo("the stream holds no such manifest")
        return content.replace(right, wrong)

    return _refused(
        stand, new, stand.deploy(new, over=lambda link: Tampering(link, change, "offer"))
    )


def cut(stand: Stand, chance: Random) -> str:
    """The connection is reset after so many bytes to the host."""
    old, new = stand.good, stand.make()
    with stand.way() as way:
        way.at_up(chance.randint(0, UP), way.cut)
        said = stand.deploy(new, way)
    said.expect("off-line", code=3)
    found = served(stand, old, new)
    return f"{'old' if found is old else 'new'} was served, {finished(stand, new)}"


def _refused(stand: Stand, new: Made, said: Said) -> str:
    if said.code != 4 or not any(word in said.text for word in CHANGED):
        raise NotSo(f"expected exit 4 and a reason, found exit {said.code}: {said.text}")
    return _old(stand, new, said)


def _old(stand: Stand, new: Made, said: Said) -> str:
    """The old one is served, nothing of the other is there, and what is sent as it is arrives."""
    served(stand, stand.good)
    if stand.seen().stage(new) != "none":
        raise NotSo(f"of what was changed on its way the state says {stand.seen().stage(new)}")
    return f"{said.outcome.status}, {finished(stand, new)}"


CASES = [
    Case(
        "a bit changed on the wire",
        f"one bit of the first {UP // 1000} kB that go to the host, at a place that chance chooses",
        "exit 3 or 4; the old release is served; the next run finishes",
        on_the_wire,
    ),
    Case(
        "a bit changed in the stream",
        "one bit of the artifact's stream, at a place that chance chooses",
        "exit 4 with the reason, or it was no bit of the artifact; the next run finishes",
        in_the_stream,
    ),
    Case(
        "manifest swapped",
        "the stream begins with another artifact's manifest",
        "exit 4 with the reason; nothing is taken in; the next run finishes",
        another_manifest,
        seeds=False,
    ),
    Case(
        "stream cut",
        f"the connection is reset within the first {UP // 1000} kB that go to the host",
        "exit 3; the next run finishes",
        cut,
    ),
]
