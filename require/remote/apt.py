"""Debian packages: the twin of `require.resources.apt`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from require.remote.shell import Done, Failed, run

# Nothing may ask, and nothing may restart services behind our back: that is what handlers are for.
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
    "NEEDRESTART_MODE": "l",
    "UCF_FORCE_CONFFOLD": "1",
}
OPTIONS = [
    "--yes",
    "-o=Dpkg::Options::=--force-confdef",
    "-o=Dpkg::Options::=--force-confold",
    "-o=DPkg::Lock::Timeout=120",
    "-o=Dpkg::Use-Pty=0",
]
INTERRUPTED = "dpkg was interrupted"
FORMAT = "${Package}\t${Architecture}\t${db:Status-Abbrev}\n"

_asked: set[str] = set()
_installed: set[str] | None = None


def prefetch(specs: Sequence[dict[str, Any]]) -> None:
    """Ask dpkg once for all resources of this look."""
    global _asked, _installed
    _asked = {name for spec in specs for name in spec["names"]}
    _installed = installed(sorted(_asked))


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at dpkg's status.

    Args:
        spec: "names" of packages.

    Returns:
        "dpkg": whether there is one; "missing": names that are not fully installed.
    """
    asked = _installed is not None and _asked.issuperset(spec["names"])
    found = _installed if asked else installed(spec["names"])
    if found is None:
        return {"dpkg": False, "missing": []}
    return {"dpkg": True, "missing": [name for name in spec["names"] if name not in found]}


def installed(names: Sequence[str]) -> set[str] | None:
    """Return which of some packages are installed and configured; None without dpkg."""
    if not names:
        return set()
    try:
        done = run(["dpkg-query", "--show", f"--showformat={FORMAT}", *names])
    except FileNotFoundError:
        return None
    found = set()
    for line in done.out.splitlines():
        name, architecture, status = line.split("\t")
        if status[1:] == "i ":
            found |= {name, f"{name}:{architecture}"}
    return found


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Install what is missing.

    Args:
        spec: "names", "recommends".
        state: what `probe` saw just now.
    """
    install(state["missing"], spec["recommends"])


def install(names: Sequence[str], recommends: bool = False) -> None:
    """Install packages from the lists that are there; fetch new lists only if these do not do.

    Raises:
        Failed: with apt's own words.
    """
    if not names:
        return
    extra = [] if recommends else ["--no-install-recommends"]
    command = ["apt-get", "install", *OPTIONS, *extra, "--", *names]
    done = run(command, env=ENVIRONMENT, timeout_s=1800)
    if done.code != 0 and INTERRUPTED in done.err:
        # Power went in the middle. Not done before apt asks for it: unlike apt, dpkg waits for no lock.
        run(["dpkg", "--configure", "-a"], env=ENVIRONMENT, timeout_s=1800).check()
        done = run(command, env=ENVIRONMENT, timeout_s=1800)
    if done.code != 0 and _stale(done):
        update = run(["apt-get", "update", "-q"], env=ENVIRONMENT, timeout_s=600)
        if update.code != 0:
            raise Failed(f"apt-get update failed: {_errors(update)}")
        done = run(command, env=ENVIRONMENT, timeout_s=1800)
    if done.code != 0:
        raise Failed(f"apt-get install failed: {_errors(done)}")


def _stale(done: Done) -> bool:
    signs = ("Unable to locate package", "has no installation candidate", "404", "Failed to fetch")
    return any(sign in done.err for sign in signs)


def _errors(done: Done) -> str:
    lines = [line for line in done.err.splitlines() if line.startswith(("E:", "Err:", "dpkg:"))]
    return "; ".join(lines[-6:] or done.err.strip().splitlines()[-6:])
