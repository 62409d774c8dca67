"""The control tower: WireGuard between each aircraft and the hangar, and nobody else."""

from __future__ import annotations

import require
from roles.context import Context, Neighbour, in_group

LISTEN_PORT = 51820


def apply(host: Context) -> None:
    """Declares this host's end of the tower."""
    # Where the kernel has no WireGuard, wg-quick falls back to this program.
    userspace = ["wireguard-go"] if host.vars.get("tower_userspace") else []
    require.apt.packages(["wireguard-tools", *userspace])
    is_hangar = "hangar" in host.groups
    peers = in_group(host, "aircraft").values() if is_hangar else [host.hangar]
    # Only the aircraft calls: the hangar learns where each one is from its handshake.
    endpoint = None if is_hangar else host.vars.endpoint("tower_endpoint")
    require.wireguard.interface(
        "wg0",
        # The whole network: every aircraft has a route before it is a peer.
        address=f"{host.tower_address}/{host.vars.network('tower_network').prefixlen}",
        listen_port=LISTEN_PORT if is_hangar else None,
        private_key_file="/etc/turnaround/keys/tower.key",
        peers=[_peer(peer, endpoint) for peer in peers if peer.facts.get("tower_key")],
    )


def _peer(peer: Neighbour, endpoint: str | None) -> require.wireguard.Peer:
    return require.wireguard.Peer(
        peer.facts["tower_key"],
        [f"{peer.tower_address}/32"],
        endpoint,
        keepalive=15 if endpoint else None,
        name=peer.name,
    )
