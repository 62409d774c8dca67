"""The inventory that a lab writes for the fleet's commands, in the form that people write theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ci.lab.addresses import HostPlan, Plan
from ci.lab.certificates import PORTAL

_HEAD = """\
# The hosts of the lab {lab}, written by ./inv lab.up. What enrolment learns about a host is in enrolled/.
fleet: {lab}
vars:
  airline: TA
  airline_name: Turnaround Air
  tower_network: {tower_network}
  tower_userspace: true
  kernel_shared: true # a host of a lab is a container: kernel and clock are this machine's
  upgrade_daily: false # nothing takes apt's lock behind a test's back
  release_signers: ["{signer}"]
groups:
  hangar: {{roles: [base, aboard, tower, packages, hangar{backup}]}}
  aircraft:
    roles: [base, aboard, tower, packages, aircraft, modem]
    vars: {{via: hangar, converge_by_hangar: true, site_name: {portal}}}
hosts:
  hangar:
    groups: [hangar]
    address: {hangar}
    tower: {hangar_tower}
    vars: {{public_address: {hangar}{variables}}}
"""

_AIRCRAFT = """\
  {name}:  # first contact: fab init-machine --host root@{ramp}:22 --as {name}
    groups: [aircraft]
    address: {tower}
    tower: {tower}
    via: hangar
    vars: {{cabin_address: {cabin}, cabin_network: {cabin_network}, tower_endpoint: "{endpoint}"}}
"""


def text(plan: Plan, aircraft: int, signer: str, backup: Mapping[str, object]) -> str:
    """Returns the inventory of the lab with that many aircraft. Pure.

    Args:
        signer: the public key that signs its releases.
        backup: the hangar's variables for its backup; empty where it has none.
    """
    hangar = plan.hangar
    head = _HEAD.format(
        lab=plan.lab,
        tower_network=plan.tower_network,
        hangar=hangar.port("cell0").ip,
        hangar_tower=hangar.tower,
        signer=signer.strip(),
        portal=PORTAL,
        backup=", backup" if backup else "",
        variables="".join(f", {name}: {json.dumps(value)}" for name, value in backup.items()),
    )
    return head + "".join(_entry(plan, host) for host in plan.hosts(aircraft)[1:])


def _entry(plan: Plan, host: HostPlan) -> str:
    return _AIRCRAFT.format(
        name=host.name,
        ramp=host.port("ramp0").ip,
        tower=host.tower,
        cabin=host.port("cabin0").ip,
        cabin_network=plan.cabin_network(host.number),
        endpoint=f"{plan.cell_machine}:{host.relay_port}",
    )


def write(path: Path, plan: Plan, aircraft: int, signer: str, backup: Mapping[str, object]) -> None:
    """Writes the inventory whole, so that nobody reads half of it."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(text(plan, aircraft, signer, backup))
    unfinished.rename(path)
