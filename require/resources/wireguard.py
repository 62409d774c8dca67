"""WireGuard interfaces: their configuration, and what runs of it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface, ip_interface, ip_network
from typing import ClassVar

from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.resources import file, systemd

FOLDER = "/etc/wireguard"

# `wg syncconf` takes an absent key for "no key", and the key is not in the configuration: whoever says
# `systemctl reload` hands it over here.
_RELOAD = """[Service]
ExecReload=
ExecReload=/bin/bash -c 'exec wg syncconf %i \\
 <(printf "[Interface]\\nPrivateKey = "; cat {key}; wg-quick strip %i)'
"""


@dataclass(frozen=True)
class Peer:
    """Who is at the other end.

    Args:
        public_key: its public key, in base64 as `wg pubkey` prints it.
        allowed_ips: addresses or networks that are sent to it and taken from it.
        endpoint: where to call it, "203.0.113.10:51820"; None waits for its call.
        keepalive: seconds after which a silent connection is used, so that what is between keeps
            it; None never does.
        name: for people.
    """

    public_key: str
    allowed_ips: Sequence[str]
    endpoint: str | None = None
    keepalive: int | None = None
    name: str = ""

    def lines(self) -> str:
        """Return it as the configuration has it."""
        allowed = ", ".join(self.allowed_ips)
        text = f"\n# {self.name}\n" if self.name else "\n"
        text += f"[Peer]\nPublicKey = {self.public_key}\nAllowedIPs = {allowed}\n"
        text += f"Endpoint = {self.endpoint}\n" if self.endpoint else ""
        return text + (f"PersistentKeepalive = {self.keepalive}\n" if self.keepalive else "")

    def running(self) -> list[object]:
        """Return it as the twin sees one that runs."""
        return [sorted(self.allowed_ips), str(self.keepalive or "off")]


@dataclass(frozen=True, kw_only=True)
class Interface(file.File):
    """An interface: the file that wg-quick reads, the key that only the host has, and what runs.

    Args:
        name: of the interface.
        private_key_file: path of its private key on the host.
        addresses: its own, each with the length of its network's prefix.
        listen_port: UDP port, or None for any.
        peers: who is at the other end.
    """

    noun: ClassVar[str] = "wireguard"

    name: str
    private_key_file: str
    addresses: tuple[str, ...]
    listen_port: int | None
    peers: tuple[Peer, ...]

    def natural_needs(self) -> tuple[str, ...]:
        key = self.private_key_file
        return (*super().natural_needs(), f"file:{posixpath.dirname(key)}", f"file:{key}")

    def question(self) -> Spec:
        return super().question() | {"name": self.name, "key": self.private_key_file}

    def order(self) -> Spec:
        port = f"ListenPort = {self.listen_port}\n" if self.listen_port else ""
        sync = port + "".join(peer.lines() for peer in self.peers)
        return super().order() | {"addresses": sorted(self.addresses), "sync": sync}

    def plan(self, state: State) -> Plan:
        found = super().plan(state)
        if isinstance(found, Unknown):
            return found
        differs = [found.summary] if isinstance(found, Change) else []
        if state["key"] is None:
            made = (
                "make the private key" if state["running"] is None else "keep the key that runs in"
            )
            differs.append(f"{made} {self.private_key_file}")
        elif state["key"] != "600":
            differs.append(f"mode of the private key 0{state['key']} → 0600")
        if state["running"] is not None:
            if not state["unit"]:
                differs.append("start it again by its unit, without which it runs")
            differs += self._running(state["running"], state["key"] is not None)
        elif state["unit"]:
            differs.append("start it again: it is gone, and its unit thinks that it runs")
        diff = found.diff if isinstance(found, Change) else ""
        return Change(", ".join(differs), diff) if differs else NoChange()

    def _running(self, running: State, has_key: bool) -> list[str]:
        """Say how what runs differs."""
        differs = []
        if running["addresses"] != sorted(self.addresses):
            own = [" ".join(each) or "none" for each in (running["addresses"], self.addresses)]
            differs.append(f"restart it for its address {own[0]} → {own[1]}")
        if self.listen_port not in (None, running["port"]):
            differs.append(f"port {running['port']} → {self.listen_port}")
        if has_key and not running["own"]:
            differs.append(f"take the key of {self.private_key_file}")
        wanted = {peer.public_key: peer for peer in self.peers}
        for public in sorted(wanted.keys() | running["peers"].keys()):
            peer = wanted.get(public)
            named = f"peer {peer.name if peer and peer.name else public}"
            if peer is None:
                differs.append(f"remove {named}")
            elif public not in running["peers"]:
                differs.append(f"add {named}")
            elif running["peers"][public] != peer.running():
                differs.append(f"set {named}")
        return differs


def interface(
    name: str,
    *,
    address: str | Sequence[str],
    peers: Sequence[Peer],
    listen_port: int | None = None,
    private_key_file: str = "",
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Interface:
    """Declare a WireGuard interface, now and after each boot, by wg-quick's unit.

    Its private key is made on the host if there is none, stands in no other file, and never leaves;
    a file that was lost while the interface runs gets the key that runs.
    New and changed peers are handed to the running interface, so that sessions with the others go on;
    only for another address, or where somebody started it without its unit, it is taken down and up.
    A look asks the running interface, so that a peer that somebody added or removed by hand is found,
    and so is an interface that is gone although its unit is active. Where a peer is now is not
    compared: peers move.

    Args:
        name: of the interface, at most 15 characters.
        address: its own, with the length of its network's prefix: "10.64.0.1/16"; or several. None
            of them link-local: the kernel may give it one of those as well.
        peers: who is at the other end, each with addresses inside the interface's own networks: only
            to those has the running interface a route.
        listen_port: UDP port; None for one that only calls.
        private_key_file: absolute path on the host; "" is /etc/wireguard/NAME.key.
        needs: resources that must be right first.
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a name, key, address, port or endpoint that WireGuard would not take; two
            peers with one key or one address; an address outside the interface's networks.

    Example:
        >>> require.apt.packages(["wireguard-tools"])
        >>> require.wireguard.interface("wg0", address="10.64.1.1/16", peers=[
        ...     require.wireguard.Peer("base64…=", ["10.64.0.1/32"], endpoint="203.0.113.10:51820")])
    """
    what = f"wireguard.interface({name!r})"
    if not re.fullmatch(r"[A-Za-z0-9_=+.-]{1,15}", name):
        raise DeclarationError(f"{what}: wanted a name of 1 to 15 letters, digits and _=+.-")
    if listen_port is not None and not 0 < listen_port < 65536:
        raise DeclarationError(f"{what}: listen_port {listen_port}: wanted 1 to 65535")
    key = file.absolute(private_key_file or f"{FOLDER}/{name}.key")
    if not re.fullmatch(r"[A-Za-z0-9/_.-]+", key):
        raise DeclarationError(f"{what}: {key!r}: wanted a path that a shell reads as it stands")
    given = [address] if isinstance(address, str) else address
    own = [_interface(what, each) for each in given]
    checked = _checked(what, peers, own)
    head = (
        f"# Written by turnaround. The private key is not here: it never leaves {key}.\n[Interface]\n"
        f"Address = {', '.join(map(str, own))}\n"
    )
    head += f"ListenPort = {listen_port}\n" if listen_port else ""
    head += f"PostUp = wg set %i private-key {key}\n"
    reload = systemd.drop_in(f"wg-quick@{name}.service", "reload", content=_RELOAD.format(key=key))
    made = declared(
        Interface(
            path=f"{FOLDER}/{name}.conf",
            kind="file",
            content=(head + "".join(peer.lines() for peer in checked)).encode(),
            mode=0o600,
            owner="root",
            group="root",
            name=name,
            private_key_file=key,
            addresses=tuple(map(str, own)),
            listen_port=listen_port,
            peers=checked,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )
    systemd.service(f"wg-quick@{name}", needs=[made, reload])
    return made


def _interface(what: str, text: str) -> IPv4Interface | IPv6Interface:
    try:
        found = ip_interface(text)
    except ValueError:
        found = None
    if (
        found is None
        or "/" not in text
        or found.is_loopback
        or (found.version == 6 and found.is_link_local)
    ):
        raise DeclarationError(f"{what}: address {text!r}: wanted one such as 10.64.0.1/16")
    return found


def _checked(
    what: str, peers: Sequence[Peer], own: Sequence[IPv4Interface | IPv6Interface]
) -> tuple[Peer, ...]:
    """Return the peers with their addresses as WireGuard prints them."""
    checked = []
    taken: dict[str, str] = {}
    for peer in peers:
        of = f"{what}: peer {peer.name or peer.public_key}"
        # 32 bytes: the last of 43 characters carries four bits.
        if not re.fullmatch(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=", peer.public_key):
            raise DeclarationError(f"{of}: {peer.public_key!r}: wanted 32 bytes in base64")
        if not peer.allowed_ips:
            raise DeclarationError(f"{of}: wanted the addresses that are its own, found none")
        if peer.endpoint and not _is_endpoint(peer.endpoint):
            raise DeclarationError(f"{of}: endpoint {peer.endpoint!r}: wanted address:port")
        if peer.keepalive is not None and not 0 < peer.keepalive < 65536:
            raise DeclarationError(f"{of}: keepalive {peer.keepalive}: wanted 1 to 65535 seconds")
        if "\n" in peer.name:
            raise DeclarationError(f"{of}: wanted a name in one line")
        try:
            allowed = [ip_network(each) for each in peer.allowed_ips]
        except ValueError as error:
            raise DeclarationError(f"{of}: {error}") from error
        for each in allowed:
            if not any(each.version == at.version and each.subnet_of(at.network) for at in own):  # type: ignore[arg-type]
                raise DeclarationError(
                    f"{of}: {each} is outside {', '.join(str(at.network) for at in own)}, and there "
                    "would be no route to it: give the interface an address with a shorter prefix"
                )
        for unique in (peer.public_key, *map(str, allowed)):
            if unique in taken:
                raise DeclarationError(f"{of}: {unique} is that of {taken[unique]} too")
            taken[unique] = peer.name or peer.public_key
        checked.append(replace(peer, allowed_ips=tuple(map(str, allowed))))
    return tuple(checked)


def _is_endpoint(text: str) -> bool:
    # Of a port that there cannot be, wg takes what is left of it in 16 bits.
    found = re.fullmatch(r"\S+:(\d{1,5})", text)
    return found is not None and 0 < int(found[1]) < 65536
