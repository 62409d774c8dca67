"""Who gets in, and what is known of it afterwards."""

from __future__ import annotations

import require
from roles.context import Context


def apply(host: Context) -> None:
    """Declares that only keys open this host, nobody as root, and that sudo tells who did what.

    First contact shuts root and passwords out as well, before anything else is here.
    """
    require.ssh.server(
        {
            "PermitRootLogin": False,
            "PasswordAuthentication": False,
            "KbdInteractiveAuthentication": False,
            "X11Forwarding": False,
            # On a bad link connections are cut and tried again, and the fleet's come through few
            # addresses: without this, sshd would take ops and aircraft for attackers and turn them away.
            "MaxStartups": "60:30:120",
            "MaxSessions": 30,
            "PerSourcePenalties": False,
            "ClientAliveInterval": 15,
            "ClientAliveCountMax": 4,
        },
        name="20-turnaround-limits",
    )
    require.user.user("root", locked=True)
    require.file.template(
        "/etc/sudoers.d/turnaround",
        template="sudo/defaults.sudoers.j2",
        mode=0o440,
        validate=["visudo", "-c", "-f", "{}"],
    )
