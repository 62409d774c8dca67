"""What every host is: clock, journal, sshd's limits, our account and our folders."""

from __future__ import annotations

import require
from roles.context import Context


def apply(host: Context) -> None:
    """Declares the base of a host."""
    require.apt.packages(["ca-certificates", "nftables", "procps", "rsync", "sudo"])
    require.host.timezone("Etc/UTC")

    # On a bad link connections are cut and tried again, and the fleet's come through few addresses:
    # without this, sshd would take ops and aircraft for attackers and turn them away.
    require.ssh.server(
        {
            "MaxStartups": "60:30:120",
            "MaxSessions": 30,
            "PerSourcePenalties": False,
            "ClientAliveInterval": 15,
            "ClientAliveCountMax": 4,
        },
        name="20-turnaround-limits",
    )
    require.file.directory("/etc/systemd/journald.conf.d")
    require.file.template(
        "/etc/systemd/journald.conf.d/turnaround.conf",
        template="journald/limits.conf.j2",
        max_use=host.vars.text("journal_max", "200M"),
        notify=[require.systemd.restarted("systemd-journald")],
    )

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
    require.file.directory("/run/turnaround", owner="turnaround", mode=0o755)
    require.file.file(
        "/etc/tmpfiles.d/turnaround.conf",
        content="d /run/turnaround 0755 turnaround turnaround -\n",
    )
    require.file.directory("/opt/turnaround")
    require.file.directory("/opt/turnaround/bin")
