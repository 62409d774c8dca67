"""Where this machine gets Debian from: the lab's hosts use the same mirror, and none is written down here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ci.lab import shell
from ci.lab.errors import LabFault

_CODENAMES = r"(?:bullseye|bookworm|trixie|forky|sid|(?:old){0,2}stable|testing|unstable)"
_MAIN = re.compile(_CODENAMES)
_SECURITY = re.compile(rf"{_CODENAMES}(?:-security|/updates)")
# Proxies and how strict this machine is about dates; paths in other settings exist only here.
_PASSED_ON = re.compile(
    r'Acquire::(?:https?::Proxy(?:::[^ ]+)?|Check-Valid-Until|Check-Date|Retries) "[^"]*";'
)

_TARGETS = ("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages")
_UPDATE_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Mirror:
    """Debian as this machine reaches it.

    Args:
        archive: address of the main archive.
        security: address of the security archive, or empty when this machine has none.
        settings: lines of apt configuration (proxy, dates) that the hosts need too.
    """

    archive: str
    security: str
    settings: tuple[str, ...] = ()

    def sources(self, suite: str) -> list[str]:
        """Returns the lines of a sources.list for that suite.

        >>> Mirror("http://d/debian/", "").sources("trixie")[0]
        'deb http://d/debian/ trixie main'
        """
        lines = [f"deb {self.archive} {name} main" for name in (suite, f"{suite}-updates")]
        if self.security:
            lines.append(f"deb {self.security} {suite}-security main")
        return lines


def parse(
    targets: str, config: str, read: Callable[[Path], str] = lambda path: path.read_text()
) -> Mirror:
    """Finds Debian's mirrors in what apt says about itself. Pure but for `read`.

    Args:
        targets: lines "URI RELEASE", from `apt-get indextargets`.
        config: what `apt-config dump Acquire` prints.
        read: reads a list of mirrors, which `mirror+file:` addresses name.

    Raises:
        LabFault: none of apt's sources is Debian.
    """
    archive = security = ""
    for line in targets.splitlines():
        uri, _, release = line.partition(" ")
        if not archive and _MAIN.fullmatch(release):
            archive = _resolve(uri, read)
        if not security and _SECURITY.fullmatch(release):
            security = _resolve(uri, read)
    if not archive:
        raise LabFault(
            "apt on this machine has no Debian mirror, and the lab's hosts are Debian 13",
            "add one to /etc/apt/sources.list.d (a Debian machine has it already)",
        )
    settings = tuple(line for line in config.splitlines() if _PASSED_ON.fullmatch(line))
    return Mirror(archive, security, settings)


def _resolve(uri: str, read: Callable[[Path], str]) -> str:
    if uri.startswith("mirror+file:"):
        path = Path("/" + uri.removeprefix("mirror+file:").strip("/"))
        lines = [line.split()[0] for line in read(path).splitlines() if line.strip()]
        return next((line for line in lines if not line.startswith("#")), "")
    return uri


def of_this_machine(run: Callable[..., str] = shell.run) -> Mirror:
    """Reads apt's settings of this machine.

    Args:
        run: runs a program and returns what it printed.

    Raises:
        LabFault: none of apt's sources is Debian, or none answers.
    """
    targets = run(_TARGETS)
    # Apt names no source that was never updated, and some may have been without the others.
    releases = [line.partition(" ")[2] for line in targets.splitlines()]
    if not all(any(kind.fullmatch(name) for name in releases) for kind in (_MAIN, _SECURITY)):
        run(("apt-get", "update"), timeout_s=_UPDATE_TIMEOUT_S)
        targets = run(_TARGETS)
    return parse(targets, run(("apt-config", "dump", "Acquire")))
