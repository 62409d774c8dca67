"""What stays on a host outside all releases: the program that receives, switches and returns them."""

from __future__ import annotations

from pathlib import Path

import require
from roles.context import Context

SOURCES = Path(__file__).resolve().parent.parent / "fleet" / "aboard"
# The namespaces of what ops sign: releases, and configurations that wait at the hangar.
SIGNED = "turnaround-release,turnaround-configuration"
# Isolated: root's import path holds nothing of the caller's folder or environment.
PROGRAM = '#!/bin/sh\nexec /usr/bin/python3 -B -I /opt/turnaround/aboard "$@"\n'


def apply(host: Context) -> None:
    """Declares `/opt/turnaround/bin/aboard`, and who calls it when a trial ran out with nobody near."""
    require.file.directory("/opt/turnaround/aboard")
    for source in sorted(SOURCES.glob("*.py")):
        require.file.file(f"/opt/turnaround/aboard/{source.name}", content=source.read_bytes())
    require.file.file("/opt/turnaround/bin/aboard", content=PROGRAM, mode=0o755)
    # Whose releases are taken in, and as which fleet's.
    require.file.file("/etc/turnaround/fleet_name", content=f"{host.fleet}\n")
    require.file.file(
        "/etc/turnaround/keys/release_signers",
        content="".join(
            f'release namespaces="{SIGNED}" {key}\n'
            for key in host.vars.public_keys("release_signers")
        ),
    )
    # Before anything was shipped, too: a unit with a place to write that is not there does not start.
    require.file.directory("/var/lib/turnaround/aboard")
    require.systemd.unit("turnaround-aboard-recover.service", template="systemd/recover.service.j2")
    require.systemd.service("turnaround-aboard-recover", running=None)
    require.systemd.timer(
        "turnaround-aboard-recover",
        unit="turnaround-aboard-recover",
        on_boot="1min",
        every="1min",
        description="Look each minute whether a trial release ran out",
    )
