"""The tables that there are, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ci.faults.case import Case
from ci.faults.converge import clocks, cuts, disks, doors, links, operators, wishes
from ci.faults.converge.stand import Stand as ConvergeStand
from ci.faults.enrol import cuts as first_contact
from ci.faults.enrol.stand import EnrolStand
from ci.faults.release import back, bad, company, damage, matrix, wire
from ci.faults.release.stand import Stand as ReleaseStand
from ci.faults.sync import chaos, hosts
from ci.faults.sync import matrix as every_step
from ci.faults.sync.stand import Stand as SyncStand
from ci.faults.under_test import Acted


@dataclass(frozen=True)
class Table:
    """Rows, and what they act on.

    Args:
        stand: makes of a bare host what the rows begin with.
        cases: the rows.
        seeds: how often each row that chance has a part in runs, so that all is done in half an hour.
    """

    stand: type[Acted]
    cases: Sequence[Case[Any]]
    seeds: int


def _of(*modules: Any) -> list[Case[Any]]:
    return [case for module in modules for case in module.CASES]


TABLES = {
    "converge": Table(ConvergeStand, _of(links, cuts, operators, disks, wishes, doors, clocks), 20),
    "release": Table(ReleaseStand, _of(matrix, back, wire, bad, company, damage), 1),
    "enrol": Table(EnrolStand, _of(first_contact), 5),
    "sync": Table(SyncStand, _of(every_step, chaos, hosts), 1),
}
