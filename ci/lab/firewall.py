"""The machine's firewall rules of a lab: hosts reach the outside for packages, and never each other.

Every rule carries a comment that names its lab, so that it is found again without any file of ours.
"""

from __future__ import annotations

import re

from ci.lab import shell
from ci.lab.addresses import Plan

TABLES = ("filter", "nat")


def _comment(lab: str) -> str:
    return f"-m comment --comment turnaround-lab-{lab}"


def rules(plan: Plan, aircraft: int) -> str:
    """Returns the lab's rules, as iptables-restore reads them. Pure.

    What goes into a lab from elsewhere stands before the machine's own rules, so that labs are shut to each
    other and a ramp never leads to the cellular side; what leaves a lab stands after them. Within a ramp or
    a cabin frames pass: some machines ask the firewall about bridged frames too (bridge-nf-call-iptables).
    """
    tag = _comment(plan.lab)
    out = f"{plan.lab}-+"
    hangar = plan.hangar.port("cell0").ip
    vault = plan.vault.port("cell0").ip
    cell = f"{plan.lab}-cell"
    open_bridges = [bridge for bridge in plan.bridges(aircraft) if bridge != cell]
    return "\n".join(
        [
            "*filter",
            f"-I FORWARD 1 -o {out} {tag} -j DROP",
            *(f"-I FORWARD 1 -i {name} -o {name} {tag} -j ACCEPT" for name in open_bridges),
            f"-I FORWARD 1 -i {cell} -o {cell} -s {hangar} -d {vault} {tag} -j ACCEPT",
            f"-I FORWARD 1 -o {out} -m conntrack --ctstate ESTABLISHED,RELATED {tag} -j ACCEPT",
            f"-A FORWARD -i {plan.lab}-ramp {tag} -j ACCEPT",
            f"-A FORWARD -i {cell} -s {hangar} {tag} -j ACCEPT",
            f"-A FORWARD -i {out} {tag} -j DROP",
            "COMMIT",
            "*nat",
            f"-A POSTROUTING -s {plan.ramp_network} ! -d {plan.network} {tag} -j MASQUERADE",
            f"-A POSTROUTING -s {hangar} ! -d {plan.network} {tag} -j MASQUERADE",
            "COMMIT",
            "",
        ]
    )


def removal(lab: str, saved: str) -> str:
    """Returns what takes the lab's rules away again. Pure.

    Args:
        saved: what `iptables-save` prints for one table.

    >>> removal("a", "*nat\\n-A POSTROUTING -m comment --comment turnaround-lab-a -j MASQUERADE\\nCOMMIT\\n")
    '*nat\\n-D POSTROUTING -m comment --comment turnaround-lab-a -j MASQUERADE\\nCOMMIT\\n'
    """
    ours = re.compile(rf'^-A (.*--comment "?turnaround-lab-{re.escape(lab)}"?(?: .*)?)$')
    found = [f"-D {hit[1]}" for line in saved.splitlines() if (hit := ours.match(line))]
    if not found:
        return ""
    table = next(line for line in saved.splitlines() if line.startswith("*"))
    return "\n".join([table, *found, "COMMIT", ""])


def open_for(plan: Plan, aircraft: int) -> None:
    """Puts the lab's rules in force, once."""
    close_for(plan.lab)
    shell.run(["iptables-restore", "--noflush", "--wait"], stdin=rules(plan, aircraft))


def close_for(lab: str) -> None:
    """Takes the lab's rules away."""
    for table in TABLES:
        text = removal(lab, shell.run(["iptables-save", "--table", table]))
        if text:
            shell.run(["iptables-restore", "--noflush", "--wait"], stdin=text)
