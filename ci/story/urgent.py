"""A film is on its way over a bad link, the power goes, and today's newspaper is published in the middle."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ci.story.teller import eventually
from ci.story.world import World

CONTENT = "var/lib/turnaround/content"
# What a cellular modem gives at a far gate.
LINK = {"kbit": 10_000, "rtt_ms": 300, "loss": 1}
FILM_S = 900.0
PAPER_S = 300.0

# Runs in the hangar's release as an editor's import ends: stored, written, sealed, published.
_PUBLISH = """
import hashlib, json, sys, tempfile, time
from pathlib import Path
from random import Random
from common.clock import utc_now
from common.database import engine_for, session
from common.schema import Asset, Item
from common.settings import Settings
from common.uuid7 import uuid7
from sync import publish, seal
asked = json.load(sys.stdin)
settings = Settings.load()
engine = engine_for(settings)
with tempfile.NamedTemporaryFile() as made:
    chance, left = Random(asked["seed"]), asked["size"]
    while left:
        piece = chance.randbytes(min(left, 1 << 20))
        left -= made.write(piece)
    made.flush()
    sha256, size = publish.store(settings, Path(made.name))
item = Item(id=uuid7(), kind=asked["kind"], title={"en": asked["title"]}, languages=["en"],
            priority=asked["priority"], published=True, updated_at=utc_now())
with session(engine) as rows:
    rows.add(item)
    rows.flush()
    rows.add(Asset(item_id=item.id, role="document", path="file.pdf", sha256=sha256, size=size, mime=""))
    told = {"item": str(item.id), "sha256": sha256}
seal.seal_all(engine, settings)
assert publish.publish(engine, settings) == []
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Published:
    """An item of one file: its id, the file's SHA-256 and size in bytes, and when, in seconds, monotonic."""

    item: str
    sha256: str
    size: int
    at: float


@dataclass
class Seen:
    """What was seen of one film and one newspaper.

    `plain_s` is how long rsync alone takes for the newspaper over the same link, once it is connected;
    `received` the bytes of the link, headers and all; `order` the items as they became visible.
    """

    film: Published
    paper: Published
    paper_s: float = 0.0
    film_s: float = 0.0
    plain_s: float = 0.0
    received: int = 0
    cuts: int = 0
    order: list[str] = field(default_factory=list)

    @property
    def wire(self) -> float:
        """The bytes of the link for each byte of film and newspaper."""
        return self.received / (self.film.size + self.paper.size)


def publish(world: World, kind: str, size: int, priority: int, seed: int) -> Published:
    """Publishes an item of random bytes at the hangar."""
    asked = {
        "kind": kind,
        "size": size,
        "priority": priority,
        "seed": seed,
        "title": f"{kind} {seed}",
    }
    script = (
        "set -a; . /etc/turnaround/app.env; set +a; cd /"
        f"; exec /opt/turnaround/current/hangar/bin/python -c {shlex.quote(_PUBLISH)}"
    )
    command = f"sudo -n -u turnaround sh -c {shlex.quote(script)}"
    told: dict[str, Any] = json.loads(world.ssh("hangar", command, stdin=json.dumps(asked)))
    return Published(told["item"], told["sha256"], size, time.monotonic())


def told(world: World, name: str, film_bytes: int, paper_bytes: int, cuts: int, seed: int) -> Seen:
    """Lets it happen to an aircraft, and returns what was seen.

    The power goes at even parts of the film; the newspaper is published after half of the cuts. Of the film
    twenty seconds must be left then: a heartbeat goes by until it is heard, and what ends in a few seconds
    is not stopped.

    Raises:
        NotSo: the newspaper or the film does not come.
    """
    content = world.lab.host(name).tree.root / CONTENT
    world.lab.link(name, up=True, jitter_ms=0, **LINK)
    before = world.link_bytes()[name][1]
    film = publish(world, "film", film_bytes, 100, seed)
    marks = [film_bytes * (number + 1) // (cuts + 2) for number in range(cuts + 1)]
    seen = Seen(film, film)
    for number, mark in enumerate(marks):
        _until(f"{mark} bytes of the film are here", partial(_has, content, film, mark), FILM_S)
        if number == cuts // 2:
            seen.paper = publish(world, "newspaper", paper_bytes, 10, seed + 1)
            _until("the newspaper is aboard", lambda: seen.paper.item in shown(content), PAPER_S)
            seen.paper_s = time.monotonic() - seen.paper.at
            seen.order = [one for one in (film.item, seen.paper.item) if one in shown(content)]
        if number < cuts:
            world.lab.power(name, on=False)
            world.lab.power(name, on=True)
            seen.cuts += 1
    _until("the film is aboard", lambda: film.item in shown(content), FILM_S)
    seen.film_s = time.monotonic() - film.at
    if film.item not in seen.order:
        seen.order.append(film.item)
    seen.received = world.link_bytes()[name][1] - before
    seen.plain_s = plain(world, name, seen.paper)
    return seen


def plain(world: World, name: str, published: Published) -> float:
    """How long rsync alone takes for the same file over the same link, in seconds, once it is connected."""
    sha256 = published.sha256
    script = f"""
set -a; . /etc/turnaround/app.env; set +a
way=$(mktemp -d)
shell="ssh -F /dev/null -i /etc/turnaround/keys/sync_ed25519 -o IdentitiesOnly=yes -o BatchMode=yes"
shell="$shell -o UserKnownHostsFile=/etc/turnaround/keys/known_hosts -o ControlPath=$way/ssh"
$shell -M -f -N $TURNAROUND_HANGAR_SSH
began=$(date +%s.%N)
rsync -t -W -e "$shell" $TURNAROUND_HANGAR_SSH:content/blobs/{sha256[:2]}/{sha256} $way/
ended=$(date +%s.%N)
$shell -O exit $TURNAROUND_HANGAR_SSH 2>/dev/null
rm -rf $way
echo $began $ended
"""
    said = world.ssh(name, f"sudo -n -u turnaround sh -ec {shlex.quote(script)}", timeout_s=PAPER_S)
    began, ended = said.split()
    return float(ended) - float(began)


def shown(content: Path) -> list[str]:
    """The items that passengers are shown, as they lie on the host's disk."""
    try:
        return list(json.loads((content / "current" / "items.json").read_text()))
    except (OSError, ValueError):
        return []


def _has(content: Path, published: Published, size: int) -> bool:
    if published.item in shown(content):
        return True
    try:
        return (content / "staging" / published.sha256).stat().st_size >= size
    except OSError:
        return False


def _until(what: str, look: Callable[[], object], within_s: float) -> None:
    eventually(what, look, within_s=within_s, every_s=0.1)
