"""The control tower: WireGuard between each aircraft and the hangar, and nobody else."""

from __future__ import annotations

from typing import Any

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
    require.file.template(
        "/etc/wireguard/wg0.conf",
        template="tower/wg0.conf.j2",
        mode=0o600,
        name=host.name,
        # The whole network, so that the route is there before the peers are: a reload adds peers, not routes.
        address=f"{host.tower_address}/{host.vars.network('tower_network').prefixlen}",
        listen_port=LISTEN_PORT if is_hangar else None,
        peers=[_peer(peer, endpoint) for peer in peers if peer.facts.get("tower_key")],
        notify=[require.systemd.reloaded("wg-quick@wg0")],
    )
    require.systemd.drop_in("wg-quick@.service", "reload", template="tower/reload.conf.j2")
    require.systemd.service("wg-quick@wg0")


def _peer(peer: Neighbour, endpoint: str | None) -> dict[str, Any]:
    return {
        "name": peer.name,
        "key": peer.facts["tower_key"],
        "address": peer.tower,
        "endpoint": endpoint,
    }
