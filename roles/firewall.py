"""What a host answers on which side; everything else is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import require
from roles.context import Context


@dataclass(frozen=True)
class Side:
    """One interface, and what is answered there.

    Args:
        interface: its name.
        tcp: ports.
        udp: ports.
        ipv6: whether IPv6 is spoken there, too; the ports are then the same.
        strangers: whoever is there is nobody's: each of them may open and hold so many connections,
            addresses are leased, and this host opens nothing to that side by itself.
    """

    interface: str
    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()
    ipv6: bool = False
    strangers: bool = False


def apply(host: Context, sides: Sequence[Side]) -> None:
    """Declares the firewall of a host.

    Example: `firewall.apply(host, [Side("cabin0", tcp=(80,), strangers=True), Side("wg0", tcp=(22,))])`
    """
    require.nftables.ruleset(template="firewall/nftables.conf.j2", name=host.name, sides=sides)
