"""`fab deploy…`, `fab releases`, `fab rollback`: what runs on the hosts."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from invoke.context import Context
from invoke.tasks import task

from fabfile.words import INVENTORY, JSON, LIMIT, TARGET

_HELP = {
    "target": TARGET,
    "limit": LIMIT,
    "inventory": INVENTORY,
    "json": JSON,
}
_REV = "a branch, a tag or a commit; uncommitted changes are never shipped"


def _ship(
    command: str,
    group: str,
    instead: str,
    wanted: Sequence[tuple[str, str]],
    target: str,
    limit: str,
    inventory: str,
    as_json: bool,
) -> None:
    """Builds what is wanted (kind, revision) before any host is touched, then ships it."""
    from fleet.artifact import Artifact
    from fleet.build import build
    from fleet.release_commands import in_group
    from fleet.session import finish, session
    from fleet.shipping import deploy

    def built() -> list[Artifact]:
        artifacts = []
        for kind, revision in wanted:
            artifact = build(kind, revision).verify()
            version, size = artifact.manifest.version, artifact.size / 1e6
            print(f"built {kind} {version}, {size:.1f} MB", file=sys.stderr)
            artifacts.append(artifact)
        return artifacts

    with session(inventory, target, limit) as fleet:
        hosts = in_group(fleet.hosts, target, group, instead)
        finish(deploy(fleet, command, hosts, built, lambda: fleet.reporter(command, as_json)))


@task(
    help={
        **_HELP,
        "target": "aircraft, with commas; all means every aircraft; !name leaves one out",
        "aircraft-rev": f"ship the aircraft's application at this revision: {_REV}",
        "html5-rev": f"ship the portal at this revision: {_REV}",
    }
)
def deploy(
    c: Context,
    target: str,
    limit: str = "",
    aircraft_rev: str = "",
    html5_rev: str = "",
    inventory: str = "",
    json: bool = False,
) -> None:
    """Ship application and portal to aircraft, both at HEAD; a revision flag ships only its part."""
    if not aircraft_rev and not html5_rev:
        aircraft_rev = html5_rev = "HEAD"
    parts = (("onboard", aircraft_rev), ("html5", html5_rev))
    wanted = [(kind, revision) for kind, revision in parts if revision]
    _ship("deploy", "aircraft", "deploy-hangar", wanted, target, limit, inventory, json)


@task(help={**_HELP, "rev": _REV})
def deploy_aircraft(
    c: Context,
    target: str,
    limit: str = "",
    rev: str = "HEAD",
    inventory: str = "",
    json: bool = False,
) -> None:
    """Ship the aircraft's application."""
    _ship(
        "deploy-aircraft",
        "aircraft",
        "deploy-hangar",
        [("onboard", rev)],
        target,
        limit,
        inventory,
        json,
    )


@task(help={**_HELP, "rev": _REV})
def deploy_html5(
    c: Context,
    target: str,
    limit: str = "",
    rev: str = "HEAD",
    inventory: str = "",
    json: bool = False,
) -> None:
    """Ship the portal's pages."""
    _ship(
        "deploy-html5",
        "aircraft",
        "deploy-hangar",
        [("html5", rev)],
        target,
        limit,
        inventory,
        json,
    )


@task(help={**_HELP, "rev": _REV})
def deploy_hangar(
    c: Context,
    target: str,
    limit: str = "",
    rev: str = "HEAD",
    inventory: str = "",
    json: bool = False,
) -> None:
    """Ship the hangar's application."""
    _ship("deploy-hangar", "hangar", "deploy", [("hangar", rev)], target, limit, inventory, json)


@task(help=_HELP)
def releases(
    c: Context, target: str, limit: str = "", inventory: str = "", json: bool = False
) -> None:
    """Show the releases on hosts: what is current, what is kept, what was bad and why."""
    from fleet.release_commands import show
    from fleet.report import reporter
    from fleet.session import finish, session

    with session(inventory, target, limit) as fleet:
        finish(show(fleet.hosts, fleet.connections, reporter(json)))


@task(
    help={**_HELP, "kind": "only onboard, html5 or hangar; else all that the last deploy brought"}
)
def rollback(
    c: Context,
    target: str,
    limit: str = "",
    kind: str = "",
    inventory: str = "",
    json: bool = False,
) -> None:
    """Go back to the good releases before the current ones; they are on the hosts already."""
    from fleet.release_commands import go_back
    from fleet.session import finish, session
    from fleet.shipping import note

    with session(inventory, target, limit) as fleet:
        outcomes = go_back(fleet.hosts, fleet.connections, kind, fleet.reporter("rollback", json))
        note(fleet, "rollback", outcomes)
        finish(outcomes)
