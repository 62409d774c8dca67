"""What is seen on a host, with eyes of our own: nothing of `require.remote` has a part in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ci.faults.converge import wanted
from ci.faults.looked import told

PROGRAM = f"""
import glob, hashlib, json, os, subprocess

def lines(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True).stdout.splitlines()

def text(path):
    return open(path).read() if os.path.exists(path) else ""

def words(pid):
    try:
        return open(f"/proc/{{pid}}/cmdline").read().split("\\0")[:-1]
    except OSError:
        return []

running = [words(pid) for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
ours = [argv for argv in running if "-IS" in argv or "systemd-run" in argv[:1]]
ours += [argv for argv in running if argv[:1] == ["sleep"]]
folders = ["/srv", "/etc", "/var/lib/turnaround", "/tmp", "/var/tmp", "/root", "/run/turnaround"]
print(json.dumps({{
    "sums": {{path: hashlib.sha256(open(path, "rb").read()).hexdigest()
             for path in glob.glob("{wanted.TOP}/*.conf")}},
    "link": os.readlink("{wanted.TOP}/generation") if os.path.islink("{wanted.TOP}/generation") else "",
    "now": hashlib.sha256("".join(map(text, sorted(glob.glob("{wanted.TOP}/*.conf")))).encode()).hexdigest(),
    "told": text("{wanted.TOLD}").split(),
    "hosts": [line for line in text("/etc/hosts").splitlines() if "faults-" in line],
    "runs": [line.split()[0] for line in lines("systemctl", "list-units", "--plain", "--no-legend",
             "--all", "turnaround-run-*")],
    "failed": lines("systemctl", "--failed", "--plain", "--no-legend"),
    "processes": [" ".join(argv)[:60] for argv in ours],
    "files": lines("find", *[each for each in folders if os.path.isdir(each)], "-xdev", "-name", "*~"),
    "pending": os.listdir("/var/lib/turnaround/pending")
               if os.path.isdir("/var/lib/turnaround/pending") else [],
}}))
"""


@dataclass(frozen=True)
class Seen:
    """A host at one moment.

    Args:
        sums: SHA-256 of the files by path.
        link: where the link leads.
        now: what the unit would note now.
        told: what the unit noted, restart by restart.
        hosts: our lines of /etc/hosts.
        runs: units of runs.
        failed: units that failed.
        processes: programs of ours, and what a row left asleep.
        files: files that are not whole yet, by their names.
        pending: markers of handlers.
    """

    sums: Mapping[str, str]
    link: str
    now: str
    told: tuple[str, ...]
    hosts: tuple[str, ...]
    runs: tuple[str, ...]
    failed: tuple[str, ...]
    processes: tuple[str, ...]
    files: tuple[str, ...]
    pending: tuple[str, ...]

    @classmethod
    def of(cls, said: str) -> Seen:
        """Reads what the program printed."""
        return cls(**told(said))

    def halves(self, *generations: int) -> list[str]:
        """Returns the files that are none of these generations' whole ones."""
        known = [wanted.sums(each) for each in generations]
        return [
            path
            for path in wanted.files(0)
            if self.sums.get(path) not in [each[path] for each in known]
        ]

    def is_of(self, generation: int) -> bool:
        """Whether every part is of this generation."""
        hosts = (f"10.9.9.9 faults-{generation:06d}",)
        same = self.sums == wanted.sums(generation) and self.hosts == hosts
        return same and self.link == f"{generation:06d}"

    @property
    def left(self) -> dict[str, tuple[str, ...]]:
        """What should not be there when nothing runs, by kind."""
        kinds = {
            "units": self.runs,
            "failed units": self.failed,
            "processes": self.processes,
            "files": self.files,
            "markers": self.pending,
        }
        return {kind: found for kind, found in kinds.items() if found}
