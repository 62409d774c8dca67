"""The kernel's settings: who may send us where, what a power cut costs, what a process may learn."""

from __future__ import annotations

import require
from roles.context import Context

# Its own in each network namespace, so also where the kernel is another's.
NETWORK: tuple[tuple[str, int], ...] = (
    # An address is believed only on the side that leads to it: a passenger cannot write to us from the
    # tower's. A kernel takes the greater of "all" and the interface's; Debian sets "default" by name.
    ("net.ipv4.conf.all.rp_filter", 1),
    ("net.ipv4.conf.default.rp_filter", 1),
    ("net.ipv4.conf.*.rp_filter", 1),
    # Nobody else says which way our packets go.
    ("net.ipv4.conf.*.accept_redirects", 0),
    ("net.ipv6.conf.*.accept_redirects", 0),
    ("net.ipv4.conf.all.accept_source_route", 0),
    ("net.ipv4.conf.default.accept_source_route", 0),
    ("net.ipv4.conf.*.accept_source_route", 0),
    # -1 refuses every routing header; 0 still takes that of mobile hosts.
    ("net.ipv6.conf.*.accept_source_route", -1),
    # We forward nothing, so we know no better way for anybody.
    ("net.ipv4.conf.*.send_redirects", 0),
    # A flood of half-open connections fills no queue.
    ("net.ipv4.tcp_syncookies", 1),
)
# Of the whole machine.
MACHINE: tuple[tuple[str, str | int], ...] = (
    # Paced by each flow, as bbr wants it; interfaces have it from their next start on.
    ("net.core.default_qdisc", "fq"),
    # Power goes without notice: what a program has written waits for the disk a few seconds, and never
    # grows to what takes longer to write than a shutdown lasts.
    ("vm.dirty_background_bytes", 16 << 20),
    ("vm.dirty_bytes", 64 << 20),
    ("vm.dirty_expire_centisecs", 1000),
    # Film that was read once is forgotten before the database's memory is written to a slow disk.
    ("vm.swappiness", 10),
    # Where the kernel lies in memory, and what it says at boot, helps only who attacks it.
    ("kernel.kptr_restrict", 2),
    ("kernel.dmesg_restrict", 1),
    # A process of ours cannot read another's memory.
    ("kernel.yama.ptrace_scope", 1),
    # In folders that all may write, nobody is led to another's file.
    ("fs.protected_hardlinks", 1),
    ("fs.protected_symlinks", 1),
    ("fs.protected_fifos", 2),
    ("fs.protected_regular", 2),
    # A core dump holds keys and passengers' words, and fills the disk.
    ("fs.suid_dumpable", 0),
    ("kernel.core_pattern", "|/bin/false"),
)


def apply(host: Context) -> None:
    """Declares the kernel's settings, and that nothing dumps its memory to the disk.

    Where the inventory says `kernel_shared` the host is a container: what belongs to the whole machine
    is kept for a boot of its own, and left to whose the kernel is.
    """
    own = not host.vars.flag("kernel_shared", False)
    for name, number in NETWORK:
        require.sysctl.setting(name, number)
    # On a link that loses a packet in a hundred, cubic takes each loss for a jam and starves.
    require.sysctl.setting(
        "net.ipv4.tcp_congestion_control", host.vars.text("congestion_control", "bbr")
    )
    for name, value in MACHINE:
        require.sysctl.setting(name, value, now=own)

    require.file.directory("/etc/systemd/system.conf.d")
    require.file.file(
        "/etc/systemd/system.conf.d/turnaround.conf",
        content="# Written by turnaround.\n[Manager]\nDefaultLimitCORE=0\n",
        notify=[require.command.handler("limits of systemd", ["systemctl", "daemon-reload"])],
    )
    require.file.file(
        "/etc/security/limits.d/turnaround.conf",
        content="# Written by turnaround.\n* hard core 0\nroot hard core 0\n",
    )
