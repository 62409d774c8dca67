"""Converges one aircraft from the hangar: `python -m fleet.from_hangar EC-TAA --key FILE --operator WHO`.

Run in the folder of an unpacked configuration. The aircraft lets the hangar's key do this only where
the inventory says so, and then as one forced command, `converge`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fleet import keys
from fleet.configuration import FOLDER, NAME
from fleet.context import catalog, role_names
from fleet.converge import on_host
from fleet.errors import FleetError, UsageError
from fleet.inventory import TOP, Host, load
from fleet.report import Outcome
from fleet.ssh import Connection, Endpoint
from require.run import converge as engine

USER, COMMAND = "dispatch", "converge"


def converge(name: str, key: Path, operator: str, top: Path = TOP) -> Outcome:
    """Makes one aircraft what its roles say in the configuration at `top`.

    Args:
        name: of the aircraft.
        key: the hangar's private key for aircraft.
        operator: who asked for it, for the aircraft's journal.
        top: folder with `inventory/hosts.yml`.

    Raises:
        FleetError: it cannot be asked; off-line is `Offline`.
    """
    inventory = load(top / FOLDER / NAME, roles=role_names(), ways=False)
    host = inventory.hosts.get(name)
    if host is None:
        raise UsageError(f"there is no host {name} in this configuration's inventory")
    declared = catalog(inventory, host)
    connection = Connection(_endpoint(host, key))
    try:
        return on_host(
            connection,
            declared,
            lambda text: None,
            run=partial(engine, operator=f"{operator} via the hangar"),
            word=COMMAND,
        )
    finally:
        connection.close()


def _endpoint(host: Host, key: Path) -> Endpoint:
    return Endpoint(
        name=host.name,
        address=host.tower or host.address,
        port=host.port,
        user=USER,
        key=keys.load(key),
        host_key=host.facts.get("host_key"),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; prints one JSON object, and exits as `fab converge` does."""
    parser = argparse.ArgumentParser(prog="python -m fleet.from_hangar")
    parser.add_argument("aircraft")
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--operator", required=True)
    asked = parser.parse_args(arguments)
    try:
        outcome = converge(asked.aircraft, asked.key, asked.operator)
    except FleetError as error:
        outcome = Outcome.of(asked.aircraft, error)
    sys.stdout.write(json.dumps(outcome.as_json(), ensure_ascii=False) + "\n")
    return int(outcome.code)


if __name__ == "__main__":
    sys.exit(main())
