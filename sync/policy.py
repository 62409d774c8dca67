"""What may pass over the link that an aircraft has now: how fast, how large, which kinds of content.

The inventory names a rule for an interface, so the interface of the way to the tower says which holds. A
change-set always passes: rows are few bytes and everybody waits for them. Pure, but for `now`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from common.settings import LinkRule, Settings

__all__ = ["Policy", "interface", "now"]

ROUTES = Path("/proc/net/route")
_UP = 1  # RTF_UP of linux/route.h


@dataclass(frozen=True)
class Policy:
    """The rule of the interface that is the way now; '' and no rule where none is known."""

    interface: str = ""
    rule: LinkRule = field(default_factory=LinkRule)

    def against(self, kind: str, size: int) -> str:
        """Return why an item of a kind with so many bytes still to come waits; '' when it may come.

        >>> Policy("wwan0", LinkRule(name="metered", largest_mb=50)).against("film", 60_000_000)
        'on metered (wwan0) nothing above 50 MB comes, and 60.0 MB are missing'
        """
        where = f"on {self.rule.name} ({self.interface})"
        if self.rule.kinds is not None and kind not in self.rule.kinds:
            return f"{where} nothing but {', '.join(self.rule.kinds) or 'rows'} comes"
        most = self.rule.largest_mb
        if most is not None and size > most * 1_000_000:
            return f"{where} nothing above {most} MB comes, and {size / 1e6:.1f} MB are missing"
        return ""

    @property
    def kib_s(self) -> int:
        """The rate that rsync is held to, in KiB/s; 0 for none."""
        return max(1, self.rule.kbit * 1000 // 8 // 1024) if self.rule.kbit else 0


def interface(routes: str, towards: str) -> str:
    """Return the interface by which an address is reached, '' when it is not.

    Arguments: `routes` is the text of /proc/net/route; `towards` is the address, or a name, which is
    taken to be wherever the default route leads.
    """
    try:
        wanted = IPv4Address(towards)
    except ValueError:
        wanted = IPv4Address("255.255.255.255")
    best: tuple[int, int, str] | None = None
    for line in routes.splitlines()[1:]:
        name, target, _, flags, _, _, metric, mask, *_ = line.split()
        # In the byte order of the machine.
        start, length = _address(target), bin(int(mask, 16)).count("1")
        if not int(flags, 16) & _UP or wanted not in IPv4Network((start, length), strict=False):
            continue
        rank = (length, -int(metric), name)
        best = rank if best is None else max(best, rank)
    return best[2] if best else ""


def _address(digits: str) -> int:
    return int.from_bytes(bytes.fromhex(digits)[::-1])


def now(settings: Settings, routes: Path = ROUTES) -> Policy:
    """Return the policy of the way that there is now.

    >>> now(settings).rule.name  # doctest: +SKIP
    'metered'
    """
    try:
        found = interface(routes.read_text(), settings.tower_endpoint.rpartition(":")[0])
    except OSError:
        found = ""
    return Policy(found, settings.links.get(found, LinkRule()))
