"""What the host under test is to be: generation after generation, each unlike every other in all its parts.

The unit `faults-told` notes at each restart what the files were then. So it can be seen afterwards how often
it was restarted, and whether that was after the last change.
"""

from __future__ import annotations

import hashlib

import require

TOP = "/srv/faults"
TOLD = "/var/log/faults-told"
UNIT = "faults-told.service"
COUNT = 12
SLOW_S = 0.2  # so that there is a middle to be cut in
LARGE = 300_000

_UNIT = f"""\
[Unit]
Description=Notes what the files of the fault tables are when it is restarted
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'sleep 0.1; cat {TOP}/*.conf | sha256sum | cut -c1-64 >>{TOLD}'
"""


def text(number: int, generation: int) -> str:
    """Returns what one of the files holds; the first is larger than any one write."""
    line = f"file {number} of generation {generation:06d}\n"
    return line * (LARGE // len(line) if number == 0 else 40)


def files(generation: int) -> dict[str, str]:
    """Returns the files of a generation by path."""
    return {f"{TOP}/{number:02d}.conf": text(number, generation) for number in range(COUNT)}


def sums(generation: int) -> dict[str, str]:
    """Returns the SHA-256 of each file of a generation by path."""
    return {
        path: hashlib.sha256(content.encode()).hexdigest()
        for path, content in files(generation).items()
    }


def told(generation: int) -> str:
    """Returns what the unit notes when all files are of this generation."""
    return hashlib.sha256("".join(files(generation).values()).encode()).hexdigest()


def catalog(generation: int) -> require.Catalog:
    """Declares a generation: files, a link, a block of lines, a command; most of them restart the unit."""
    with require.declare(role="faults") as declared:
        restart = [require.systemd.restarted(UNIT)]
        require.systemd.unit(UNIT, content=_UNIT)
        require.file.directory(TOP)
        for path, content in files(generation).items():
            require.file.file(path, content=content, notify=restart)
        require.file.link(f"{TOP}/generation", f"{generation:06d}", notify=restart)
        require.line.block("/etc/hosts", f"10.9.9.9 faults-{generation:06d}", name="faults")
        require.command.command(
            "slow",
            f"sleep {SLOW_S}; echo {generation} >{TOP}/slow",
            unless=f"grep -qx {generation} {TOP}/slow",
        )
    return declared
