"""What ops do, from the counter to the audit log: both are the hangar's, and hosts take nothing without."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fleet import envelope, release_commands
from fleet.artifact import Artifact
from fleet.audit import Ledger
from fleet.errors import Exit, FleetError
from fleet.inventory import Host
from fleet.report import Outcome, Reporter
from fleet.session import Session
from fleet.status import hangar_of
from fleet.summary import tally
from require.run import operator_name


def ledger_at_hangar(fleet: Session) -> Ledger:
    """Returns the audit log of a fleet, in the name of whoever we are.

    Raises:
        UsageError: no host is in the group `hangar`.
        FleetError: it was never enrolled.
    """
    hangar = hangar_of(fleet.inventory)
    return Ledger(fleet.connections.to(hangar), operator_name())


def deploy(
    fleet: Session,
    command: str,
    hosts: Sequence[Host],
    build: Callable[[], Sequence[Artifact]],
    reporter: Callable[[], Reporter],
) -> list[Outcome]:
    """Ships artifacts to hosts: each gets a counter and an envelope, and the audit log says how it ended.

    Args:
        fleet: the session.
        command: its name, such as `deploy-maps-to-server`.
        hosts: where to.
        build: makes the artifacts, in the order in which each host gets them; called when there is a key
            to sign them with.
        reporter: makes what is told how it goes, once nothing can be wrong any more.

    Raises:
        UsageError: there is no signing key, or no hangar; nothing was built.
        Offline: the hangar does not answer; nothing was shipped.
        FleetError: it has no counters, or an artifact cannot be built or signed.
    """
    key = envelope.key_in(fleet.inventory.keys)
    artifacts = build()
    names = [host.name for host in hosts]
    sealed = [_seal(fleet, key, command, names, built) for built in artifacts]
    outcomes = release_commands.ship(
        hosts, fleet.connections, [built for built, _ in sealed], reporter()
    )
    note(fleet, command, outcomes, [counter for _, counter in sealed])
    return outcomes


def sealed(
    fleet: Session, command: str, targets: Sequence[str], build: Callable[[], Artifact]
) -> tuple[Artifact, int]:
    """Returns an artifact that may be shipped, and the counter of its envelope.

    Args:
        fleet: the session.
        command: its name, such as `campaign.start`.
        targets: whom it is for.
        build: makes it; called when there is a key to sign it with.

    Raises:
        As `deploy`.
    """
    key = envelope.key_in(fleet.inventory.keys)
    return _seal(fleet, key, command, targets, build())


def _seal(
    fleet: Session, key: Path, command: str, targets: Sequence[str], built: Artifact
) -> tuple[Artifact, int]:
    ledger, manifest = ledger_at_hangar(fleet), built.manifest
    counter = ledger.issue(command, manifest.kind, manifest.version, targets)
    return envelope.seal(built, key, fleet.inventory.fleet, counter, ledger.operator), counter


def noted(
    fleet: Session,
    command: str,
    campaigns: Sequence[Mapping[str, Any]],
    counters: Sequence[int] = (),
) -> None:
    """Writes into the audit log what was ordered of campaigns; as `note` does.

    Args:
        fleet: the session.
        command: its name, such as `campaign.pause`.
        campaigns: as the hangar told them.
        counters: those that were issued for it.
    """
    targets = {str(one["name"]): str(one["state"]) for one in campaigns}
    _record(fleet, command, ", ".join(targets.values()), targets, counters)


def note(
    fleet: Session, command: str, outcomes: Sequence[Outcome], counters: Sequence[int] = ()
) -> None:
    """Writes into the audit log what a command did, where it did anything.

    What was done is done: a hangar that cannot be told, or that is not there yet, is no failure of it, and
    a line says so.

    Args:
        fleet: the session.
        command: its name.
        outcomes: of all hosts; left out are those that it changed nothing of, unless counters were issued.
        counters: those that were issued for it.
    """
    meant = [each for each in outcomes if counters or _touched(each)]
    hangars = fleet.inventory.in_group("hangar")
    if not meant or not any(host.enrolled for host in hangars):
        return
    targets = {each.host: _ended(each) for each in meant}
    ended = tally(meant) if len(meant) > 1 else meant[0].status
    _record(fleet, command, ended, targets, counters)


def _record(
    fleet: Session, command: str, ended: str, targets: Mapping[str, str], counters: Sequence[int]
) -> None:
    try:
        ledger_at_hangar(fleet).record(command, ended, targets, counters)
    except FleetError as error:
        sys.stderr.write(f"not in the audit log: {error.what}\n")


def _touched(outcome: Outcome) -> bool:
    return any(outcome.data.get(what) for what in ("changes", "releases", "keys"))


def _ended(outcome: Outcome) -> str:
    bad = outcome.code not in (Exit.DONE, Exit.OFFLINE)
    return f"{outcome.status}: {outcome.detail}" if bad else outcome.status
