"""The tables that there are, by name."""

from __future__ import annotations

from ci.faults.case import Case
from ci.faults.converge import clocks, cuts, disks, doors, links, operators, wishes
from ci.faults.stand import Stand

_CONVERGE = (links, cuts, operators, disks, wishes, doors, clocks)
TABLES: dict[str, list[Case[Stand]]] = {
    "converge": [case for module in _CONVERGE for case in module.CASES]
}
