"""The lab's cables on the machine: bridges, the hosts' ports in them, and the phones in the cabins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ci.lab import shell
from ci.lab.addresses import CabinClient, Port, owned_interface, owned_namespace
from ci.lab.errors import LabFault

INTERFACES = Path("/sys/class/net")
NAMESPACES = Path("/run/netns")
IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
PLUG_TIMEOUT_S = 10.0


def _batch(lines: Iterable[str], namespace: str = "") -> None:
    script = "".join(f"{line}\n" for line in lines)
    if script:
        inside = ["-netns", namespace] if namespace else []
        shell.run(["ip", *inside, "-batch", "-"], stdin=script)


def _exists(interface: str) -> bool:
    return (INTERFACES / interface).exists()


def raise_bridges(bridges: dict[str, str]) -> None:
    """Makes the bridges that are not there, each with the machine's address on it."""
    for name, address in bridges.items():
        if _exists(name):
            continue
        _batch([f"link add {name} type bridge stp_state 0 mcast_snooping 0"])
        quiet = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
        if quiet.exists():
            quiet.write_text("1")
        _batch([f"address add {address} dev {name}", f"link set {name} up"])


def plug(ports: Iterable[Port], alive: Callable[[], bool], unplugged: Iterable[str] = ()) -> None:
    """Puts a booting host's ports into their bridges.

    Args:
        ports: the host's ports; systemd-nspawn is making them.
        alive: whether the host is still booting; when it died there is no use in waiting.
        unplugged: names inside the host of ports whose cable stays out.

    Raises:
        LabFault: the ports do not appear.
    """
    deadline = time.monotonic() + PLUG_TIMEOUT_S
    out = set(unplugged)
    for port in ports:
        while not _exists(port.outside):
            if not alive() or time.monotonic() > deadline:
                raise LabFault(f"the host's port {port.outside} did not appear")
            time.sleep(0.01)
        state = "down" if port.inside in out else "up"
        isolated = "on" if port.isolated else "off"
        _batch(
            [
                f"link set {port.outside} master {port.bridge}",
                f"link set {port.outside} type bridge_slave isolated {isolated}",
                f"link set {port.outside} {state}",
            ]
        )


def set_cable(port: Port, plugged: bool) -> None:
    """Plugs one cable of a running host in, or pulls it."""
    if _exists(port.outside):
        _batch([f"link set {port.outside} {'up' if plugged else 'down'}"])


def wait_unplugged(ports: Iterable[Port], timeout_s: float = PLUG_TIMEOUT_S) -> None:
    """Waits until the kernel has taken a dead host's ports away; they go a moment after its processes.

    Raises:
        LabFault: one is still there after the time.
    """
    deadline = time.monotonic() + timeout_s
    for port in ports:
        while _exists(port.outside):
            if time.monotonic() > deadline:
                raise LabFault(f"the port {port.outside} of a host that is off does not go away")
            time.sleep(0.01)


def add_cabin_client(client: CabinClient) -> None:
    """Makes a passenger's phone: a network namespace on the cabin's bridge.

    The bridge plays an access point that keeps phones apart, as those of a cabin must.
    """
    if (NAMESPACES / client.namespace).exists():
        return
    _batch(
        [
            f"netns add {client.namespace}",
            f"link add {client.outside} type veth peer name wifi0 netns {client.namespace}",
            f"link set {client.outside} master {client.bridge} up",
            f"link set {client.outside} type bridge_slave isolated on",
        ]
    )
    _batch(
        [
            "link set lo up",
            f"address add {client.address} dev wifi0",
            f"address add {client.address6} dev wifi0 nodad",
            "link set wifi0 up",
            f"route add default via {client.gateway}",
        ],
        namespace=client.namespace,
    )


def sweep(lab: str) -> None:
    """Removes every interface and network namespace of a lab of this name."""
    ours = owned_namespace(lab)
    if NAMESPACES.is_dir():
        _batch(
            f"netns delete {entry.name}"
            for entry in NAMESPACES.iterdir()
            if ours.fullmatch(entry.name)
        )
    mine = owned_interface(lab)
    for entry in list(INTERFACES.iterdir()):
        # One end of a cable takes the other with it, so each is looked at again.
        if mine.fullmatch(entry.name) and _exists(entry.name):
            try:
                _batch([f"link delete {entry.name}"])
            except LabFault:
                if _exists(entry.name):
                    raise
