"""What every host is: its name, sshd's limits, our account and our folders, and the roles of all."""

from __future__ import annotations

import require
from roles import access, clock, kernel, logs, upgrades
from roles.context import Context


def apply(host: Context) -> None:
    """Declares the base of a host."""
    require.apt.packages(["ca-certificates", "nftables", "procps", "rsync", "sudo"])
    require.host.hostname(host.name)
    require.host.hosts_entry("127.0.1.1", host.name)
    require.host.timezone("Etc/UTC")
    require.host.locale("C.UTF-8")

    # In the air the ramp is unplugged, and waiting for it would keep the tower down for two minutes.
    require.systemd.service("systemd-networkd-wait-online", enabled=False, running=None)
    # So nothing waits for an address either: what binds one must be able to before it is there.
    require.sysctl.setting("net.ipv4.ip_nonlocal_bind", 1)
    # It held this setting before. Read after the one above, it would win over another value there.
    require.file.absent("/etc/sysctl.d/60-turnaround.conf")

    require.user.user("turnaround", system=True, home="/var/lib/turnaround")
    require.file.directory("/etc/turnaround", mode=0o755)
    require.file.directory("/etc/turnaround/keys", mode=0o750, group="turnaround")
    # Root's: beside our account's folders it holds what the engine and `aboard` act on as root.
    require.file.directory("/var/lib/turnaround", mode=0o755)
    # Our account makes its sockets here; the links that say who serves are root's, and stay so.
    require.file.directory("/run/turnaround", group="turnaround", mode=0o1775)
    require.file.file(
        "/etc/tmpfiles.d/turnaround.conf",
        content="d /run/turnaround 1775 root turnaround -\n",
    )
    require.file.directory("/opt/turnaround")
    require.file.directory("/opt/turnaround/bin")

    kernel.apply(host)
    clock.apply(host)
    logs.apply(host)
    access.apply(host)
    upgrades.apply(host)
