"""The ways by which people are in, and whether rules of the firewall would let them in again.

Nobody reads in a ruleset what becomes of a connection, so it is tried: the rules are loaded into a
network with nothing else in it, which gets the interfaces and addresses of the ways in; whoever is
connected by SSH now calls again from the far ends of those interfaces.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
from collections.abc import Sequence

from require.remote.shell import Failed, run

LISTENING = ["ss", "-Hltn"]
CONNECTED = ["ss", "-Htnp", "state", "established"]
ADDRESSES = ["ip", "-json", "address"]
CLONE_NEWNET = 0x40000000  # sched.h
# The first packet may come before the cable is up, and is sent again after one second and after three.
ANSWER_S = 4.0


class Way:
    """A way in.

    Args:
        peer: who is connected.
        address: the address of ours that was called.
        port: the port of ours.
        home: the interface that our address belongs to.
        interface: the interface that leads to the peer.
    """

    def __init__(self, peer: str, address: str, port: int, home: str, interface: str) -> None:
        self.peer, self.address, self.port = peer, address, port
        self.home, self.interface = home, interface


def shut(rules: str) -> list[str]:
    """Try rules, and return who is connected by SSH now and could not connect again.

    Args:
        rules: text for nft(8); rules that the kernel does not take, or no nft, shut nobody out.

    Returns:
        A few words for each.

    Raises:
        Failed: they cannot be tried here.
    """
    try:
        if run(["nft", "--check", "-f", "-"], stdin=rules).code != 0:
            return []
    except FileNotFoundError:
        return []
    ways = _ways()
    return [
        f"{way.peer}, who comes to port {way.port} of {way.address} through {way.interface}"
        for way in (_apart(rules, ways) if ways else ())
    ]


def inward(connected: str, listening: str) -> list[tuple[str, str, int]]:
    """Return whom sshd serves, as peer, address and port.

    A connection that sshd makes for those it serves begins at a port where nobody listens.

    Args:
        connected: what `CONNECTED` prints.
        listening: what `LISTENING` prints.
    """
    ports = {_end(line.split()[3])[1] for line in listening.splitlines()}
    found = set()
    for line in connected.splitlines():
        local, remote = line.split()[2:4]
        if re.search(r'\(\("sshd', line) and _end(local)[1] in ports:
            found.add((_end(remote)[0], *_end(local)))
    return sorted(found)


def _end(text: str) -> tuple[str, int]:
    """The address and the port of `[fe80::1%ramp0]:22` or `10.0.0.1:22`."""
    address, _, port = text.rpartition(":")
    bare = address.partition("%")[0].strip("[]").removeprefix("::ffff:")
    return bare, int(port)


def _ways() -> list[Way]:
    homes = {
        each["local"]: link["ifname"]
        for link in json.loads(run(ADDRESSES).check().out)
        for each in link.get("addr_info", ())
        if "local" in each
    }
    ways = []
    for peer, address, port in inward(run(CONNECTED).check().out, run(LISTENING).check().out):
        home = homes.get(address, "lo")
        scope = ["oif", home] if peer.startswith("fe80:") else []
        asked = run(["ip", "-json", "route", "get", peer, "from", address, *scope])
        routes = json.loads(asked.out) if asked.code == 0 else []
        if routes and routes[0]["dev"] != "lo":
            ways.append(Way(peer, address, port, home, routes[0]["dev"]))
    return ways


def _apart(rules: str, ways: Sequence[Way]) -> list[Way]:
    """Try the ways in a child, whose networks go with it; return those that are shut."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            shut = _tried(rules, ways)
            os.write(write, json.dumps([ways.index(way) for way in shut]).encode())
            os._exit(0)
        except BaseException as error:
            os.write(write, str(error)[-500:].encode())
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as answer:
        said = answer.read()
    if os.waitpid(child, 0)[1] != 0:
        raise Failed(f"it cannot be tried whether these rules shut us out: {said}")
    return [ways[index] for index in json.loads(said)]


def _tried(rules: str, ways: Sequence[Way]) -> list[Way]:
    near, far = _network(), _network()
    us = os.getpid()
    interfaces = sorted({way.interface for way in ways})
    others = sorted({way.home for way in ways} - {"lo", *interfaces})
    _enter(near)
    run(["nft", "-f", "-"], stdin=rules).check()
    _ip(
        "link set lo up",
        *(
            f"link add {name} type veth peer name far{number} netns /proc/{us}/fd/{far}"
            for number, name in enumerate(interfaces)
        ),
        *(f"link add {name} type dummy" for name in others),
        *(f"link set {name} up" for name in (*interfaces, *others)),
        *(f"address replace {_alone(way.address)} dev {way.home}" for way in ways),
        *(f"route replace {_alone(way.peer, route=True)} dev {way.interface}" for way in ways),
    )
    both = any(":" in way.address for way in ways)
    family = socket.AF_INET6 if both else socket.AF_INET
    doors = [
        socket.create_server(("", port), family=family, dualstack_ipv6=both)
        for port in sorted({way.port for way in ways})
    ]
    _enter(far)
    ends = {name: f"far{number}" for number, name in enumerate(interfaces)}
    _ip(
        *(f"link set {end} up" for end in ends.values()),
        *(f"address replace {_alone(way.peer)} dev {ends[way.interface]}" for way in ways),
        *(
            f"route replace {_alone(way.address, route=True)} dev {ends[way.interface]}"
            for way in ways
        ),
    )
    shut = [way for way in ways if not _answers(way, ends[way.interface])]
    for door in doors:
        door.close()
    return shut


def _network() -> int:
    """Make a network with nothing in it, and return a descriptor of it."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network apart cannot be made")
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _enter(network: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(network, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network apart cannot be entered")


def _ip(*lines: str) -> None:
    run(["ip", "-batch", "-"], stdin="".join(f"{line}\n" for line in lines)).check()


def _alone(address: str, route: bool = False) -> str:
    if ":" not in address:
        return f"{address}/32"
    # Without waiting whether somebody else has it.
    return f"{address}/128" if route else f"{address}/128 nodad"


def _answers(way: Way, end: str) -> bool:
    peer, there = (
        socket.getaddrinfo(
            f"{address}%{end}" if address.startswith("fe80:") else address,
            port,
            type=socket.SOCK_STREAM,
        )[0]
        for address, port in ((way.peer, 0), (way.address, way.port))
    )
    with socket.socket(*there[:3]) as caller:
        caller.settimeout(ANSWER_S)
        caller.bind(peer[4])
        return caller.connect_ex(there[4]) == 0
