"""What a host answers on which side; everything else is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import require
from roles.context import Context


@dataclass(frozen=True)
class Side:
    """One interface and the ports that it answers."""

    interface: str
    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()


def apply(host: Context, sides: Sequence[Side]) -> None:
    """Declares the firewall of a host.

    Example: `firewall.apply(host, [Side("cabin0", tcp=(80,)), Side("wg0", tcp=(22,))])`
    """
    require.nftables.ruleset(template="firewall/nftables.conf.j2", name=host.name, sides=sides)
