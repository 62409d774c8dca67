"""What the kernel of a host must be set to, now where it is ours to set, and at each boot."""

from __future__ import annotations

import pytest
from testinfra.host import Host

pytestmark = pytest.mark.hosts


# Of every interface, and of those that are still to come.
EVERYWHERE = {
    "ipv4": {"rp_filter": 1, "accept_redirects": 0, "accept_source_route": 0, "send_redirects": 0},
    "ipv6": {"accept_redirects": 0, "accept_source_route": -1},
}
AT_BOOT = {
    "net.core.default_qdisc = fq",
    "net.ipv4.tcp_congestion_control = bbr",
    "net.ipv4.tcp_syncookies = 1",
    "vm.dirty_bytes = 67108864",
    "vm.swappiness = 10",
    "kernel.kptr_restrict = 2",
    "kernel.dmesg_restrict = 1",
    "kernel.core_pattern = |/bin/false",
    "fs.protected_hardlinks = 1",
    "fs.protected_symlinks = 1",
    "fs.suid_dumpable = 0",
}


def test_an_address_is_believed_on_its_own_side_and_nobody_else_says_the_way(host: Host) -> None:
    # Some have no value that could be read, and that is no fault.
    said = host.run("grep -sH . /proc/sys/net/ipv[46]/conf/*/*").stdout
    found: dict[tuple[str, str], set[int]] = {}
    for line in said.splitlines():
        path, _, value = line.partition(":")
        family, _, _, name = path.split("/")[4:8]
        if name in EVERYWHERE[family]:
            found.setdefault((family, name), set()).add(int(value))
    assert found == {
        (family, name): {value}
        for family, values in EVERYWHERE.items()
        for name, value in values.items()
    }


def test_what_a_lab_cannot_set_is_set_at_boot(host: Host) -> None:
    assert set(host.check_output("cat /etc/sysctl.d/*.conf").splitlines()) >= AT_BOOT
    assert host.sysctl("net.ipv4.tcp_congestion_control") == "bbr"


def test_no_process_leaves_a_core_dump(host: Host) -> None:
    units = "nginx redis-server postgresql@17-main ssh"
    shown = host.check_output(f"systemctl show -p LimitCORE --value {units}")
    assert set(shown.split()) == {"0"}
    assert host.check_output("su - ops -c 'ulimit -H -c'") == "0"
    assert not host.package("systemd-coredump").is_installed
