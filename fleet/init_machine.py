"""`fab init-machine`: its words checked before anything is touched, and how it is shown."""

from __future__ import annotations

import contextlib
import re
import sys
from dataclasses import replace

from fleet.connections import Connections
from fleet.enrol import Enrolment, Place
from fleet.errors import FleetError, UsageError, did_you_mean
from fleet.report import JsonReporter, Outcome, PlainReporter, Reporter
from fleet.session import Session, fleet_of
from fleet.shipping import note


def parse_place(text: str) -> Place:
    """Returns the place of `user@host:port`; root and 22 when they are left out.

    Raises:
        UsageError: it is something else.

    >>> parse_place("10.0.0.9")
    Place(user='root', address='10.0.0.9', port=22)
    """
    found = re.fullmatch(
        r"(?:([a-z_][a-z0-9_-]*)@)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)(?::(\d{1,5}))?",
        text,
    )
    if found is None or not 0 < int(found[3] or 22) < 65536:
        raise UsageError(f"--host: expected user@host:port, found {text!r}")
    return Place(found[1] or "root", found[2].strip("[]"), int(found[3] or 22))


def init_machine(
    inventory: str, at: str, name: str, fingerprint: str, *, yes: bool, as_json: bool
) -> Outcome:
    """Does `fab init-machine`: checks the words, makes first contact, shows how it goes.

    Raises:
        UsageError: a word is wrong, or there is nobody to confirm the fingerprint.
    """
    fleet = fleet_of(inventory)
    if name not in fleet.hosts:
        raise UsageError(
            f"--as: there is no host {name!r} in {fleet.path}{did_you_mean(name, fleet.hosts)}",
            f"add it to the inventory first; hosts: {', '.join(fleet.hosts)}",
        )
    # A new box may take the place of one that was retired.
    host, place = replace(fleet.hosts[name], retired=""), parse_place(at)
    fleet = replace(fleet, hosts={**fleet.hosts, name: host})
    check_fingerprint(fingerprint, asked=not (yes or host.enrolled))
    show: Reporter = JsonReporter(sys.stdout) if as_json else PlainReporter(sys.stdout)
    with Connections(fleet) as connections:
        enrolment = Enrolment(
            fleet,
            host,
            place,
            fingerprint or None,
            (lambda shown: True) if yes else (lambda shown: ask(name, at, shown)),
            connections,
            (lambda text: None) if as_json else (lambda text: step(name, text)),
        )
        try:
            outcome = enrolment.run()
        except UsageError:
            raise
        except FleetError as error:
            outcome = Outcome.of(name, error)
        # As the fleet is now: it may be the hangar that was enrolled.
        known = fleet_of(inventory)
        with connections.renewed(known) as ways:
            note(Session(known, (), ways), "init-machine", [outcome])
    show.done(outcome)
    return outcome


def check_fingerprint(fingerprint: str, *, asked: bool) -> None:
    """Sees that a host's fingerprint is one, or that somebody can be asked for it where that is needed.

    Raises:
        UsageError: it is none, or there is nobody.
    """
    if fingerprint and not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", fingerprint):
        raise UsageError(f"--fingerprint: expected SHA256:… (43 characters), found {fingerprint!r}")
    if asked and not (fingerprint or sys.stdin.isatty()):
        raise UsageError(
            "there is no terminal to confirm the host's fingerprint on",
            "give --fingerprint SHA256:…, which the host shows with: "
            "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        )


def ask(name: str, at: str, shown: str) -> bool:
    """Asks on the terminal whether a fingerprint is the host's own."""
    # Standard output belongs to the result.
    sys.stderr.write(
        f"{name} at {at} shows the fingerprint {shown}\nIs that the host's own? [yes/no] "
    )
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def step(name: str, text: str) -> None:
    """Says what is done now."""
    # A reader that is gone must not cut first contact short: the outcome says so, at its end.
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{name}: {text}\n")
        sys.stdout.flush()
