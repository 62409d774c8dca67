"""A hangar and an aircraft on real hosts, with this revision's releases: what rows of the table do there."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rich.console import Console

from ci.faults.sync import edits, seen
from ci.faults.sync.hand import Worker
from ci.lab import Lab
from ci.story import provision
from ci.story.teller import NotSo, Teller, eventually
from ci.story.world import World

AIRCRAFT, HANGAR = "EC-TAA", "hangar"
KINDS = {AIRCRAFT: "onboard", HANGAR: "hangar"}
AGENT = "turnaround-agent.service"
PLACE = "/usr/local/lib/faults"
STATE = "/var/lib/turnaround"
ABOARD = "left.aboard(p / 'sync', p / 'content')"
HALF, SHOWN = "left.half(p / 'content')", "left.shown(p / 'content')"
LOCK = "/run/turnaround/sync.lock"
# After the hangar's boot an aircraft's end of the tower finds it within a minute.
BOOT_S, HEAL_S = 180.0, 120.0


@dataclass
class Fleet:
    """The lab's hangar and its aircraft, provisioned and released.

    `made` is how many rows of each table there were where they are made, after the last edit.
    """

    world: World
    made: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, lab: Lab) -> Fleet:
        """Makes a fleet of a lab's bare hosts, which takes minutes."""
        world = World.of(lab.name)
        if not Teller(Console(stderr=True, highlight=False)).tell(provision.steps(world, 1)):
            raise NotSo(f"the lab did not become a fleet; fab said at last:\n{world.log_tail()}")
        made = cls(world)
        for host in KINDS:
            made._ship(host)
        return made

    def _ship(self, host: str) -> None:
        """Puts there what works for the table: the modules, in packages that are otherwise empty."""
        here = Path(__file__).parent
        self.sudo(host, f"install -d {PLACE}/ci/faults/sync; touch {PLACE}/ci/__init__.py")
        self.sudo(host, f"touch {PLACE}/ci/faults/__init__.py {PLACE}/ci/faults/sync/__init__.py")
        for name in ("worker", "hindrance", "order", "left", "paper"):
            text = (here / f"{name}.py").read_text()
            self.sudo(host, f"cat > {PLACE}/ci/faults/sync/{name}.py", text)

    def sudo(self, host: str, script: str, stdin: str = "") -> str:
        """Runs a script on a host as root."""
        return self.world.ssh(host, f"sudo -n sh -c {shlex.quote(script)}", stdin=stdin)

    def python(self, host: str, arguments: str) -> str:
        """Returns the command that runs the current release's Python as our application does."""
        inner = (
            f"set -a; . /etc/turnaround/app.env; PYTHONPATH={PLACE}"
            f" exec /opt/turnaround/current/{KINDS[host]}/bin/python {arguments}"
        )
        return f"cd / && sudo -n -u turnaround sh -c {shlex.quote(inner)}"

    @contextlib.contextmanager
    def worker(self, host: str) -> Iterator[Worker]:
        """Who works on a host; it dies with the host's power."""
        command = [*self.world.ssh_argv(host), "-o", "BatchMode=yes"]
        command += ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]
        with Worker(command=(*command, self.python(host, "-m ci.faults.sync.worker"))) as worker:
            yield worker

    def edit(self, chance: Random, events: int = 3, paper: int = 200_000) -> None:
        """Something changes at both ends; the agent is stopped, so that nobody is before the row.

        Args:
            chance: chooses keys.
            events: how many are recorded aboard.
            paper: bytes of the newspaper's file.
        """
        self.sudo(
            AIRCRAFT,
            f"systemctl stop {AGENT}; install -d -o turnaround /run/turnaround;"
            # What the hangar started goes on without the agent.
            f" flock -w {HEAL_S:.0f} {LOCK} true",
        )
        user, hlc = edits.key(chance), edits.BEGAN_MS << edits.HLC_BITS
        self.world.sql(
            AIRCRAFT,
            # Keys that are not of now would be old history, which goes when it is acknowledged.
            "insert into usage_event (id, kind, aircraft) select (lpad(to_hex((extract(epoch from now()) "
            "* 1000)::bigint), 12, '0') || substr(md5(random()::text), 1, 20))::uuid, 'play', "
            f"'{AIRCRAFT}' from generate_series(1, {events});"
            "insert into user_event (id, user_id, field, value, hlc, aircraft) values "
            f"(gen_random_uuid(), '{user}', 'name', '\"Ada\"', {hlc}, '{AIRCRAFT}');",
        )
        arguments = f"-m ci.faults.sync.paper {edits.key(chance)} {paper}"
        said = self.world.ssh(HANGAR, self.python(HANGAR, arguments))
        if said:
            raise NotSo(f"publishing at the hangar said {said}")
        counts = {host: self._counts(host) for host in KINDS}
        self.made = {
            table: int(count)
            for host, tables in ((AIRCRAFT, seen.up_tables()), (HANGAR, seen.down_tables()))
            for table, count, _ in counts[host]
            if table in tables
        }

    def reached(self) -> None:
        """Waits until ops reach both hosts again."""
        for host in (HANGAR, AIRCRAFT):
            eventually(
                f"ops reach {host}",
                lambda host=host: self.world.ssh(host, "true", timeout_s=10) == "",  # type: ignore[misc]
                within_s=BOOT_S,
            )

    def mend(self) -> None:
        """Gives back the power and the link, which a row that did not hold may have left cut."""
        for host in self.world.lab.status()["hosts"]:
            if host["state"] != "running":
                self.world.lab.power(host["name"], on=True)
        provision.at_the_gate(self.world)

    def heals(self) -> None:
        """Starts the agent, and waits until it has brought both ends to the same by itself."""
        self.sudo(AIRCRAFT, f"systemctl start {AGENT}")
        eventually("both ends are the same", self._same, within_s=HEAL_S, every_s=1)

    def _same(self) -> bool:
        found = self.wrong()
        if found:
            raise NotSo("; ".join(found))
        return True

    def wrong(self) -> list[str]:
        """Returns in words what is not the same, lost, twice, half, or left over."""
        here, there = (self._counts(host) for host in (AIRCRAFT, HANGAR))
        found = [
            f"{a} aboard, {b} at the hangar" for a, b in zip(here, there, strict=True) if a != b
        ]
        found += [
            f"{self.made[table]} rows of {table} were made, and there are {count}"
            for table, count, _ in there
            if int(count) < self.made.get(table, 0)
        ]
        [[applied]] = self.world.sql(
            HANGAR, f"select coalesce(sum(rows), 0) from sync.applied where peer = '{AIRCRAFT}'"
        )
        rows = sum(int(count) for table, count, _ in there if table in seen.up_tables())
        if int(applied) != rows:
            found.append(f"{applied} rows were applied, and there are {rows}")
        shown, published = self.left(AIRCRAFT, SHOWN), self.world.sql(HANGAR, seen.PUBLISHED)
        if shown != [one for [one] in published]:
            found.append(f"{len(shown)} items are shown, {len(published)} are published")
        return found + self.left(AIRCRAFT)

    def _counts(self, host: str) -> list[list[str]]:
        """Returns of each table that travels its name, rows and MD5, as a host has them."""
        own = f" where aircraft = '{AIRCRAFT}'"
        tables = {**dict.fromkeys(seen.up_tables(), own), **dict.fromkeys(seen.down_tables(), "")}
        query = " union all ".join(
            f"select '{table}', count(*), md5(string_agg(t::text, '' order by id)) from {table} t{where}"
            for table, where in tables.items()
        )
        return self.world.sql(host, query)

    def left(self, host: str, call: str = ABOARD) -> list[str]:
        """Returns what one of the functions of `left` says of a host's disk."""
        code = f"from ci.faults.sync import left; from pathlib import Path; p = Path('{STATE}')"
        script = (
            f"cd {PLACE} && exec python3 -c {shlex.quote(f'{code}; print(*{call}, sep=chr(10))')}"
        )
        return [line for line in self.sudo(host, script).splitlines() if line]
