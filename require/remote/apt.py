"""Debian packages: the twin of `require.resources.apt`."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from require.remote.shell import Done, Failed, Refused, run

# Nothing may ask, and nothing may restart services behind our back: that is what handlers are for.
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
    "NEEDRESTART_MODE": "l",
    "UCF_FORCE_CONFFOLD": "1",
}
KEEP = ["--force-confdef", "--force-confold"]
OPTIONS = [
    "--yes",
    *(f"-o=Dpkg::Options::={option}" for option in KEEP),
    "-o=DPkg::Lock::Timeout=120",
    "-o=Dpkg::Use-Pty=0",
    # A name that no package has is an error, not a pattern: "libstdc++" would install dozens.
    "-o=APT::Cmd::Pattern-Only=true",
]
INTERRUPTED = "dpkg was interrupted"
BROKEN = "fix-broken"
NOT_OFFERED = ("Unable to locate package", "has no installation candidate", "' was not found")
STALE = (*NOT_OFFERED, "404", "Failed to fetch")
VIRTUAL = "is a virtual package provided by"
LOCKED = ("Could not get lock", "lock was locked by another process")
LOCK_S = 120
FORMAT = "${Package}\t${Architecture}\t${db:Status-Abbrev}\t${Version}\n"
UNKNOWN = ("un ", "")

Found = dict[str, tuple[str, str]]

_asked: set[str] = set()
_installed: Found | None = None
_complaint: str | None = None


def prefetch(specs: Sequence[dict[str, Any]]) -> None:
    """Ask dpkg once for all resources of this look."""
    global _asked, _installed
    _asked = {name for spec in specs for name in spec["names"]}
    _installed = query(_asked)


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at dpkg's status.

    Args:
        spec: "names" of packages; "verb" "absent" (with "purge") or "held", else perhaps
            "versions", the wished one by name, and "sources", files that name where they are from.

    Returns:
        "dpkg": whether there is one; for absent "present": names that are not gone, else
        "missing": names that are not fully installed; "held": names that are on hold; "versions"
        of those that are there and wished in one; "waiting": sources that are not there.
    """
    names = spec["names"]
    asked = _installed is not None and _asked.issuperset(names)
    found = _installed if asked else query(names)
    if found is None:
        return {"dpkg": False, "missing": [], "present": []}
    status = {name: found.get(name, UNKNOWN)[0] for name in names}
    verb = spec.get("verb")
    if verb == "absent":
        gone = "n" if spec["purge"] else "nc"
        return {"dpkg": True, "present": [name for name in names if status[name][1] not in gone]}
    missing = [name for name in names if status[name][1:] != "i "]
    state: dict[str, Any] = {"dpkg": True, "missing": missing}
    if spec.get("sources"):
        state["waiting"] = [path for path in spec["sources"] if not os.path.exists(path)]
    if verb == "held":
        state["held"] = [name for name in names if status[name][0] == "h"]
    if spec.get("versions"):
        there = [name for name in spec["versions"] if name not in missing]
        state["versions"] = {name: found[name][1] for name in there}
    return state


def query(names: Sequence[str] | set[str]) -> Found | None:
    """Return status and version of the packages that dpkg knows; None without dpkg.

    One without an architecture in its name is the host's own; dpkg-query would answer for any.
    """
    # dpkg is asked for as well: its own architecture is the host's.
    plain = {name.partition(":")[0] for name in names} | {"dpkg"}
    try:
        done = run(["dpkg-query", "--show", f"--showformat={FORMAT}", *sorted(plain)])
    except FileNotFoundError:
        return None
    if done.code > 1:  # 1: some are not known
        done.check()
    rows = [line.split("\t") for line in done.out.splitlines()]
    own = {"all"} | {row[1] for row in rows if row[0] == "dpkg"}
    found: Found = {}
    for name, architecture, status, version in rows:
        also = [name, *(f"{name}:{each}" for each in own)] if architecture in own else []
        found |= dict.fromkeys([*also, f"{name}:{architecture}"], (status, version))
    return found


def matches(version: str | None, wished: str) -> bool:
    """Whether a version is the wished one, or begins as it does up to its "*". As apt compares."""
    if version is None or not wished.endswith("*"):
        return version == wished
    return version.startswith(wished[:-1])


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Install, remove or hold packages.

    Args:
        spec: the question and, for absent, "purge"; for held, "hold"; else "recommends".
        state: what `probe` saw just now.

    Raises:
        Refused: one to be held is not installed, or others would go with those that are removed.
        Failed: with apt's own words.
    """
    verb = spec.get("verb")
    if verb == "absent":
        remove(state["present"], spec["purge"])
    elif verb == "held":
        _hold(spec, state)
    else:
        wished = spec.get("versions", {})
        there = state.get("versions", {})
        wrong = {name for name in wished if not matches(there.get(name), wished[name])}
        names = [name for name in spec["names"] if name in wrong or name in state["missing"]]
        install(names, spec["recommends"], {name: wished[name] for name in wrong})


def install(
    names: Sequence[str], recommends: bool = False, versions: Mapping[str, str] | None = None
) -> None:
    """Install packages from the lists that are there; fetch new lists only if these do not do.

    Args:
        names: of packages.
        recommends: what they recommend as well.
        versions: by name, for those that are wished in one; older ones and held packages are
            replaced too, for their names are written down.

    Raises:
        Failed: with apt's own words.
    """
    if not names:
        return
    extra = [] if recommends else ["--no-install-recommends"]
    if versions:
        extra += ["--allow-downgrades", "--allow-change-held-packages"]
    pins = versions or {}
    words = [f"{name}={pins[name]}" if name in pins else name for name in names]
    done = _get("install", *extra, "--", *words)
    if done.code != 0:
        raise Failed(f"apt-get install failed: {errors(done)}{_advice(done, pins)}")


def remove(names: Sequence[str], purge: bool) -> None:
    """Remove packages, if nothing else goes or comes with them.

    Raises:
        Refused: something would, which is named.
        Failed: with apt's own words.
    """
    if not names:
        return
    verb = "purge" if purge else "remove"
    # They are named in the declaration, so a hold does not save them.
    words = ["--allow-change-held-packages", "--", *names]
    trial = _get(verb, "--simulate", *words)
    plain = {each for name in names for each in (name, name.partition(":")[0])}
    said = [line.split() for line in trial.out.splitlines()]
    also = [word[1] for word in said if word[:1] in (["Remv"], ["Purg"], ["Inst"])]
    others = sorted(set(also) - plain)
    if others:
        raise Refused(
            f"to remove {' '.join(names)}, apt would remove or install {' '.join(others)} too: "
            "declare those absent as well, or declare first what is to be in their place"
        )
    done = trial if trial.code else _get(verb, *words)
    if done.code != 0:
        raise Failed(f"apt-get {verb} failed: {errors(done)}")


def _hold(spec: dict[str, Any], state: dict[str, Any]) -> None:
    if spec["hold"] and state["missing"]:
        missing = " ".join(state["missing"])
        raise Refused(f"{missing} is not installed: declare it with require.apt.packages")
    names = [name for name in spec["names"] if (name in state["held"]) != spec["hold"]]
    if names:
        patient(["apt-mark", "hold" if spec["hold"] else "unhold", "--", *names]).check()


def _get(verb: str, *words: str) -> Done:
    """Run apt-get; what stands in its way and can be mended is, once."""
    command = ["apt-get", verb, *OPTIONS, *words]
    done = patient(command)
    if done.code != 0 and INTERRUPTED in done.err:
        # Power went in the middle. What this cannot finish, the next one can.
        patient(["dpkg", "--configure", "-a", *KEEP])
        done = patient(command)
    if done.code != 0 and BROKEN in done.err:
        patient(["apt-get", "install", "--fix-broken", *OPTIONS])
        done = patient(command)
    if done.code != 0 and any(sign in done.err for sign in STALE):
        update()
        done = patient(command)
    return done


def update() -> str:
    """Fetch the lists of all sources, once a run; return what apt complained of first.

    One source that cannot be reached is no reason not to install from the others.
    """
    global _complaint
    if _complaint is None:
        done = patient(["apt-get", "update", "-q"])
        said = [line for line in done.err.splitlines() if line.startswith(("E:", "W:"))]
        _complaint = said[0] if said else ""
    return _complaint


def patient(argv: Sequence[str]) -> Done:
    """Run a program; wait for whoever has the lock it wants, which they do not all do themselves."""
    end = time.monotonic() + LOCK_S
    while True:
        done = run(argv, env=ENVIRONMENT, timeout_s=1800)
        locked = done.code != 0 and any(sign in done.err for sign in LOCKED)
        if not locked or time.monotonic() > end:
            return done
        time.sleep(2)


def errors(done: Done, signs: tuple[str, ...] = ("E:", "Err:", "dpkg:")) -> str:
    """Return the last of apt's own words that matter."""
    said = list(dict.fromkeys(done.err.strip().splitlines()))
    return "; ".join(([line for line in said if line.startswith(signs)] or said)[-6:])


def _advice(done: Done, versions: Mapping[str, str]) -> str:
    """Say what to do about a package that is not to be had."""
    if not any(sign in done.err for sign in STALE):
        return ""
    if VIRTUAL in done.out:
        providers = re.findall(r"^  (\S+) \S+$", done.out, re.MULTILINE)
        return f". It is a virtual package: declare one that provides it, {' or '.join(providers)}"
    if _complaint:
        return f". Not all lists could be fetched: {_complaint}"
    if not any(sign in done.err for sign in NOT_OFFERED):
        return ""
    offers = "".join(f", of {name} there is {_offered(name)}" for name in versions)
    return (
        f". The lists of all sources were fetched just now{offers}: is the name right, and is the "
        "require.apt.repository that has it declared and among its needs?"
    )


def _offered(name: str) -> str:
    rows = run(["apt-cache", "madison", "--", name]).out.splitlines()
    return ", ".join(dict.fromkeys(row.split("|")[1].strip() for row in rows)) or "none"
