"""Security updates of Debian: by themselves at the hangar, by order aboard."""

from __future__ import annotations

import require
from roles.context import Context


def apply(host: Context) -> None:
    """Declares that security updates and nothing else are installed, and who says when.

    At the hangar that is apt's timer, each day; nothing restarts the machine. An aircraft does nothing
    by itself: an update restarts what it changes, PostgreSQL too, and a timer knows neither that it is
    aloft nor that the link is dear. There ops call /opt/turnaround/bin/upgrade, which fetches everything
    first and refuses unless the aircraft is on the ground. `upgrade_daily` in the inventory says otherwise.
    """
    aircraft = "aircraft" in host.groups
    require.apt.unattended_upgrades(daily=host.vars.flag("upgrade_daily", not aircraft))
    if aircraft:
        require.file.template(
            "/opt/turnaround/bin/upgrade", template="bin/upgrade.sh.j2", mode=0o755
        )
