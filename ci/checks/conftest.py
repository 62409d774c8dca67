"""Hosts for the checks, reached as ops reach them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from ci.story.world import World

Connect = Callable[[str], Host]


@pytest.fixture(scope="session")
def connect(world: World) -> Iterator[Connect]:
    """Makes testinfra hosts by name; commands run through sudo, and all of a host share a connection."""
    config = str(world.lab.ssh_config())
    with tempfile.TemporaryDirectory(prefix="ta-") as folder:

        def to(name: str) -> Host:
            shared = f"sudo=true&controlpath={folder}/{name}"
            return testinfra.get_host(f"ssh://{name}?{shared}", ssh_config=config)

        yield to
        for socket in Path(folder).iterdir():
            end = ["ssh", "-F", config, "-o", f"ControlPath={socket}", "-O", "exit", socket.name]
            subprocess.run(end, capture_output=True, check=False)


@pytest.fixture(scope="session")
def hangar(connect: Connect) -> Host:
    return connect("hangar")


@pytest.fixture(scope="session", params=[0, 1], ids=["EC-TAA", "EC-TAB"])
def aircraft(world: World, connect: Connect, request: pytest.FixtureRequest) -> Host:
    return connect(world.aircraft[request.param])


@pytest.fixture(scope="session", params=["hangar", "EC-TAA", "EC-TAB"])
def host(connect: Connect, request: pytest.FixtureRequest) -> Host:
    return connect(request.param)


def one_serves(host: Host, kind: str, name: str) -> None:
    """Of what serves people one version runs, the current one, and nginx is led to it."""
    version = host.file(f"/opt/turnaround/current/{kind}").linked_to.rpartition("/")[2]
    unit = f"turnaround-{name}@{version}.service"
    loaded = host.run("systemctl list-units --all --plain --no-legend 'turnaround-%s@*'", name)
    assert [line.split()[0] for line in loaded.stdout.splitlines()] == [unit]
    shown = host.run("systemctl show -p User -p ActiveState -p ProtectSystem %s", unit).stdout
    assert set(shown.splitlines()) == {
        "User=turnaround",
        "ActiveState=active",
        "ProtectSystem=strict",
    }
    link = host.file(f"/run/turnaround/{name}.sock")
    assert link.linked_to == f"/run/turnaround/{name}-{version}.sock"
    assert host.check_output("stat --format=%%U /run/turnaround/%s.sock", name) == "root"
