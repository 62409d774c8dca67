"""WireGuard interfaces: what is planned for the file, the key and what runs."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pytest

import require
from require.errors import DeclarationError
from require.resource import Change, NoChange, Plan, Unknown
from require.resources.wireguard import Interface, Peer

HANGAR, TAB = (b64encode(name.ljust(32)).decode() for name in (b"hangar", b"EC-TAB"))
PEERS = [
    Peer(HANGAR, ["10.64.0.1"], endpoint="203.0.113.10:51820", keepalive=15, name="hangar"),
    Peer(TAB, ["10.64.2.1/32", "10.64.3.0/24"]),
]
TEXT = f"""# Written by turnaround. The private key is not here: it never leaves /etc/wireguard/wg0.key.
[Interface]
Address = 10.64.1.1/16
ListenPort = 51820
PostUp = wg set %i private-key /etc/wireguard/wg0.key

# hangar
[Peer]
PublicKey = {HANGAR}
AllowedIPs = 10.64.0.1/32
Endpoint = 203.0.113.10:51820
PersistentKeepalive = 15

[Peer]
PublicKey = {TAB}
AllowedIPs = 10.64.2.1/32, 10.64.3.0/24
"""
SHA = hashlib.sha256(TEXT.encode()).hexdigest()
RUNS = {
    "own": True,
    "port": 51820,
    "addresses": ["10.64.1.1/16"],
    "peers": {HANGAR: [["10.64.0.1/32"], "15"], TAB: [["10.64.2.1/32", "10.64.3.0/24"], "off"]},
}


def seen(**more: Any) -> dict[str, Any]:
    file = {"kind": "file", "mode": 0o600, "owner": "root", "group": "root", "sha": SHA, "size": 9}
    return file | {"unit": True, "key": "600", "running": RUNS} | more


def runs(**more: Any) -> dict[str, Any]:
    return seen(running=RUNS | more)


def peers(**more: Any) -> dict[str, Any]:
    return runs(peers=RUNS["peers"] | more)  # type: ignore[operator]


CASES: dict[str, tuple[dict[str, Any], Plan]] = {
    "as declared": (seen(), NoChange()),
    "stopped, which is its unit's to mend": (seen(unit=False, running=None), NoChange()),
    "gone, and its unit does not know": (
        seen(running=None),
        Change("start it again: it is gone, and its unit thinks that it runs"),
    ),
    "started by hand, so that its unit cannot": (
        seen(unit=False),
        Change("start it again by its unit, without which it runs"),
    ),
    "no key": (
        seen(unit=False, key=None, running=None),
        Change("make the private key /etc/wireguard/wg0.key"),
    ),
    "a key that is lost, and still runs": (
        seen(key=None, running=RUNS | {"own": False}),
        Change("keep the key that runs in /etc/wireguard/wg0.key"),
    ),
    "a key that others read": (seen(key="644"), Change("mode of the private key 0644 → 0600")),
    "a file that others read": (seen(mode=0o644), Change("mode 0644 → 0600")),
    "another key": (runs(own=False), Change("take the key of /etc/wireguard/wg0.key")),
    "another port": (runs(port=5), Change("port 5 → 51820")),
    "no address": (
        runs(addresses=[]),
        Change("restart it for its address none → 10.64.1.1/16"),
    ),
    "a peer removed by hand": (
        runs(peers={TAB: RUNS["peers"][TAB]}),  # type: ignore[index]
        Change("add peer hangar"),
    ),
    "a peer added by hand": (peers(**{"x=": [["10.64.9.9/32"], "off"]}), Change("remove peer x=")),
    "a peer with more than is its own": (
        peers(**{TAB: [["10.64.0.0/16"], "off"]}),
        Change(f"set peer {TAB}"),
    ),
    "a directory in its place": (
        seen(kind="directory"),
        Unknown("a directory is in the way of this file: move it", blocked=True),
    ),
}


def interface(
    name: str = "wg0", peers: Sequence[Peer] = PEERS, *, address: str = "10.64.1.1/16", **more: Any
) -> Interface:
    with require.declare():
        return require.wireguard.interface(
            name, address=address, peers=peers, **({"listen_port": 51820} | more)
        )


def test_what_wg_quick_reads() -> None:
    assert interface().content.decode() == TEXT
    calls = interface(listen_port=None)
    assert b"ListenPort" not in calls.content
    assert calls.plan(runs(port=5) | {"sha": calls.question()["sha"]}) == NoChange()


@pytest.mark.parametrize(("state", "plan"), CASES.values(), ids=CASES)
def test_plan(state: dict[str, Any], plan: Plan) -> None:
    assert interface().plan(state) == plan


def test_it_is_there_at_each_boot_and_a_reload_by_hand_keeps_its_key() -> None:
    with require.declare() as catalog:
        made = require.wireguard.interface(
            "wg0", address="10.64.1.1/16", peers=[], private_key_file="/etc/keys/tower"
        )
    service = catalog["systemd.service:wg-quick@wg0.service"]
    dropin: Any = catalog["file:/etc/systemd/system/wg-quick@wg0.service.d/reload.conf"]
    assert catalog.needs_of(service) == (made.key, dropin.key)
    assert b"; cat /etc/keys/tower; wg-quick strip %i)" in dropin.content
    assert "file:/etc/keys" in made.natural_needs()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "a/b"}, "wanted a name of 1 to 15"),
        ({"listen_port": 70000}, "wanted 1 to 65535"),
        ({"private_key_file": "/etc/my key"}, "wanted a path that a shell reads"),
        ({"address": "10.64.0.1"}, r"wanted one such as 10\.64\.0\.1/16"),
        ({"address": "tower/16"}, r"wanted one such as 10\.64\.0\.1/16"),
        ({"address": "fe80::1/64"}, r"wanted one such as 10\.64\.0\.1/16"),
        ({"peers": [Peer(TAB, [])]}, "wanted the addresses that are its own"),
        ({"peers": [Peer("short", [])]}, "peer short: 'short': wanted 32 bytes in base64"),
        ({"peers": [Peer(TAB, ["10.64.0.1/8"])]}, "has host bits set"),
        ({"peers": [Peer(TAB, ["10.65.0.1"])]}, r"10\.65\.0\.1/32 is outside 10\.64\.0\.0/16"),
        ({"peers": [Peer(TAB, ["fd00::1"])]}, "there would be no route to it"),
        ({"peers": [Peer(TAB, ["10.64.0.1"], endpoint="203.0.113.10")]}, "wanted address:port"),
        ({"peers": [Peer(TAB, ["10.64.0.1"], endpoint="hangar:99999")]}, "wanted address:port"),
        ({"peers": [Peer(TAB, ["10.64.0.1"], keepalive=0)]}, "keepalive 0"),
        ({"peers": [Peer(TAB, ["10.64.0.1"], name="a\nb")]}, "wanted a name in one line"),
        (
            {"peers": [Peer(TAB, ["10.64.0.1"]), Peer(TAB, ["10.64.0.2"], name="b")]},
            f"peer b: {TAB} is that of {TAB}",
        ),
        (
            {"peers": [Peer(TAB, ["10.64.0.1"], name="a"), Peer(HANGAR, ["10.64.0.1"], name="b")]},
            r"peer b: 10\.64\.0\.1/32 is that of a too",
        ),
    ],
)
def test_what_wireguard_would_not_take_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        interface(**given)
