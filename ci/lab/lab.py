"""A lab as a whole: up, down, and everything one can do to its hosts in between."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ci.lab import control, machine, network, ssh, state
from ci.lab.addresses import MAX_AIRCRAFT, Plan, check_name
from ci.lab.errors import LabFault, LabMisuse
from ci.lab.host import Host
from ci.lab.link import LinkSettings
from ci.lab.registry import Registry
from ci.lab.start import TOP, Starter, hosts_of, is_enrolled
from ci.lab.state import State
from ci.lab.vault import Vault
from fleet.errors import did_you_mean
from fleet.packages import tell

FLIGHTS = Path(__file__).parent / "flights"


class Lab:
    """One lab of real hosts on this machine.

    Args:
        name: at most 8 characters.
        top: the checkout; the lab's folder is `.lab/NAME` in it.
        registry: the machine's labs.
        say: takes lines of progress.

    >>> lab = Lab.load("lab")  # doctest: +SKIP
    >>> lab.up(2); lab.link("EC-TAA", rtt_ms=300); lab.down()  # doctest: +SKIP
    """

    def __init__(
        self,
        name: str,
        *,
        top: Path = TOP,
        registry: Registry | None = None,
        say: Callable[[str], None] = tell,
    ) -> None:
        self.name = check_name(name)
        self.directory = top / ".lab" / name
        self.registry = registry or Registry()
        self.say = say
        self._starter = Starter(name, self.directory, self.registry, say)

    @classmethod
    def load(cls, name: str | None = None) -> Lab:
        """Returns the lab with this name, or the one that LAB_NAME names, or `lab`."""
        return cls(name or os.environ.get("LAB_NAME") or "lab")

    # What it is.

    @property
    def is_up(self) -> bool:
        """Whether it was started here and not taken down (its hosts may have lost power)."""
        entry = self.registry.get(self.name)
        started_here = entry is not None and entry.directory == str(self.directory)
        return started_here and state.read(self.directory) is not None

    @property
    def plan(self) -> Plan:
        return Plan(self.name, self._state().slot)

    @property
    def hosts(self) -> list[Host]:
        """The hangar and its aircraft."""
        return hosts_of(self.name, self.directory, self._state())

    def host(self, name: str) -> Host:
        """Returns the host with this name.

        Raises:
            LabMisuse: there is none.
        """
        known = {each.name: each for each in self.hosts}
        if name not in known:
            hint = did_you_mean(name, known)
            raise LabMisuse(
                f"the lab {self.name} has no host {name}{hint}", f"it has {', '.join(known)}"
            )
        return known[name]

    @property
    def ops_key(self) -> Path:
        return self.directory / "keys" / "ops_ed25519"

    @property
    def inventory(self) -> Path:
        return self.directory / "inventory.yml"

    def first_contact(self, name: str) -> str:
        """Returns where a bare host is reached first, as `init-machine --host` takes it.

        >>> Lab.load("lab").first_contact("EC-TAA")  # doctest: +SKIP
        'root@10.100.1.11:22'
        """
        return f"{ssh.BARE_USER}@{self.host(name).plan.first_contact}:22"

    def fingerprint(self, name: str) -> str:
        """Returns the fingerprint of a host's Ed25519 key, `SHA256:…`."""
        return self.host(name).tree.fingerprint

    def _state(self) -> State:
        kept = state.read(self.directory) if self.is_up else None
        if kept is None:
            raise LabFault(
                f"the lab {self.name} is not up here", f"LAB_NAME={self.name} ./inv lab.up"
            )
        return kept

    def _aircraft(self, name: str) -> Host:
        each = self.host(name)
        if not each.plan.is_aircraft:
            raise LabMisuse(f"{name} is no aircraft: it has no ramp, no cellular link, no avionics")
        return each

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Lets one command at a time change this lab."""
        folder = self.directory.parent
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{self.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say(f"lab {self.name}: another command is changing it; waiting for that")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # What one does to it.

    def up(self, aircraft: int = 2) -> None:
        """Boots the hangar and the aircraft; what runs already stays as it is.

        Args:
            aircraft: how many; a lab that has more keeps them.

        Raises:
            LabMisuse: a number that cannot be.
            LabFault: the machine cannot give what is needed; the sentence says what to do.
        """
        if not 1 <= aircraft <= MAX_AIRCRAFT:
            raise LabMisuse(f"--aircraft is {aircraft}; expected 1 to {MAX_AIRCRAFT}")
        machine.check_root()
        started = time.monotonic()
        with self._changing():
            hosts = self._starter.up(aircraft)
        names = ", ".join(each.name for each in hosts)
        self.say(f"lab {self.name}: {names} are up ({time.monotonic() - started:.1f} s)")

    def down(self) -> None:
        """Takes everything away: hosts with their files, links, keys; nothing stays on the machine.

        Raises:
            LabFault: no root, or the lab belongs to another checkout.
        """
        machine.check_root()
        entry = self.registry.get(self.name)
        if entry:
            self.registry.check_owner(entry, self.directory)
        with self._changing():
            was_up = self._starter.down()
        self.say(f"lab {self.name}: {'is down' if was_up else 'was not up; nothing of it is left'}")

    def power(self, name: str, on: bool) -> None:
        """Cuts a host's power (SIGKILL to all of it, its files stay), or boots it from the same files."""
        each = self.host(name)
        machine.check_root()
        with self._changing():
            if on:
                self._starter.boot(each, self._state())
            elif each.running:
                each.cut_power()

    def vault(self) -> Vault:
        """Boots the other place, where the hangar's backups go; the inventory says so from then on."""
        machine.check_root()
        with self._changing():
            return self._starter.raise_vault(self._state())

    def replace(self, name: str) -> None:
        """Destroys a host with all its files, and boots a bare one with another host key in its place."""
        each = self.host(name)
        machine.check_root()
        with self._changing():
            self._starter.replace(each, self._state())

    def ramp(self, name: str, up: bool) -> None:
        """Plugs the ramp's cable into an aircraft, or pulls it; it stays so when the power goes."""
        each = self._aircraft(name)
        machine.check_root()
        with self._changing():
            state.write(self.directory, self._state().with_ramp(name, up))
            network.set_cable(each.plan.port("ramp0"), up)
            if up and each.running:
                each.answers()

    def link(
        self,
        name: str,
        *,
        up: bool | None = None,
        rtt_ms: float | None = None,
        jitter_ms: float | None = None,
        loss: float | None = None,
        kbit: float | None = None,
    ) -> dict[str, Any]:
        """Changes an aircraft's cellular link; what is None stays.

        Args:
            name: the aircraft.
            up: False cuts it.
            rtt_ms: added round-trip time in ms.
            jitter_ms: up to so many ms more, each way.
            loss: per cent of packets lost, each way.
            kbit: rate each way in kbit/s; 0 sets no limit.

        Returns:
            The settings, and what the aircraft `sent` and `received`: packets, bytes, lost.
        """
        self._aircraft(name)
        asked = {"up": up, "rtt_ms": rtt_ms, "jitter_ms": jitter_ms, "loss": loss, "kbit": kbit}
        changes = {key: value for key, value in asked.items() if value is not None}
        LinkSettings().changed(**changes)
        with self._changing():
            now = control.call(self.directory, {"do": "link", "host": name, "change": changes})
            if changes:
                settings = {key: now[key] for key in asked}
                state.write(self.directory, self._state().with_link(name, settings))
        return now

    def fly(
        self, name: str, flight: str | Path, window: str | None = None, speed: float = 1.0
    ) -> dict[str, Any]:
        """Plays a recorded flight into an aircraft's avionics; after its last second it stays there.

        Args:
            name: the aircraft.
            flight: a recording's file, or the name of one in ci/lab/flights.
            window: "FROM:TO" in seconds from its start.
            speed: seconds of flight per second.
        """
        self._aircraft(name)
        if not speed > 0:
            raise LabMisuse(f"--speed is {speed:g}; expected more than 0")
        path = Path(flight).resolve()
        if not path.exists() and (FLIGHTS / f"{flight}.csv").exists():
            path = FLIGHTS / f"{flight}.csv"
        if not path.is_file():
            known = ", ".join(sorted(each.stem for each in FLIGHTS.glob("*.csv")))
            raise LabMisuse(
                f"--flight {flight}: there is no such file", f"ci/lab/flights has {known}"
            )
        request = {"do": "fly", "host": name, "flight": str(path), "window": window, "speed": speed}
        return control.call(self.directory, request)

    # Looking and getting in.

    def status(self) -> dict[str, Any]:
        """Returns the lab as data: its hosts, each with state, addresses, link and what it flies."""
        if not self.is_up:
            return {"lab": self.name, "hosts": []}
        kept = self._state()
        daemon = control.alive(self.directory)
        seen = control.call(self.directory, {"do": "status"})["aircraft"] if daemon else {}
        return {
            "lab": self.name,
            "directory": str(self.directory),
            "daemon": "running" if daemon else "died",
            "hosts": [_describe(each, kept, seen.get(each.name, {})) for each in self.hosts],
        }

    def ssh_config(self) -> Path:
        """Writes an ssh_config for the lab as it is now, and returns its path: `ssh -F PATH hangar`."""
        kept = self._state()
        doors = [
            ssh.Door(
                each.plan,
                each.tree.host_key,
                enrolled=is_enrolled(self.directory, each.name),
                ramp=each.name not in kept.unplugged,
            )
            for each in self.hosts
        ]
        return ssh.write(self.directory / "ssh", doors, self.ops_key)

    def run_in_cabin(
        self, name: str, argv: Sequence[str], *, phone: int = 1, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program as a passenger's phone in that aircraft's cabin.

        Args:
            name: the aircraft.
            argv: the program and its arguments.
            phone: 1 or 2; the cabin's access point keeps them apart.
            options: for `subprocess.run`; unless they say so, text is captured and no failure raised.
        """
        client = self.plan.cabin_client(self._aircraft(name).plan.number, phone)
        options = {"capture_output": True, "text": True, "check": False, "timeout": 60, **options}
        return subprocess.run(["ip", "netns", "exec", client.namespace, *argv], **options)


def _describe(each: Host, kept: State, seen: dict[str, Any]) -> dict[str, Any]:
    addresses = {port.inside.rstrip("0"): port.ip for port in each.plan.ports}
    described: dict[str, Any] = {
        "name": each.name,
        "state": "running" if each.running else "off",
        "addresses": {**addresses, "tower": each.plan.tower},
        "fingerprint": each.tree.fingerprint,
    }
    if each.plan.is_aircraft:
        described["ramp"] = "unplugged" if each.name in kept.unplugged else "plugged"
        described["link"] = seen.get("link")
        described["flying"] = seen.get("flying")
    return described
