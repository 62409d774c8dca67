"""`fab restore`: its words checked and the release built before anything is touched, and how it is shown."""

from __future__ import annotations

import sys

from fleet import envelope, shipping
from fleet.build import build
from fleet.connections import Connections
from fleet.errors import FleetError, UsageError
from fleet.init_machine import ask, check_fingerprint, parse_place, step
from fleet.report import Outcome, reporter
from fleet.restore import Restoration
from fleet.session import Session, fleet_of
from fleet.status import hangar_of


def restore(
    inventory: str, at: str, name: str, fingerprint: str, rev: str, *, yes: bool, as_json: bool
) -> list[Outcome]:
    """Does `fab restore`.

    Raises:
        UsageError: a word is wrong, there is nobody to confirm the fingerprint, or no key to sign with.
    """
    fleet = fleet_of(inventory)
    host, place = hangar_of(fleet), parse_place(at)
    if name != host.name:
        raise UsageError(f"--as: expected the hangar of {fleet.path}, {host.name}, found {name!r}")
    check_fingerprint(fingerprint, asked=not yes)
    envelope.key_in(fleet.keys)
    artifact = build("hangar", rev).verify()
    sys.stderr.write(f"built hangar {artifact.manifest.version}\n")
    show = reporter(as_json)
    with Connections(fleet) as connections:
        restoration = Restoration(
            fleet,
            host,
            place,
            fingerprint,
            (lambda shown: True) if yes else (lambda shown: ask(name, at, shown)),
            connections,
            (lambda text: None) if as_json else (lambda text: step(name, text)),
        )
        try:
            restoration.run()
            # Counters and audit log are back by now: it is shipped and written down as any release.
            back = Session(fleet, (host,), connections)
            return shipping.deploy(back, "restore", [host], lambda: [artifact], lambda: show)
        except UsageError:
            raise
        except FleetError as error:
            outcome = Outcome.of(name, error)
            show.done(outcome)
            return [outcome]
