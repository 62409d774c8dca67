"""The cabin: addresses and names for phones, and how they find the portal."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import require
from roles.context import Context

# Where phones look whether the internet is there; they are led to the portal from it. Names that are used for
# more than that, such as www.google.com, are left out: whatever else is asked there would reach us.
PROBE_NAMES = (
    "connectivitycheck.gstatic.com",  # Android
    "connectivitycheck.android.com",
    "clients3.google.com",
    "connectivitycheck.platform.hicloud.com",  # Huawei
    "connect.rom.miui.com",  # Xiaomi
    "captive.apple.com",
    "www.msftconnecttest.com",  # Windows
    "www.msftncsi.com",
    "spectrum.s3.amazonaws.com",  # Kindle
    "detectportal.firefox.com",
)
PROBE_PATHS = (
    "/generate_204",
    "/gen_204",
    "/hotspot-detect.html",
    "/connecttest.txt",
    "/ncsi.txt",
    "/kindle-wifi/wifistub.html",
    "/canonical.html",
    "/success.txt",
)
# The access points and what else is built in are below, and the last few are left to what ops bring along.
FIRST, LAST = 100, -6


def apply(host: Context, address: str, name: str) -> None:
    """Declares what phones get from this host.

    Args:
        host: an aircraft.
        address: its own in the cabin.
        name: of the portal, where there is a certificate for it.

    Raises:
        require.DeclarationError: the cabin's network has no place for it, or for phones.

    Example: `cabin.apply(host, "10.20.0.1", "portal.example.aero")`
    """
    network = host.vars.network("cabin_network")
    first, last = leased(network, address)
    require.apt.packages(["dnsmasq-base"])
    restarted = [require.systemd.restarted("turnaround-dnsmasq")]
    require.file.template(
        "/etc/turnaround/dnsmasq.conf",
        template="dnsmasq/dnsmasq.conf.j2",
        validate=["dnsmasq", "--test", "--conf-file={}"],
        address=address,
        netmask=network.netmask,
        first=first,
        last=last,
        most=int(last) - int(first) + 1,
        name=name,
        probe_names=PROBE_NAMES,
        notify=restarted,
    )
    require.systemd.unit(
        "turnaround-dnsmasq.service", template="systemd/dnsmasq.service.j2", notify=restarted
    )
    require.systemd.service("turnaround-dnsmasq")
    # Else every address of ours is told to whoever asks for it in the cabin.
    require.sysctl.setting("net.ipv4.conf.all.arp_ignore", 1)


def leased(network: IPv4Network, address: str) -> tuple[IPv4Address, IPv4Address]:
    """Returns the first and the last address that phones get.

    Raises:
        require.DeclarationError: there are none, or the host's own address is one of them.

    >>> leased(IPv4Network("10.20.0.0/22"), "10.20.0.1")
    (IPv4Address('10.20.0.100'), IPv4Address('10.20.3.250'))
    """
    if network.prefixlen > 24:
        raise require.DeclarationError(
            f"cabin_network is {network}; expected 256 addresses or more, such as 10.20.0.0/22"
        )
    first, last = network[FIRST], network[LAST]
    if IPv4Address(address) not in network or first <= IPv4Address(address) <= last:
        raise require.DeclarationError(
            f"cabin_address is {address}; expected one of {network[1]} to {network[FIRST - 1]}, in "
            "cabin_network and below the addresses that phones get"
        )
    return first, last
