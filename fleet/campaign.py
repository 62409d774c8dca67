"""Campaigns from here: what one brings, whom it is for, and the orders that the hangar takes.

From `start` on the hangar does it alone: what it needs is on its shelf and in its database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fleet import maps, release
from fleet.aboard.errors import ManifestError
from fleet.aboard.manifest import MAPS, NAME, is_kind, parse
from fleet.artifact import Artifact
from fleet.build import KINDS, build
from fleet.campaign_plan import CANARY
from fleet.campaign_ship import Spoken
from fleet.errors import FleetError, RemoteFailed, UsageError
from fleet.inventory import Inventory
from fleet.release import Outcome
from fleet.ssh import Connection
from fleet.target import select
from require.run import operator_name

COMMAND = ("sudo", "-n", "-u", "turnaround", "/opt/turnaround/bin/campaign")
ORDER_S = 120.0
SHIPPED = tuple(kind for kind in KINDS if kind != "hangar")


def artifact(text: str, make: Callable[[str, str], Artifact] = build) -> Artifact:
    """Returns what `--artifact` means, verified.

    Args:
        text: `onboard@HEAD`: a kind and a revision, which is built; `maps-iberia`: the maps that were
            packaged last; or the folder of a build, `.build/onboard/VERSION`.
        make: builds.

    Raises:
        UsageError: it means nothing that an aircraft can get.
    """
    kind, at, revision = text.partition("@")
    if kind in SHIPPED and at and revision:
        return make(kind, revision).verify()
    if kind.startswith(MAPS) and is_kind(kind) and not at:
        return maps.newest(kind.removeprefix(MAPS)).verify()
    place = Path(text) / NAME
    if not place.is_file():
        raise UsageError(
            f"--artifact: expected {' or '.join(f'{each}@REVISION' for each in SHIPPED)}, "
            f"{MAPS}NAME, or the folder of a build, found {text!r}",
            "nothing was touched",
        )
    try:
        manifest = parse(place.read_bytes(), str(place))
    except ManifestError as error:
        raise UsageError(str(error)) from None
    if manifest.kind not in SHIPPED and not manifest.kind.startswith(MAPS):
        raise UsageError(f"--artifact: {text}: {manifest.kind} is not for aircraft")
    return Artifact(manifest, place.parents[2] / "blobs").verify()


def whom(inventory: Inventory, target: str) -> dict[str, Any]:
    """Returns whom a target means, in the words of a plan.

    With `all` in it whoever is enrolled later belongs to it, too. The canary is the group `canary`, as far as
    it is meant; else the hangar takes the aircraft that it heard last.

    Raises:
        UsageError: it means no aircraft.
    """
    meant = [host.name for host in select(inventory, target) if "aircraft" in host.groups]
    if not meant:
        raise UsageError(f"the target {target!r} has no aircraft", "nothing was touched")
    fleet = [host.name for host in inventory.in_group("aircraft")]
    everyone = "all" in (word.strip() for word in target.split(","))
    group = inventory.in_group(CANARY) if CANARY in inventory.groups else ()
    return {
        "everyone": everyone,
        "names": () if everyone else tuple(meant),
        "left_out": tuple(name for name in fleet if name not in meant) if everyone else (),
        "canary": tuple(host.name for host in group if host.name in meant),
    }


def bring(hangar: Connection, made: Artifact, say: Callable[[str], None]) -> Outcome:
    """Brings an artifact to the hangar's shelf; only files that are not there travel.

    Raises:
        FleetError: it is not there now.
    """
    outcome = release.deploy(Spoken(hangar, COMMAND), made, say)
    if not outcome.ok:
        raise FleetError(f"{hangar.name}: {outcome.reason}", "run the same command again")
    return outcome


def order(hangar: Connection, do: str, **words: Any) -> list[dict[str, Any]]:
    """Gives the hangar an order and returns the campaigns that it is about.

    Raises:
        UsageError: it cannot be carried out; nothing was changed.
        FleetError: the hangar has no campaigns yet, or failed.
    """
    line = json.dumps({"do": do, "operator": operator_name(), **words}).encode() + b"\n"
    done = hangar.run([*COMMAND, "order"], line, timeout_s=ORDER_S)
    newer = f"fab converge and fab deploy-hangar --target {hangar.name} bring one that does"
    try:
        said = json.loads(done.check(hangar.name, "campaign").stdout)
        if "refused" in said:
            raise UsageError(said["refused"], said["remedy"])
        found: list[dict[str, Any]] = said["campaigns"]
    except RemoteFailed as error:
        raise FleetError(error.what, newer) from None
    except (ValueError, KeyError, TypeError):
        raise FleetError(
            f"{hangar.name}: expected campaigns, found {done.stdout[:200]!r}", newer
        ) from None
    return found


def default_name(made: Artifact) -> str:
    """What a campaign is called that nobody named: its kind and the beginning of its revision."""
    return f"{made.manifest.kind}-{made.manifest.revision[:7]}"


def told(campaigns: Sequence[dict[str, Any]], as_json: bool) -> list[str]:
    """Returns campaigns as lines: a table, or one JSON object for each."""
    from fleet.campaign_table import table

    if as_json:
        return [json.dumps(each, ensure_ascii=False) for each in campaigns]
    if not campaigns:
        return ["there is no campaign: fab campaign.start begins one"]
    return [line for each in campaigns for line in (*table(each), "")][:-1]
