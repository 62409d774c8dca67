"""The tools we are compared with, told to make hosts what the reference role says, each in its own way."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci.bench.reference import wanted
from fleet.errors import FleetError

TOP = Path(__file__).resolve().parents[2]
REFERENCE = TOP / "ci/bench/reference"
RUN_S = 1800
ANSIBLE: Mapping[str, Mapping[str, str]] = {
    "ansible": {},
    "ansible, pipelining": {"ANSIBLE_PIPELINING": "1"},
    "ansible, mitogen": {"ANSIBLE_STRATEGY": "mitogen_linear"},
}


@dataclass(frozen=True)
class Target:
    """One host as a tool sees it: a name of its own, and where it answers."""

    name: str
    port: int
    address: str = "127.0.0.1"


@dataclass(frozen=True)
class Measured:
    """What one command took: seconds on the clock, seconds of this machine's processors, its output."""

    seconds: float
    cpu_s: float
    output: str = field(repr=False, default="")


@dataclass(frozen=True)
class Rivals:
    """The peers' programs, and what they need to come in.

    Args:
        programs: folder of their environment's programs.
        folder: a place for their files.
        key: private key for root.
        known_hosts: file with the hosts' keys.
    """

    programs: Path
    folder: Path
    key: Path
    known_hosts: Path

    def pyinfra(
        self, targets: Sequence[Target], at_once: int = 1, *, settling: bool = False
    ) -> Measured:
        """Runs pyinfra.

        Args:
            targets: its hosts.
            at_once: how many of them at a time.
            settling: it may change something; else that is an error.
        """
        shared = {
            "ssh_user": "root",
            "ssh_key": str(self.key),
            "ssh_known_hosts_file": str(self.known_hosts),
        }
        hosts = [
            (each.name, {**shared, "ssh_hostname": each.address, "ssh_port": each.port})
            for each in targets
        ]
        inventory = self.folder / "inventory.py"
        inventory.write_text(f"reference = {hosts!r}\n")
        argv = [str(self.programs / "pyinfra"), "-y", "--parallel", str(at_once)]
        done = timed([*argv, str(inventory), str(REFERENCE / "deploy.py")], self.folder)
        # Operations, and at the end how many of them had nothing to change.
        total = [line for line in done.output.splitlines() if "Grand total" in line]
        if not settling and [line.split()[2::3] for line in total] != [
            [str(wanted.COUNT * len(targets))] * 2
        ]:
            raise FleetError(f"pyinfra: expected {wanted.COUNT} times no change, found {total}")
        return done

    def ansible(self, how: str, targets: Sequence[Target], *, settling: bool = False) -> Measured:
        """Runs Ansible in one of the ways of `ANSIBLE`.

        Args:
            how: which way.
            targets: its hosts.
            settling: it may change something; else that is an error.
        """
        lines = [
            f"{each.name} ansible_host={each.address} ansible_port={each.port}" for each in targets
        ]
        inventory = self.folder / "inventory.ini"
        inventory.write_text("\n".join(["[reference]", *lines]) + "\n")
        given = self.folder / "wanted.json"
        given.write_text(json.dumps(ansible_variables()))
        argv = [str(self.programs / "ansible-playbook"), "--inventory", str(inventory)]
        argv += ["--user", "root", "--private-key", str(self.key), "--extra-vars", f"@{given}"]
        plugins = next(
            self.programs.parent.glob("lib/*/site-packages/ansible_mitogen/plugins/strategy")
        )
        environment = {
            "ANSIBLE_SSH_ARGS": f"-o ControlMaster=auto -o ControlPersist=60s "
            f"-o UserKnownHostsFile={self.known_hosts}",
            # A master that is still there from the last round would spare it the connecting.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / f"cp-{time.monotonic_ns()}"),
            "ANSIBLE_STRATEGY_PLUGINS": str(plugins),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_DEPRECATION_WARNINGS": "0",
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            "ANSIBLE_NOCOLOR": "1",
            **ANSIBLE[how],
        }
        done = timed([*argv, str(REFERENCE / "playbook.yml")], self.folder, environment)
        changed = re.findall(r"changed=(\d+)", done.output)
        if not settling and changed != ["0"] * len(targets):
            raise FleetError(f"{how}: expected nothing to change, found {done.output[-1500:]}")
        return done


def ansible_variables() -> dict[str, Any]:
    """What the playbook is given: the reference role's plain data in Ansible's shapes."""
    return {
        "packages": wanted.PACKAGES,
        "users": wanted.USERS,
        "directories": [wanted.TOP, *wanted.DIRECTORIES],
        "templates": [{"path": path, **wanted.variables(path)} for path in wanted.TEMPLATES],
        "links": wanted.LINKS,
        "lines": wanted.LINES,
        "services": wanted.SERVICES,
    }


def timed(
    argv: Sequence[str], folder: Path = TOP, environment: Mapping[str, str] | None = None
) -> Measured:
    """Runs a command to its end and returns what it took.

    Raises:
        FleetError: it failed, with its last words.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        ["env", *(f"{name}={value}" for name, value in (environment or {}).items()), *argv],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_S,
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1500:]
        raise FleetError(f"{' '.join(argv[:3])} exited {done.returncode}: {said}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds, cpu_s, done.stdout + done.stderr)
