"""What takes part in `bench.converge`, each in a process of its own.

    python -m ci.bench.contenders look|apply|limit PORT KEY HOST_KEY [COPIES]

prints one JSON object: seconds from connecting to the answer, and what was found. `look` and `apply`
are ours, `fab converge` with and without `--check`. `limit` is the least that anything built on Fabric
can cost: connect, and one command that looks at the same things.

    python -m ci.bench.contenders many HOSTS AT_ONCE KEY PORT HOST_KEY [PORT HOST_KEY …]

looks at so many hosts, which are names for those at the ports, and prints how they ended.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import paramiko

import require
from ci.bench.reference import role, wanted
from fleet.report import Outcome

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
    return _converge(port, key, host_key, role.catalog(copies), check=check)


def _converge(
    port: int, key: Path, host_key: str, catalog: require.Catalog, *, check: bool
) -> dict[str, Any]:
    from fleet.ssh import Connection, Endpoint
    from fleet.transport import SshTransport
    from require.run import converge

    private = paramiko.Ed25519Key.from_private_key_file(str(key))
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


def admit(port: int, key: Path, host_key: str, copies: int) -> dict[str, Any]:
    """Lets a host's sshd take many connections from one address, which it would hold for an attack."""
    with require.declare() as declared:
        require.file.file(
            "/etc/ssh/sshd_config.d/20-many.conf",
            content="MaxStartups 60:30:120\nPerSourcePenalties no\n",
            notify=[require.systemd.reloaded("ssh")],
        )
    return _converge(port, key, host_key, declared, check=False)


def many(hosts: int, at_once: int, key: Path, ways: list[str]) -> dict[str, int]:
    """The looks of a whole fleet, as `fab converge --check` does them."""
    from fleet.converge import on_host
    from fleet.inventory import Host
    from fleet.report import JsonReporter
    from fleet.slots import on_each
    from fleet.ssh import Connection, Endpoint

    private = paramiko.Ed25519Key.from_private_key_file(str(key))
    places = list(zip(map(int, ways[::2]), ways[1::2], strict=True))

    def work(host: Host, say: Callable[[str], None]) -> Outcome:
        end = Endpoint(host.name, HOST, host.port, "root", private, str(host.vars["host_key"]))
        connection = Connection(end)
        try:
            return on_host(connection, role.catalog(), say, check=True)
        finally:
            connection.close()

    fleet = [
        Host(f"reference-{number:03d}", (), (), HOST, port, vars={"host_key": host_key})
        for number, (port, host_key) in enumerate(islice(cycle(places), hosts))
    ]
    with open(os.devnull, "w") as nowhere:
        ended = on_each(fleet, work, JsonReporter(nowhere), at_once)
    return Counter(each.status for each in ended)


def main(words: list[str]) -> int:
    """Runs one contender and prints what it found."""
    if words[0] == "many":
        _, hosts, at_once, key, *ways = words
        print(json.dumps(many(int(hosts), int(at_once), Path(key), ways)))
        return 0
    name, port, key, host_key, *more = words
    contender = {"look": look, "apply": apply, "limit": limit, "admit": admit}[name]
    found = contender(int(port), Path(key), host_key, int(more[0]) if more else 1)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
