"""The world a story happens in: the lab, and the doors through which ops, editors and passengers act."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ci.lab import Lab
from ci.story.teller import NotSo

TOP = Path(__file__).resolve().parents[2]
FAB_TIMEOUT_S = 900


@dataclass
class World:
    """One lab and what the story remembers of it.

    `memory` is kept in the lab's folder from one telling to the next (the editor's password, what was
    imported); it goes with the lab.

    Example: `World.of("lab").fab("status")`
    """

    lab: Lab
    memory: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str) -> World:
        """The world of the lab of that name, whether it stands already or not."""
        lab = Lab.load(name)
        path = _memory_path(name)
        return cls(lab, json.loads(path.read_text()) if path.exists() else {})

    def remember(self, **facts: Any) -> None:
        """Keeps facts for the next telling."""
        self.memory.update(facts)
        path = _memory_path(self.lab.name)
        path.write_text(json.dumps(self.memory, indent=2))
        path.chmod(0o600)

    @property
    def aircraft(self) -> list[str]:
        """The names of the aircraft, in the order of the inventory."""
        return [name for name in self.inventory["hosts"] if name != "hangar"]

    @property
    def inventory(self) -> dict[str, Any]:
        """The lab's inventory as the file says it."""
        loaded: dict[str, Any] = yaml.safe_load(self.lab.inventory.read_text())
        return loaded

    def enrolled(self, host: str) -> bool:
        """Whether first contact with a host was made."""
        return (TOP / ".lab" / self.lab.name / "enrolled" / f"{host}.yml").exists()

    def portal(self, host: str) -> str:
        """The address of a host's pages: an aircraft's portal, or the hangar's CMS and fleet page."""
        variables = self.inventory["hosts"][host]["vars"]
        return f"http://{variables.get('cabin_address') or variables['public_address']}"

    @property
    def environment(self) -> dict[str, str]:
        """What a command of ours must be started with to mean this lab, whatever fleet ops work on."""
        ours = {"LAB_NAME": self.lab.name, "FLEET_INVENTORY": str(self.lab.inventory)}
        inherited = {key: value for key, value in os.environ.items() if key != "TURNAROUND_KEYS"}
        return {**inherited, **ours}

    def fab(self, *args: str, expect: int = 0) -> str:
        """Runs `./fab ARGS` as ops would and returns what it printed; `NotSo` on another exit code."""
        done = self.fab_anyhow(*args)
        if done.returncode != expect:
            tail = "\n".join(done.stdout.strip().splitlines()[-15:])
            raise NotSo(
                f"./fab {' '.join(args)} exited {done.returncode}, expected {expect}:\n{tail}"
            )
        return done.stdout

    def fab_json(self, *args: str, expect: int = 0) -> list[dict[str, Any]]:
        """Runs `./fab ARGS --json` as a program would, and returns the objects that it printed."""
        lines = self.fab(*args, "--json", expect=expect).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def fab_anyhow(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Runs `./fab ARGS` however it ends, and keeps what it printed in the story's log."""
        done = subprocess.run(
            [str(TOP / "fab"), *args],
            cwd=TOP,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FAB_TIMEOUT_S,
            check=False,
        )
        with self._log.open("a") as log:
            log.write(f"$ ./fab {' '.join(args)}\n{done.stdout}[exit {done.returncode}]\n")
        return done

    @property
    def _log(self) -> Path:
        return self.lab.directory / "story.log"

    def log_tail(self, lines: int = 60) -> str:
        """The end of what fab printed in this story."""
        said = self._log.read_text().splitlines() if self._log.exists() else ["nothing"]
        return "\n".join(said[-lines:])

    def ssh(self, host: str, command: str, *, stdin: str = "", timeout_s: float = 120) -> str:
        """Runs a shell command on a host as ops over the tower and returns its standard output."""
        try:
            done = subprocess.run(
                [*self.ssh_argv(host), "-o", "BatchMode=yes", command],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NotSo(f"{host}: `{command}` did not end within {timeout_s:g} s") from None
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise NotSo(f"{host}: `{command}` exited {done.returncode}: {said}")
        return done.stdout

    def ssh_argv(self, host: str) -> list[str]:
        """The ssh command that reaches a host as ops do: the hangar at once, an aircraft through it."""
        return ["ssh", "-F", str(self.lab.ssh_config()), host]

    def link_bytes(self) -> dict[str, tuple[int, int]]:
        """What each aircraft sent and received over its cellular link so far, in bytes."""
        links = {host["name"]: host.get("link") for host in self.lab.status()["hosts"]}
        return {
            name: (link["sent"]["bytes"], link["received"]["bytes"])
            for name, link in links.items()
            if link
        }

    def sql(self, host: str, query: str) -> list[list[str]]:
        """Asks a host's database; rows of text. The query goes over standard input."""
        out = self.ssh(
            host,
            "sudo -n -u turnaround psql -X -q -A -t -F '|' -v ON_ERROR_STOP=1 -d turnaround",
            stdin=query,
        )
        return [line.split("|") for line in out.splitlines() if line]


def _memory_path(lab_name: str) -> Path:
    return TOP / ".lab" / lab_name / "story.json"
