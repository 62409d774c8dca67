"""WireGuard interfaces: the twin of `require.resources.wireguard`."""

from __future__ import annotations

import os
from typing import Any

from require.remote import file
from require.remote.shell import Refused, run

# Nothing secret leaves the programs that know it: of the interface its public key and port are told,
# of a peer its public key, addresses and keepalive; of the key file its mode and the public key to it.
LOOK = r"""
systemctl is-active --quiet "wg-quick@$1.service" && echo unit
wg show "$1" dump | awk -F'\t' 'NR == 1 { print "own", $2, $3 } NR > 1 { print "peer", $1, $4, $8 }'
ip -o address show dev "$1" scope global | awk '{ print "address", $4 }'
test -s "$2" && echo key "$(stat -c %a "$2")" "$(wg pubkey <"$2")"
"""


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at the configuration, the key's file and the interface.

    Args:
        spec: as of a file, and "name", "key" (path).

    Returns:
        As of a file; "unit": whether wg-quick's unit is active; "key": mode of the key's file in
        octal, None without one; "running": None without such an interface, or its "port",
        "addresses", "peers" (allowed addresses and keepalive by public key) and "own": whether its
        key is that of the file.
    """
    lines = run(["sh", "-c", LOOK, "sh", spec["name"], spec["key"]]).out.splitlines()
    said: dict[str, list[list[str]]] = {"unit": [], "own": [], "peer": [], "address": [], "key": []}
    for line in lines:
        word, *rest = line.split()
        said[word].append(rest)
    key = said["key"][0] if said["key"] else [None, ""]
    running = None
    if said["own"]:
        own, port = said["own"][0]
        running = {
            "own": key[1:] == [own],
            "port": int(port),
            "addresses": sorted(address for (address,) in said["address"]),
            "peers": {
                public: [sorted(allowed.split(",")), alive]
                for public, allowed, alive in said["peer"]
            },
        }
    looked = {"unit": bool(said["unit"]), "key": key[0], "running": running}
    return file.probe(spec) | looked


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Make the key's file if there is none, and bring about what is declared.

    An interface that runs takes its new peers before they are kept for the next boot, so that no boot
    ever finds what WireGuard does not take; sessions of peers that stay go on. Only for other
    addresses, or where its unit does not know of it, it is taken down and up.

    Args:
        spec: the question, what a file needs, "addresses", and "sync": what WireGuard itself reads.
        state: what `probe` saw just now.

    Raises:
        Refused: as of a file; its unit is masked, and it runs without.
        Failed: in the words of wg or systemctl.
    """
    running = state["running"]
    unit = f"wg-quick@{spec['name']}.service"
    alone = running is not None and not state["unit"]
    if alone and run(["systemctl", "is-enabled", unit]).out.startswith("masked"):
        raise Refused(f"it runs without its unit, which is masked: systemctl unmask {unit}")
    if state["key"] is None:
        file.put(spec["key"], _key(spec["name"], running).encode(), mode=0o600)
    elif state["key"] != "600":
        os.chmod(spec["key"], 0o600)
    again = state["unit"] if running is None else alone or running["addresses"] != spec["addresses"]
    if running is not None and not again:
        with open(spec["key"]) as key:
            private = f"[Interface]\nPrivateKey = {key.read().strip()}\n"
        run(["wg", "syncconf", spec["name"], "/dev/stdin"], private + spec["sync"]).check()
    file.apply(spec, {name: state[name] for name in state.keys() - {"unit", "key", "running"}})
    if alone:
        run(["ip", "link", "delete", "dev", spec["name"]]).check()
    if again:
        run(["systemctl", "restart", unit], timeout_s=120).check()


def _key(name: str, running: Any) -> str:
    """Return the key of the interface that runs, by which its peers know the host, or a new one."""
    if running is not None:
        kept = run(["wg", "show", name, "private-key"]).check().out
        if kept.strip() != "(none)":
            return kept
    return run(["wg", "genkey"]).check().out
