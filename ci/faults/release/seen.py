"""What is seen on a host, with eyes of our own: nothing of `fleet.aboard` has a part in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ci.faults.looked import told
from ci.faults.release.artifacts import AGENT, KIND, SOCKET, Made
from ci.story.teller import NotSo

PROGRAM = f"""
import hashlib, http.client, json, os, socket, subprocess

def served():
    line = http.client.HTTPConnection("localhost", timeout=5)
    line.sock = socket.socket(socket.AF_UNIX)
    try:
        line.sock.settimeout(5)
        line.sock.connect("{SOCKET}")
        line.request("GET", "/health")
        return json.loads(line.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        return {{"error": str(error)}}
    finally:
        line.close()

def sums(folder):
    paths = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
    return {{os.path.relpath(path, folder): hashlib.sha256(open(path, "rb").read()).hexdigest()
            for path in paths if not os.path.islink(path) and not path.endswith(".pyc")}}

def text(path):
    try:
        return open(path, errors="replace").read()
    except OSError:
        return ""

def working():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        words = text(f"/proc/{{pid}}/cmdline").split("\\0")
        if "-I" in words and any("/faults/aboard.py" in word for word in words):
            yield " ".join(words[3:]).strip()

top, kind = "/opt/turnaround", "{KIND}"
releases = f"{{top}}/releases/{{kind}}"
link = f"{{top}}/current/{{kind}}"
show = ["systemctl", "show", "--property=ActiveState", "--value", "turnaround-api@*", "{AGENT}"]
print(json.dumps({{
    "current": os.path.basename(os.readlink(link)) if os.path.islink(link) else "",
    "served": served(),
    "releases": {{name: sums(f"{{releases}}/{{name}}") for name in os.listdir(releases)}}
                if os.path.isdir(releases) else {{}},
    "blobs": [name for _, _, names in os.walk(f"{{top}}/blobs") for name in names],
    "state": text("/var/lib/turnaround/aboard/state.json"),
    "units": subprocess.run(show, stdout=subprocess.PIPE, text=True).stdout.split(),
    "working": list(working()),
}}))
"""


@dataclass(frozen=True)
class Seen:
    """A host at one moment.

    Args:
        current: which version `current` names, or nothing.
        served: what the socket answered, or `error`.
        releases: SHA-256 of each release's files by path, by the name of its folder.
        blobs: the files of the store.
        state: the state file's text.
        units: whether the units of a release run, as systemd calls it.
        working: what aboard is at.
    """

    current: str
    served: Mapping[str, Any]
    releases: Mapping[str, Mapping[str, str]]
    blobs: tuple[str, ...]
    state: str
    units: tuple[str, ...]
    working: tuple[str, ...]

    @classmethod
    def of(cls, said: str) -> Seen:
        """Reads what the program printed."""
        return cls(**told(said))

    @property
    def records(self) -> Mapping[str, Mapping[str, Any]]:
        """What the state says of each release, by version; `NotSo` when it cannot be read."""
        try:
            found: Mapping[str, Mapping[str, Any]] = json.loads(self.state)["kinds"].get(KIND, {})
        except (ValueError, KeyError, AttributeError) as error:
            raise NotSo(f"the state file cannot be read ({error}): {self.state[:80]!r}") from None
        return found

    def stage(self, made: Made) -> str:
        """How far the state says that a release came."""
        return str(self.records.get(made.version, {}).get("stage", "none"))

    def is_whole(self, made: Made) -> bool:
        """Whether a release's folder holds all that it should, byte for byte."""
        found = self.releases.get(made.version, {})
        return all(found.get(path) == sha256 for path, sha256 in made.sums.items())

    def serves(self, made: Made) -> bool:
        """Whether every part of what is served is of this release."""
        parts = (self.served.get("revision"), self.served.get("code"), self.served.get("page"))
        return parts == (made.revision, made.number, made.number)

    @property
    def halves(self) -> list[str]:
        """What only a run that is at work may have: folders and files that are not whole yet."""
        return [name for name in (*self.releases, *self.blobs) if not name[-12:].isalnum()]
