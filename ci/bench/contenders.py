"""What takes part in `bench.converge`, each in a process of its own.

    python -m ci.bench.contenders look|apply|limit PORT KEY HOST_KEY [COPIES]

prints one JSON object: seconds from connecting to the answer, and what was found. `look` and `apply`
are ours, `fab converge` with and without `--check`. `limit` is the least that anything built on Fabric
can cost: connect, and one command that looks at the same things.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import paramiko

from ci.bench.reference import role, wanted

HOST = "127.0.0.1"
LOOK = f"""
import json, os, pwd, subprocess
paths = {[wanted.TOP, *wanted.DIRECTORIES, *wanted.TEMPLATES, *(path for path, _ in wanted.LINKS)]!r}
seen = [os.lstat(path).st_mode for path in paths]
texts = [open(path).read() for path in {[*wanted.TEMPLATES, *(line[0] for line in wanted.LINES)]!r}]
users = [pwd.getpwnam(name) for name in {wanted.USERS!r}]
ask = lambda *argv: subprocess.run(argv, capture_output=True).stdout
said = ask("dpkg-query", "--show", *{wanted.PACKAGES!r}) + ask("systemctl", "show", *{wanted.SERVICES!r})
print(json.dumps([len(seen), len(texts), len(users), len(said)]))
"""


def look(port: int, key: Path, host_key: str, copies: int) -> dict[str, Any]:
    """A converge that only looks."""
    return _ours(port, key, host_key, copies, check=True)


def apply(port: int, key: Path, host_key: str, copies: int) -> dict[str, Any]:
    """A converge that makes the host what it should be."""
    return _ours(port, key, host_key, copies, check=False)


def _ours(port: int, key: Path, host_key: str, copies: int, *, check: bool) -> dict[str, Any]:
    from fleet.ssh import Connection, Endpoint
    from fleet.transport import SshTransport
    from require.run import converge

    private = paramiko.Ed25519Key.from_private_key_file(str(key))
    catalog = role.catalog(copies)
    began = time.perf_counter()
    connection = Connection(Endpoint("reference", HOST, port, "root", private, host_key))
    result = converge(SshTransport(connection), catalog, check=check)
    seconds = time.perf_counter() - began
    changes = [f"{each.key}: {each.summary}" for each in result.changes]
    found = {"seconds": seconds, "changes": changes, "errors": list(result.errors)}
    found |= {"trips": connection.trips, "resources": len(catalog)}
    connection.close()
    return found


def limit(port: int, key: Path, host_key: str, copies: int) -> dict[str, Any]:
    """Fabric, connected, and one command."""
    import fabric

    began = time.perf_counter()
    settings = {"key_filename": str(key), "allow_agent": False, "look_for_keys": False}
    config = fabric.Config(overrides={"load_ssh_configs": False})
    with fabric.Connection(
        HOST, user="root", port=port, config=config, connect_kwargs=settings
    ) as connection:
        done = connection.run(f"python3 -c {shlex.quote(LOOK)}", hide=True, in_stream=False)
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "changes": [], "errors": [], "said": done.stdout.strip()}


def main(words: list[str]) -> int:
    """Runs one contender and prints what it found."""
    name, port, key, host_key, *more = words
    contender = {"look": look, "apply": apply, "limit": limit}[name]
    found = contender(int(port), Path(key), host_key, int(more[0]) if more else 1)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
