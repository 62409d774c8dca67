"""The tables that there are, by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from ci.faults import stand
from ci.faults.case import Case
from ci.faults.converge import clocks, cuts, disks, doors, links, operators, wishes
from ci.faults.enrol import cuts as enrol_cuts
from ci.faults.enrol import stand as enrol_stand

_CONVERGE = (links, cuts, operators, disks, wishes, doors, clocks)
TABLES: dict[str, list[Case[Any]]] = {
    "converge": [case for module in _CONVERGE for case in module.CASES],
    "enrol": enrol_cuts.CASES,
}
# What each acts on, in a lab of that name.
STANDS: dict[str, Callable[[str], AbstractContextManager[Any]]] = {
    "converge": stand.stand,
    "enrol": enrol_stand.stand,
}
