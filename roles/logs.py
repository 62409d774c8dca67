"""Logs: bounded in size, whether in the journal or beside it."""

from __future__ import annotations

import require
from roles.context import Context


def apply(host: Context) -> None:
    """Declares the journal's limits, and who rotates what is written beside it."""
    require.file.directory("/etc/systemd/journald.conf.d")
    require.file.template(
        "/etc/systemd/journald.conf.d/turnaround.conf",
        template="journald/limits.conf.j2",
        max_use=host.vars.text("journal_max", "200M"),
        notify=[require.systemd.restarted("systemd-journald")],
    )
    package = require.apt.packages(["logrotate"])
    require.file.template(
        "/etc/logrotate.conf",
        template="logrotate/logrotate.conf.j2",
        largest=host.vars.text("log_max", "20M"),
        needs=[package],
    )
    # Once a day, as it comes, is too seldom for a limit.
    require.systemd.drop_in(
        "logrotate.timer",
        "turnaround",
        content="[Timer]\nOnCalendar=\nOnCalendar=hourly\nAccuracySec=1min\n",
        notify=[require.systemd.restarted("logrotate.timer")],
    )
    require.systemd.service("logrotate.timer", needs=[package])
