"""What `fab deploy`, `fab releases` and `fab rollback` do on many hosts at once, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from fleet import release
from fleet.aboard.manifest import MAPS, is_kind
from fleet.artifact import Artifact
from fleet.build import KINDS
from fleet.errors import Exit, UsageError
from fleet.inventory import Host
from fleet.release import Link, Release
from fleet.report import Outcome, Reporter
from fleet.slots import on_each
from fleet.target import sweeping

_REMEDIES = {
    "returned": "the release before serves; mend what the reason says and deploy the next revision",
    "refused": "the release before was never left; mend what the reason says and deploy again",
    "busy": "nothing was changed; run the same command again when the other is done",
    "failed": "the release before serves; run the same command again when the reason is gone",
}
_REMEDIES_BACK = {**_REMEDIES, "failed": "what is current goes on serving"}


class Links(Protocol):
    """The ways to hosts; `fleet.connections.Connections` is one."""

    def to(self, host: Host) -> Link: ...

    def hang_up(self, host: Host) -> None: ...


def in_group(hosts: Sequence[Host], target: str, group: str, instead: str) -> tuple[Host, ...]:
    """The hosts that a release of one kind can be for; `all` and patterns mean those of the group.

    Args:
        hosts: what the target selected.
        target: as it was typed.
        group: aircraft or hangar.
        instead: the command for a host that is not of the group.

    Raises:
        UsageError: the target names a host outside the group, or none inside it.
    """
    chosen = tuple(host for host in hosts if group in host.groups)
    others = [host.name for host in hosts if group not in host.groups]
    if others and not (chosen and sweeping(target)):
        leave_out = f"leave it out (!{others[0]}), or " if chosen else ""
        raise UsageError(
            f"the target {target!r} names {', '.join(others)}, which is not of the group {group}",
            f"{leave_out}use fab {instead}",
        )
    return chosen


def ship(
    hosts: Sequence[Host], links: Links, artifacts: Sequence[Artifact], reporter: Reporter
) -> list[Outcome]:
    """Ship artifacts to hosts; the first that fails on a host keeps the rest from it.

    Args:
        hosts: where to.
        links: the ways to them.
        artifacts: in the order in which each host gets them.
        reporter: is told how it goes.
    """

    def work(host: Host, say: Callable[[str], None]) -> Outcome:
        link = links.to(host)
        return told(host.name, _until_bad(release.deploy(link, one, say) for one in artifacts))

    return on_each(hosts, work, reporter, after=links.hang_up)


def go_back(hosts: Sequence[Host], links: Links, kind: str, reporter: Reporter) -> list[Outcome]:
    """Return to the good releases before the current ones; a kind that cannot keeps the rest.

    Args:
        kind: only this one; empty for all that the last deploy brought.

    Raises:
        UsageError: there is no such kind.
    """
    if kind and kind not in KINDS and not (kind.startswith(MAPS) and is_kind(kind)):
        known = ", ".join((*KINDS, f"{MAPS}NAME"))
        raise UsageError(f"no such kind of release: {kind}", f"one of {known}")

    def work(host: Host, say: Callable[[str], None]) -> Outcome:
        link = links.to(host)
        kinds = [kind] if kind else last_deployed(release.releases(link))
        if not kinds:
            return Outcome(host.name, Exit.FAILED, "failed", "it has no release to go back from")
        ended = _until_bad(release.rollback(link, one, say) for one in kinds)
        return told(host.name, ended, _REMEDIES_BACK)

    return on_each(hosts, work, reporter, after=links.hang_up)


def last_deployed(releases: Iterable[Release]) -> list[str]:
    """The kinds that the last deploy brought: those at the revision that was switched to last."""
    current = [one for one in releases if one.current]
    if not current:
        return []
    newest = max(current, key=lambda one: one.at)
    order = {kind: number for number, kind in enumerate(KINDS)}
    return sorted(
        (one.kind for one in current if one.revision == newest.revision),
        key=lambda kind: order.get(kind, len(order)),
    )


def show(hosts: Sequence[Host], links: Links, reporter: Reporter) -> list[Outcome]:
    """Look at the releases of hosts: what is current, what is kept, what was bad and why."""

    def work(host: Host, say: Callable[[str], None]) -> Outcome:
        found = release.releases(links.to(host))
        width = max((len(one.kind) for one in found), default=0)
        return Outcome(
            host.name,
            status="listed",
            detail=release.counted(len(found), "release")
            + ("" if any(one.current for one in found) else ", none is current"),
            lines=tuple(_line(one, width) for one in found),
            data={"releases": [asdict(one) for one in found]},
        )

    return on_each(hosts, work, reporter, after=links.hang_up)


def _line(one: Release, width: int) -> str:
    mark = "*" if one.current else " "
    size = f"{one.bytes / 1e6:.1f} MB" if one.bytes else "gone"
    reason = f"  {one.reason.splitlines()[0][:200]}" if one.reason else ""
    stage = one.stage.replace("_", " ")
    at = one.at[:16].replace("T", " ")
    return f"{mark} {one.kind:<{width}} {one.version}  {stage:<11}  {at}  {size:>8}{reason}"


def told(
    host: str, ended: Sequence[release.Outcome], remedies: Mapping[str, str] = _REMEDIES
) -> Outcome:
    """One host's outcome from those of its releases.

    Args:
        ended: in the order in which they were done; when one is bad, the host's outcome is.
        remedies: what to do, by how it ended.
    """
    bad = next((one for one in ended if not one.ok), None)
    if bad is not None:
        status = bad.result
    else:
        status = "no change" if all(one.result == "already" for one in ended) else "released"
    data: dict[str, Any] = {"releases": [_plain(one) for one in ended]}
    return Outcome(
        host,
        Exit.FAILED if bad else Exit.DONE,
        status,
        "; ".join(_moved(one) for one in ended),
        remedies.get(bad.result, "") if bad else "",
        tuple(f"{bad.kind}: {line}" for line in (bad.reason or "").splitlines()) if bad else (),
        data,
    )


def _until_bad(orders: Iterable[release.Outcome]) -> list[release.Outcome]:
    """Carries out one order after the other, each as it is taken, until one ends badly."""
    ended = []
    for one in orders:
        ended.append(one)
        if not one.ok:
            break
    return ended


def _plain(one: release.Outcome) -> dict[str, Any]:
    return {key: value for key, value in asdict(one).items() if key not in ("host", "steps")} | {
        "steps": dict(one.steps)
    }


def _moved(one: release.Outcome) -> str:
    """What moved, in a few words: `onboard 2026…: 1 file, 46.1 kB on the link, 4.2 s`."""
    name = f"{one.kind} {one.version}" if one.version else one.kind
    if one.result == "already":
        return f"{name} is current"
    files = release.counted(one.files, "file")
    ended = "" if one.ok else f" {one.result}"
    return f"{name}{ended}: {files}, {one.bytes / 1e3:.1f} kB on the link, {one.seconds:.1f} s"
