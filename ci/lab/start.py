"""Brings a lab up and takes it down: the order in which its parts come and go."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ci.lab import (
    base,
    certificates,
    cgroup,
    control,
    firewall,
    host,
    inventory,
    machine,
    network,
    ssh,
    state,
    tree,
    vault,
)
from ci.lab.addresses import PHONES, WIREGUARD_PORT, Plan
from ci.lab.errors import LabFault
from ci.lab.host import Host
from ci.lab.link import LinkSettings
from ci.lab.registry import Registry
from ci.lab.state import State
from ci.lab.tree import Tree
from ci.lab.vault import Vault

TOP = Path(__file__).resolve().parents[2]
HOST_BYTES = 1 << 29
DAEMON_TIMEOUT_S = 10.0


def hosts_of(name: str, directory: Path, kept: State) -> list[Host]:
    """Returns the hosts of a lab."""
    plans = Plan(name, kept.slot).hosts(kept.aircraft)
    return [Host(name, plan, Tree(directory / "hosts" / plan.name)) for plan in plans]


def is_enrolled(directory: Path, name: str) -> bool:
    """Says whether first contact with that host was made."""
    return (directory / "enrolled" / f"{name}.yml").exists()


@dataclass(frozen=True)
class Starter:
    """Starts and ends one lab; whoever calls it holds the lab's lock.

    Args:
        name: the lab's.
        directory: its folder.
        registry: the machine's labs.
        say: takes lines of progress.
    """

    name: str
    directory: Path
    registry: Registry
    say: Callable[[str], None]

    def up(self, aircraft: int) -> list[Host]:
        """Makes everything that is not there yet, from the cables to the booted hosts.

        Args:
            aircraft: how many; a lab that has more keeps them.
        """
        machine.check()
        base.check_disk(self.directory.parent, HOST_BYTES * (aircraft + 1))
        machine.install(self.say)
        below = base.ensure(self.say)
        kept = self._claim(aircraft, below)
        plan = Plan(self.name, kept.slot)
        hosts = hosts_of(self.name, self.directory, kept)
        machine.raise_limits()
        network.IP_FORWARD.write_text("1")
        network.raise_bridges(plan.bridges(kept.aircraft))
        firewall.open_for(plan, kept.aircraft)
        self._start_daemon(hosts)
        ops_public, _ = self._keys()

        def make(each: Host) -> None:
            each.tree.mount(Path(kept.base))
            each.tree.make(each.plan, ops_public)
            self.boot(each, kept)
            if each.plan.is_aircraft:
                for phone in PHONES:
                    network.add_cabin_client(plan.cabin_client(each.plan.number, phone))

        with ThreadPoolExecutor(max_workers=4) as pool:
            # list() so that the first fault is raised here.
            list(pool.map(make, hosts))
        if self.vault(kept).made:
            self.raise_vault(kept)
        else:
            self.write_inventory(kept)
        return hosts

    def vault(self, kept: State) -> Vault:
        """Returns the other place for backups, whether it was made or not."""
        return vault.of(self.name, self.directory, Plan(self.name, kept.slot))

    def raise_vault(self, kept: State) -> Vault:
        """Boots the other place, and tells the inventory of it."""
        other = self.vault(kept)
        vault.make(other, Path(kept.base), self._keys()[0])
        if other.host.running:
            other.host.plug()
        else:
            other.host.boot()
        other.host.wait()
        self.write_inventory(kept)
        vault.hand_over(other, self.directory / "inventory.yml")
        return other

    def replace(self, each: Host, kept: State) -> None:
        """Puts a bare host in the place of one that is destroyed, with all that was on it."""
        if each.running:
            each.cut_power()
        tree.unmount_below(each.tree.directory)
        shutil.rmtree(each.tree.directory)
        each.tree.mount(Path(kept.base))
        each.tree.make(each.plan, self._keys()[0])
        self.boot(each, kept)

    def write_inventory(self, kept: State) -> None:
        """Writes the lab's inventory as it is now."""
        other, plan = self.vault(kept), Plan(self.name, kept.slot)
        backup = other.variables() if other.made else {}
        path = self.directory / "inventory.yml"
        inventory.write(path, plan, kept.aircraft, self._keys()[1], backup)
        certificates.give(path)

    def boot(self, each: Host, kept: State) -> None:
        """Boots a host that is off, and sees that a running one has its cables."""
        ramp = each.name not in kept.unplugged
        each.tree.mount(Path(kept.base))
        tty = self._serve(each, kept) if each.plan.is_aircraft else ""
        if each.running:
            each.plug(ramp=ramp)
        else:
            each.boot(tty=tty, ramp=ramp)
        # Roles may shut the ramp's door; after first contact only the host itself says that it is up.
        bare = not is_enrolled(self.directory, each.name)
        each.wait(knock=not each.plan.is_aircraft or (ramp and bare))

    def _keys(self) -> tuple[str, str]:
        """The public halves of the keys of ops: what opens hosts, and what signs releases."""
        keys = self.directory / "keys"
        ops = ssh.make_key(keys / "ops_ed25519", "ops of the lab")
        return ops, ssh.make_key(keys / "signing_ed25519", "releases of the lab")

    def down(self) -> bool:
        """Takes everything away, whatever state it is in.

        Returns:
            Whether the lab was entered in the registry.
        """
        entry = self.registry.get(self.name)
        self._sweep()
        if entry and entry.directory != str(self.directory):
            tree.unmount_below(Path(entry.directory))
        self._remove_files()
        last = self.registry.release(self.name)
        if last:
            network.IP_FORWARD.write_text(last.ip_forward)
        return entry is not None

    def _claim(self, aircraft: int, below: Path) -> State:
        former = state.read(self.directory)
        known = self.registry.get(self.name)
        fresh = known is None or known.directory != str(self.directory)
        entry = self.registry.claim(
            self.name,
            self.directory,
            ip_forward=network.IP_FORWARD.read_text().strip(),
            taken=machine.subnet_taken,
            preferred=former.slot if former else None,
        )
        if fresh:
            # No lab of this name is entered from here, so what bears its name was left by one that
            # crashed, or whose checkout is gone.
            self._sweep()
        if former and former.slot != entry.slot:
            self.say(f"lab {self.name}: its subnets were given away meanwhile; its hosts are new")
            self._remove_files()
            former = None
        self.directory.mkdir(exist_ok=True)
        kept = former or State(entry.slot, 0, str(below))
        kept = replace(kept, aircraft=max(aircraft, kept.aircraft))
        state.write(self.directory, kept)
        return kept

    def _start_daemon(self, hosts: list[Host]) -> None:
        if control.alive(self.directory):
            return
        group = cgroup.group(self.name, "daemon")
        cgroup.kill(group)
        log = self.directory / "daemon.log"
        argv = [sys.executable, "-m", "ci.lab.daemon", str(self.directory)]
        cgroup.start(group, argv, log, PYTHONPATH=str(TOP))
        deadline = time.monotonic() + DAEMON_TIMEOUT_S
        while not control.alive(self.directory):
            if not cgroup.populated(group) or time.monotonic() > deadline:
                raise LabFault("the lab's daemon did not start", f"its log says why: {log}")
            time.sleep(0.05)
        # The serial ports ended with the daemon that held them; a host gets a new one at power on.
        for each in hosts:
            if each.plan.is_aircraft and each.running:
                self.say(f"lab {self.name}: {each.name} restarts, its avionics cable was lost")
                each.cut_power()

    def _serve(self, each: Host, kept: State) -> str:
        plan = Plan(self.name, kept.slot)
        reply = control.call(
            self.directory,
            {
                "do": "serve",
                "host": each.name,
                "listen": [plan.cell_machine, each.plan.relay_port],
                "to": [plan.hangar.port("cell0").ip, WIREGUARD_PORT],
                "link": kept.links.get(each.name, asdict(LinkSettings())),
            },
        )
        return str(reply["tty"])

    def _sweep(self) -> None:
        cgroup.kill(cgroup.group(self.name))
        cgroup.remove(self.name)
        network.sweep(self.name)
        firewall.close_for(self.name)
        host.sweep(self.name)

    def _remove_files(self) -> None:
        tree.unmount_below(self.directory)
        if self.directory.exists():
            shutil.rmtree(self.directory)
