"""What a host of the reference role is; plain data, because other tools' Python reads it as well."""

from __future__ import annotations

from typing import Any

PACKAGES = ["nginx", "redis-server", "rsync"]
USERS = [f"reference{n}" for n in range(1, 6)]
DIRECTORIES = [f"/srv/reference/{n}" for n in range(1, 8)]
TOP = "/srv/reference"
TEMPLATES = [f"/srv/reference/service-{n:02d}.conf" for n in range(1, 13)]
LINKS = [(f"/srv/reference/link-{n}", f"/srv/reference/service-0{n}.conf") for n in (1, 2)]
LINES = [
    ("/etc/hosts", r"^10\.0\.0\.9 ", "10.0.0.9 reference"),
    ("/etc/ssh/sshd_config", r"^#?ClientAliveInterval ", "ClientAliveInterval 30"),
]
SERVICES = ["nginx", "redis-server", "ssh"]


def variables(path: str) -> dict[str, Any]:
    """What the template of a file is rendered with."""
    number = int(path[-7:-5])
    return {"number": number, "ports": [8000 + 10 * number + n for n in range(4)]}


COUNT = 1 + len(USERS) + 1 + len(DIRECTORIES) + len(TEMPLATES) + len(LINKS) + len(LINES) + 3
