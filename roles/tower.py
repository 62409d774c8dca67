"""The control tower: WireGuard between each aircraft and the hangar, and nobody else."""

from __future__ import annotations

import require
from roles.context import Context, Neighbour, in_group, keys_of

LISTEN_PORT = 51820
FOLLOW = "turnaround-tower-follow"


def apply(host: Context) -> None:
    """Declares this host's end of the tower."""
    # Where the kernel has no WireGuard, wg-quick falls back to this program.
    userspace = ["wireguard-go"] if host.vars.flag("tower_userspace", False) else []
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
    if not is_hangar:
        _follow(host.hangar)


def _follow(hangar: Neighbour) -> None:
    """Declares what finds the way back while a key of the tower is changed, at either end."""
    require.systemd.unit(f"{FOLLOW}.service", template="systemd/tower-follow.service.j2")
    require.systemd.service(FOLLOW, running=None)
    coming = "/etc/turnaround/keys/tower.hangar.next"
    # After the interface: what follows reads its configuration as long as this is there.
    if len(keys := keys_of(hangar, "tower_key")) > 1:
        require.file.file(
            coming, content=f"{keys[1]}\n", notify=[require.systemd.restarted(FOLLOW)]
        )
    else:
        require.file.absent(coming)


def _peer(peer: Neighbour, endpoint: str | None) -> require.wireguard.Peer:
    """One key of two: an address has one peer. Of an aircraft it is the one that comes, which that
    aircraft finds out; of the hangar the one that it has, and aircraft are told of the other."""
    keys = keys_of(peer, "tower_key")
    return require.wireguard.Peer(
        keys[0] if endpoint else keys[-1],
        [f"{peer.tower_address}/32"],
        endpoint,
        keepalive=15 if endpoint else None,
        name=peer.name,
    )
