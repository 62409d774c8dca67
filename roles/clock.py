"""The clock: aircraft follow the hangar over the tower, and the hangar follows the world."""

from __future__ import annotations

import require
from roles.context import Context

PORT = 123
_CONTAINER = """\
# Written by turnaround. Here the clock is another's: the time is told, and never set.
[Unit]
ConditionCapability=
[Service]
Environment="DAEMON_OPTS=-F 1 -x"
EnvironmentFile=
"""


def apply(host: Context) -> None:
    """Declares where the time comes from; a host that is neither hangar nor aircraft keeps what it has.

    Where the inventory says `kernel_shared` the clock is not ours to set: then the hangar only tells
    the time, and an aircraft's client is configured but does not run.
    """
    own = not host.vars.flag("kernel_shared", False)
    if "hangar" in host.groups:
        _serve(host, own)
    elif "aircraft" in host.groups:
        _follow(host, own)


def _serve(host: Context, own: bool) -> None:
    # Not ntpsec: chrony goes on telling the time while no one upstream answers, so that the fleet
    # agrees with its hangar; it comes right within seconds after hours without; and it needs no Python.
    package = require.apt.packages(["chrony"])
    restarted = [require.systemd.restarted("chrony")]
    require.file.template(
        "/etc/chrony/chrony.conf",
        template="chrony/hangar.conf.j2",
        servers=host.vars.text("ntp_servers", "2.debian.pool.ntp.org").split(),
        tower_address=host.tower_address,
        tower_network=host.vars.network("tower_network"),
        needs=[package],
        notify=restarted,
    )
    if not own:
        require.systemd.drop_in("chrony", "container", content=_CONTAINER, notify=restarted)
    require.systemd.service("chrony", needs=[package])


def _follow(host: Context, own: bool) -> None:
    # At boot, before anybody can be asked, it takes up the time that it saved last: WireGuard refuses
    # who comes from the past.
    package = require.apt.packages(["systemd-timesyncd"])
    require.file.directory("/etc/systemd/timesyncd.conf.d")
    require.file.template(
        "/etc/systemd/timesyncd.conf.d/turnaround.conf",
        template="timesyncd/aircraft.conf.j2",
        hangar=host.hangar.tower_address,
        needs=[package],
        notify=[require.systemd.restarted("systemd-timesyncd")],
    )
    require.systemd.service("systemd-timesyncd", running=True if own else None, needs=[package])
