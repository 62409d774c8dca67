"""`fab rotate-keys`: a new key in the place of an old one, so that no cut loses a host.

1. The owner of the key makes the next one beside it; `enrolled/OWNER.yml` says what comes.
2. Whoever must know it learns it, and still knows the old one. The tower has one key to an address, so
   there the side that calls has both and finds out which holds (`fleet.aboard.tower`).
3. When all know it, the owner takes it, and `enrolled/OWNER.yml` says so.
4. Whoever knows the old one forgets it; then nothing of the change is left.

Cut anywhere, the inventory and the hosts say together how far it is, and the same command goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleet import rotate_script
from fleet.channel import Completed
from fleet.connections import Connections
from fleet.context import catalog
from fleet.converge import on_host
from fleet.enrol import facts_of, write_facts
from fleet.errors import Exit, Offline, UsageError, did_you_mean
from fleet.inventory import Host, Inventory, load
from fleet.report import Outcome, Reporter
from fleet.slots import on_each
from fleet.status import hangar_of
from fleet.sync import GROUP as AIRCRAFT

SCRIPT_S = 120.0
BACK_S = 150.0  # an aircraft tries two pairs of keys of the tower in less than a minute
LOOK_S = 3.0


@dataclass(frozen=True)
class Key:
    """A kind of key: its file, its fact, whose it is, and the tags of what must know it."""

    file: str
    fact: str
    group: str
    tags: tuple[str, ...]


KEYS = {
    "tower": (
        Key("tower.key", "tower_key", AIRCRAFT, ("tower",)),
        Key("tower.key", "tower_key", "hangar", ("tower",)),
    ),
    "sync": (
        Key("sync_ed25519", "ssh_key", AIRCRAFT, ("user", "signers")),
        Key("sync_ed25519", "ssh_key", "hangar", ("signers",)),
    ),
    "dispatch": (Key("dispatch_ed25519", "dispatch_key", "hangar", ("user",)),),
}


def chosen(only: str) -> list[Key]:
    """Returns the kinds that `--only` names, in the order they are changed; all when it is empty.

    Raises:
        UsageError: a name that is none.

    >>> [key.fact for key in chosen("sync, dispatch")]
    ['ssh_key', 'dispatch_key']
    """
    names = [name.strip() for name in only.split(",")] if only else list(KEYS)
    for name in names:
        if name not in KEYS:
            raise UsageError(
                f"--only: there is no kind of key {name!r}{did_you_mean(name, KEYS)}",
                f"they are {', '.join(KEYS)}; a host's own SSH key is changed by setting it up anew",
            )
    return [key for name in dict.fromkeys(names) for key in KEYS[name]]


@dataclass
class Rotation:
    """The keys of some hosts, changed.

    Args:
        inventory: the fleet.
        hosts: whose keys.
        connections: the ways there.
        reporter: shows how it goes.
        slots: how many hosts at once.
        clock: seconds that only go forward.
        pause: waits so many seconds.
    """

    inventory: Inventory
    hosts: Sequence[Host]
    connections: Connections
    reporter: Reporter
    slots: int
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    _ended: dict[str, Outcome] = field(default_factory=dict)

    def run(self, keys: Sequence[Key]) -> list[Outcome]:
        """Changes the keys, a kind after the other, and returns how it ended for each host.

        Raises:
            UsageError: no host has such a key, or is not enrolled; nothing was touched.
        """
        work = [(key, [h.name for h in self.hosts if key.group in h.groups]) for key in keys]
        work = [(key, names) for key, names in work if names]
        if not work:
            raise UsageError(
                f"none of {', '.join(host.name for host in self.hosts)} has such a key",
                "dispatch is the hangar's key, and sync its or an aircraft's",
            )
        for host in self.hosts:
            self._enrolled(host)
        changed = dict[str, list[str]]()
        for key, names in work:
            for name in self._change(key, [name for name in names if name not in self._ended]):
                changed.setdefault(name, []).append(key.fact.replace("_", " "))
        done = {
            name: Outcome(
                name, Exit.DONE, "changed", f"new: {', '.join(facts)}", data={"keys": facts}
            )
            for name, facts in changed.items()
        }
        outcomes = [{**done, **self._ended}[name] for name in dict.fromkeys([*done, *self._ended])]
        for outcome in outcomes:
            self.reporter.progress(outcome.host, "")
            self.reporter.done(outcome)
        self.reporter.close()
        return outcomes

    def _enrolled(self, host: Host) -> None:
        if not host.enrolled:
            raise UsageError(
                f"{host.name}: never enrolled, so it has no keys of the fleet",
                f"fab init-machine --host root@ADDRESS:22 --as {host.name}",
            )

    def _change(self, key: Key, names: Sequence[str]) -> list[str]:
        """Changes one kind of key; returns whose is changed, the others are in `_ended`."""
        coming = f"{key.fact}_next"
        taken = {name for name in names if self._is(name, key.fact, coming)}
        left = [name for name in names if name not in taken]
        left = self._each(left, lambda host: {coming: self._make(key, host)})
        left = self._told(key, left)
        left = self._each(left, lambda host: {key.fact: self._take(key, host)})
        left = self._told(key, [name for name in names if name in {*left, *taken}], taken=True)
        self._note({name: {coming: ""} for name in left})
        return left

    def _is(self, name: str, one: str, other: str) -> bool:
        facts = self.inventory.hosts[name].facts
        return other in facts and facts[one] == facts[other]

    def _each(self, names: Sequence[str], work: Callable[[Host], dict[str, str]]) -> list[str]:
        """Does something on hosts, notes the facts it gives, and returns the hosts where it was done."""
        found: dict[str, dict[str, str]] = {}

        def one(host: Host, say: Callable[[str], None]) -> Outcome:
            found[host.name] = work(host)
            return Outcome(host.name)

        hosts = [self.inventory.hosts[name] for name in names]
        steps = Steps(self.reporter)
        for outcome in on_each(hosts, one, steps, self.slots, after=self.connections.hang_up):
            if outcome.code != Exit.DONE:
                self._end(outcome)
        self._note(found)
        return [name for name in names if name in found]

    def _end(self, outcome: Outcome) -> None:
        again = "nothing is lost: both keys are kept, and the same command goes on from here"
        remedy = again if outcome.code == Exit.OFFLINE else outcome.remedy or again
        self._ended[outcome.host] = replace(outcome, remedy=remedy)

    def _make(self, key: Key, host: Host) -> str:
        script = rotate_script.make(
            host.name,
            key.file,
            key.fact,
            host.facts.get(f"{key.fact}_next", ""),
            is_hangar=key.group != AIRCRAFT,
        )
        return facts_of(host.name, self._run(host, script, "making the next key"))[key.fact]

    def _take(self, key: Key, host: Host) -> str:
        """Lets the owner take the next key; an aircraft may need a while to come back with it."""
        script = rotate_script.take(host.name, key.file, key.fact, is_hangar=key.group != AIRCRAFT)
        until = self.clock() + BACK_S
        while True:
            try:
                done = self._run(host, script, "taking the next key", rotate_script.NOT_YET)
                if done.exit == 0:
                    return facts_of(host.name, done)[key.fact]
                late = Offline(f"{host.name}: it is still in the tower by its old key")
            except Offline as error:
                late = error
            self.connections.hang_up(host)
            if self.clock() > until:
                raise late
            self.pause(LOOK_S)

    def _run(self, host: Host, script: bytes, what: str, *also: int) -> Completed:
        argv = ["sudo", "-n", "sh", "-s"]
        done = self.connections.to(host).run(argv, script, timeout_s=SCRIPT_S)
        return done if done.exit in also else done.check(host.name, what)

    def _told(self, key: Key, names: Sequence[str], *, taken: bool = False) -> list[str]:
        """Converges whoever must know these hosts' keys; returns the hosts whose keys all know."""
        if not names:
            return []
        # When the hangar's own place in the tower has moved, aircraft come back in their own time.
        moved = taken and key.fact == "tower_key" and key.group != AIRCRAFT
        until = self.clock() + (BACK_S if moved else 0)
        outcomes = on_each(
            self._peers(key),
            lambda host, say: self._tell(host, key.tags, until),
            Steps(self.reporter),
            self.slots,
            after=self.connections.hang_up,
        )
        lacking = [outcome for outcome in outcomes if outcome.code != Exit.DONE]
        if not lacking:
            return list(names)
        first = next((each for each in lacking if each.code != Exit.OFFLINE), lacking[0])
        verb = "forgot the old key" if taken else "know the new key"
        who = ", ".join(each.host for each in lacking)
        detail = f"{len(outcomes) - len(lacking)} of {len(outcomes)} {verb}, not yet {who}: {first.detail}"
        for name in names:
            self._end(replace(first, host=name, detail=detail))
        return []

    def _peers(self, key: Key) -> Sequence[Host]:
        if key.group == AIRCRAFT:
            return [hangar_of(self.inventory)]
        return [host for host in self.inventory.in_group(AIRCRAFT) if host.enrolled]

    def _tell(self, host: Host, tags: Sequence[str], until: float) -> Outcome:
        declared = catalog(self.inventory, host).chosen(tags)
        while True:
            try:
                return on_host(self.connections.to(host), declared, lambda text: None)
            except Offline:
                self.connections.hang_up(host)
                if self.clock() > until:
                    raise
            self.pause(LOOK_S)

    def _note(self, found: Mapping[str, Mapping[str, str]]) -> None:
        """Writes facts of hosts, and reads the inventory anew; an empty one is removed."""
        for name, facts in found.items():
            known = {**self.inventory.hosts[name].facts, **facts}
            path = self.inventory.enrolled / f"{name}.yml"
            write_facts(path, {fact: value for fact, value in known.items() if value})
        self.inventory = load(self.inventory.path)


class Steps:
    """A reporter of one step of several: how it ended is said at the end of all."""

    def __init__(self, reporter: Reporter) -> None:
        self.progress = reporter.progress

    def done(self, outcome: Outcome) -> None:
        self.progress(outcome.host, outcome.detail)

    def close(self) -> None:
        return
