"""One host: its power, its boot, and whether it is there."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from ci.lab import cgroup, network
from ci.lab.addresses import HostPlan
from ci.lab.errors import LabFault
from ci.lab.tree import Tree

SERIAL_PORT = "/dev/ttyAVIONICS"
BOOT_TIMEOUT_S = 60.0
POLL_S = 0.05
RAMP_TIMEOUT_S = 5.0  # a port configures itself within a second of getting its carrier
PROPAGATED = Path("/run/systemd/nspawn/propagate")


@dataclass(frozen=True)
class Host:
    """A host of a lab: its plan, its files and its processes.

    Args:
        lab: the lab's name.
        plan: names and addresses.
        tree: its files.
    """

    lab: str
    plan: HostPlan
    tree: Tree

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def group(self) -> Path:
        return cgroup.group(self.lab, self.name)

    @property
    def running(self) -> bool:
        return cgroup.populated(self.group)

    def boot(self, *, tty: str = "", ramp: bool = True) -> None:
        """Switches the power on and plugs the cables in; `wait` says when it is up.

        Args:
            tty: the near machine's end of the serial port, for an aircraft.
            ramp: whether the ramp's cable is plugged in.

        Raises:
            LabFault: the host did not start, with what it said last.
        """
        cgroup.remove(self.lab, self.name)
        cables = [f"--network-veth-extra={p.outside}:{p.inside}" for p in self.plan.ports]
        serial = [f"--bind={tty}:{SERIAL_PORT}"] if tty else []
        argv = [
            "systemd-nspawn",
            f"--directory={self.tree.root}",
            f"--machine={self.lab}-{self.name}",
            f"--hostname={self.name}",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--settings=no",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--console=read-only",
            *cables,
            *serial,
        ]
        cgroup.start(self.group, argv, self.tree.console, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1")
        self.plug(ramp=ramp)

    def plug(self, *, ramp: bool = True) -> None:
        """Puts the running host's cables where they belong.

        Args:
            ramp: whether the ramp's cable is plugged in.

        Raises:
            LabFault: the host died before it had its ports.
        """
        try:
            network.plug(self.plan.ports, lambda: self.running, () if ramp else ("ramp0",))
        except LabFault as error:
            raise LabFault(
                f"{self.name} did not boot: {self._last_words() or error.what}"
            ) from None

    def wait(self, *, knock: bool = True) -> None:
        """Waits until the host takes SSH connections.

        Args:
            knock: whether its address of first contact is open; if not, only its systemd is asked.

        Raises:
            LabFault: it does not within a minute, or it died.
        """
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        # sshd counts connections that come to nothing, so it is not knocked at before it runs.
        sshd = self.group / "payload/system.slice/ssh.service"
        while not cgroup.populated(sshd):
            self._still_hope(deadline)
        while knock and not banner(self.plan.first_contact):
            self._still_hope(deadline)

    def answers(self, timeout_s: float = RAMP_TIMEOUT_S) -> bool:
        """Says whether the host takes SSH connections at its address of first contact within the time."""
        deadline = time.monotonic() + timeout_s
        while not banner(self.plan.first_contact):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def cut_power(self) -> None:
        """Cuts the power: every process of the host ends at once, with no chance to tidy up."""
        cgroup.kill(self.group / "payload")
        cgroup.wait_empty(self.group)
        network.wait_unplugged(self.plan.ports)

    def _still_hope(self, deadline: float) -> None:
        if not self.running:
            raise LabFault(f"{self.name} died while it booted: {self._last_words()}")
        if time.monotonic() > deadline:
            raise LabFault(
                f"{self.name} does not take SSH connections {BOOT_TIMEOUT_S:g} s after power on",
                f"its console is in {self.tree.console}",
            )
        time.sleep(POLL_S)

    def _last_words(self) -> str:
        lines = self.tree.console.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""


def banner(address: str, port: int = 22, timeout_s: float = 1.0) -> str:
    """Returns what the SSH server there says first, or an empty string when there is none.

    >>> banner("127.0.0.1", 1)
    ''
    """
    try:
        with socket.create_connection((address, port), timeout_s) as connection:
            connection.settimeout(timeout_s)
            return connection.recv(255).decode("ascii", "replace").strip()
    except OSError:
        return ""


def sweep(lab: str) -> None:
    """Removes what systemd-nspawn leaves in /run for hosts that were killed."""
    if PROPAGATED.is_dir():
        for entry in PROPAGATED.iterdir():
            if entry.name.startswith(f"{lab}-"):
                entry.rmdir()
