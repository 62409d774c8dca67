"""What the lab asks of the machine it stands on, each with the remedy when it is not there."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Callable
from pathlib import Path

from ci.lab import cgroup, shell
from ci.lab.errors import LabFault
from fleet import packages
from fleet.errors import FleetError

PACKAGES = (
    "debian-archive-keyring",
    "iproute2",
    "iptables",
    "mmdebstrap",
    "openssh-client",
    "openssl",
    "systemd-container",
)
TUN = Path("/dev/net/tun")
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_WANTED = 4096


def check(tun: Path = TUN) -> None:
    """Says what is missing before anything is touched.

    Raises:
        LabFault: no root, no tunnel device, no control groups.
    """
    check_root()
    if not tun.exists():
        raise LabFault(
            f"the lab's control tower needs {tun}, and this machine has none",
            "modprobe tun; in a container it must be given by whoever starts that",
        )
    cgroup.hierarchy()


def check_root() -> None:
    """Says so when we are not root.

    Raises:
        LabFault: we are not.
    """
    if os.geteuid() != 0:
        raise LabFault(
            "the lab boots hosts and makes networks, and only root may",
            "run it as root (sudo ./inv …)",
        )


def install(say: Callable[[str], None]) -> None:
    """Installs the programs that the lab is made with.

    Raises:
        LabFault: they are missing and cannot be had.
    """
    try:
        packages.ensure(PACKAGES, purpose="the lab", say=say)
    except FleetError as error:
        raise LabFault(error.what, error.remedy) from None


def raise_limits(inotify: Path = INOTIFY) -> None:
    """Lets one user have more inotify instances.

    To the kernel all hosts' roots are one user, a systemd takes about ten, and Debian's limit is 128. It
    stays raised after the lab: it is a limit, and other labs may live by it.
    """
    if int(inotify.read_text()) < INOTIFY_WANTED:
        inotify.write_text(str(INOTIFY_WANTED))


def subnet_taken(slot: int) -> bool:
    """Says whether this machine has a route into the subnets of a slot."""
    return overlaps(slot, shell.run(["ip", "-json", "-4", "route", "show", "table", "all"]))


def overlaps(slot: int, routes: str) -> bool:
    """Says whether one of the routes leads into 10.(100 + slot).0.0/16. Pure.

    Args:
        routes: what `ip -json route` prints; a wider route, such as 10.0.0.0/8, is no hindrance.

    >>> overlaps(0, '[{"dst": "default"}, {"dst": "10.100.3.0/24"}]')
    True
    """
    ours = ipaddress.IPv4Network(f"10.{100 + slot}.0.0/16")
    for route in json.loads(routes or "[]"):
        try:
            there = ipaddress.IPv4Network(route["dst"])
        except ValueError:  # "default"
            continue
        if there.subnet_of(ours):
            return True
    return False
