"""`fab package-maps`, `fab deploy-maps-to-server`: files that aircraft carry beside their app."""

from __future__ import annotations

import sys

from invoke.context import Context
from invoke.tasks import task

from fabfile.words import INVENTORY, JSON, LIMIT


@task(
    help={
        "name": "of the maps: lower-case letters and digits",
        "source": "the folder with their files; else maps/NAME beside the inventory",
        "inventory": INVENTORY,
        "json": "one JSON object on standard output",
    }
)
def package_maps(
    c: Context, name: str, source: str = "", inventory: str = "", json: bool = False
) -> None:
    """Package a folder of maps; the same files make the same package."""
    from json import dumps
    from pathlib import Path

    from fleet.inventory import find
    from fleet.maps import FOLDER, kind_of, package

    kind_of(name)
    folder = Path(source) if source else find(inventory or None).parent / FOLDER / name
    packaged = package(name, folder)
    manifest = packaged.manifest
    if json:
        facts = {
            "kind": manifest.kind,
            "version": manifest.version,
            "files": len(manifest.files),
            "bytes": packaged.size,
        }
        print(dumps(facts))
        return
    print(
        f"packaged {manifest.kind} {manifest.version}: {len(manifest.files)} files,"
        f" {packaged.size / 1e6:.1f} MB; ship it: fab deploy-maps-to-server --target T --name {name}"
    )


@task(
    help={
        "target": "aircraft, with commas; all means every aircraft; !name leaves one out",
        "name": "of the maps, as they were packaged",
        "limit": LIMIT,
        "inventory": INVENTORY,
        "json": JSON,
    }
)
def deploy_maps_to_server(
    c: Context, target: str, name: str, limit: str = "", inventory: str = "", json: bool = False
) -> None:
    """Ship the maps that were packaged last under a name; files that an aircraft has do not travel."""
    from fleet.artifact import Artifact
    from fleet.maps import newest
    from fleet.release_commands import in_group
    from fleet.session import finish, session
    from fleet.shipping import deploy

    command = "deploy-maps-to-server"

    def packaged() -> list[Artifact]:
        maps = newest(name).verify()
        print(f"maps {name} {maps.manifest.version}, {maps.size / 1e6:.1f} MB", file=sys.stderr)
        return [maps]

    with session(inventory, target, limit) as fleet:
        hosts = in_group(fleet.hosts, target, "aircraft", "deploy-hangar")
        finish(deploy(fleet, command, hosts, packaged, lambda: fleet.reporter(command, json)))
