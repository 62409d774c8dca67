"""What first contact is made with: an enrolled hangar, and a bare box that is another one for each row."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ci.faults.way import Way
from ci.lab import Lab
from ci.story.teller import NotSo
from ci.story.world import TOP
from fleet.inventory import read_facts

BOX = "EC-TAA"
RUN_S = 300.0
# With eyes of its own: what is half, what is not settled, and who gets in.
LOOK = """set -eu
find /etc/turnaround /etc/ssh /etc/sudoers.d /home/ops -name '*.new*' -o -name '.*.check'
dpkg --audit
sshd -T | grep -Ex '(permitrootlogin|passwordauthentication) yes' || true
systemctl is-active --quiet wg-quick@wg0 || echo the tower is down
for key in sync_ed25519 tower.key; do test -s /etc/turnaround/keys/$key || echo no $key; done
"""


@dataclass
class EnrolStand:
    """A lab with a hangar that is enrolled and a box that is not."""

    lab: Lab

    @contextlib.contextmanager
    def way(self) -> Iterator[Way]:
        """A way to the box that can be cut."""
        with Way((self.lab.host(BOX).plan.first_contact, 22)) as way:
            yield way

    def bare(self) -> None:
        """Puts a bare box in the place of the one that is there."""
        (self.lab.directory / "enrolled" / f"{BOX}.yml").unlink(missing_ok=True)
        self.lab.replace(BOX)

    def begin(self, host: str, place: str) -> subprocess.Popen[str]:
        """Starts `./fab init-machine` of a host at a place."""
        argv = [str(TOP / "fab"), "init-machine", "--host", place, "--as", host]
        environment = {key: value for key, value in os.environ.items() if key != "TURNAROUND_KEYS"}
        return subprocess.Popen(
            [*argv, "--fingerprint", self.lab.fingerprint(host)],
            cwd=TOP,
            env={**environment, "FLEET_INVENTORY": str(self.lab.inventory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def enrol(self, host: str = BOX) -> str:
        """Makes first contact to its end and returns the last line; `NotSo` when that is not exit 0."""
        process = self.begin(host, self.lab.first_contact(host))
        said, _ = process.communicate(timeout=RUN_S)
        if process.returncode:
            raise NotSo(f"init-machine exited {process.returncode}: {said[-1500:]}")
        return said.strip().splitlines()[-1]

    def follow(self, process: subprocess.Popen[str], at: str, fault: Callable[[], object]) -> str:
        """Lets the fault happen once these words are said, and returns all that was, at the end."""
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if at and at in line:
                at = ""
                fault()
        process.wait(RUN_S)
        return "".join(said)

    def ends_well(self) -> str:
        """The second run finishes, the third changes nothing, nothing is left; what the second was."""
        second = self.enrol()
        third = self.enrol()
        if "no change" not in third:
            raise NotSo(f"expected the third run to change nothing, found {third!r}")
        found = self.ops(LOOK)
        if found:
            raise NotSo(f"left on the box: {found}")
        facts = read_facts(self.lab.directory / "enrolled" / f"{BOX}.yml")
        told = self.ops(
            "wg show wg0 public-key; ssh-keygen -y -f /etc/turnaround/keys/sync_ed25519"
        )
        if told.splitlines() != [facts["tower_key"], facts["ssh_key"]]:
            raise NotSo(f"expected the keys of {facts}, found {told}")
        return "the second run finished it" if "no change" not in second else "it was over before"

    def ops(self, script: str) -> str:
        """Runs a script on the box as root, as ops come in there over the tower."""
        argv = ["ssh", "-F", str(self.lab.ssh_config()), "-o", "BatchMode=yes", BOX]
        done = subprocess.run(
            [*argv, "sudo -n sh -s"],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise NotSo(f"{BOX}: a look exited {done.returncode}: {done.stderr[-500:]}")
        return done.stdout.strip()

    def settle(self) -> None:
        """Enrols the hangar; every row begins with a bare box."""
        self.enrol("hangar")

    def close(self) -> None:
        """Nothing is left beside the lab."""

    def mend(self) -> None:
        """Every row begins with a box of its own."""
