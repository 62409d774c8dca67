"""What the rows of the table `sync` that need hosts see."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from ci.faults.sync import seen
from ci.faults.sync.fleet import AIRCRAFT, HANGAR, Fleet

HOSTS = (AIRCRAFT, HANGAR)


class World:
    """Two hosts of which only the rows are there: so many in each table."""

    def __init__(self) -> None:
        tables = (*seen.up_tables(), *seen.down_tables())
        self.rows = {host: dict.fromkeys(tables, 2) for host in HOSTS}

    def sql(self, host: str, query: str) -> list[list[str]]:
        rows = self.rows[host]
        if "sync.applied" in query:
            return [[str(sum(rows[table] for table in seen.up_tables()))]]
        return [
            [table, str(count), "md5"] for table, count in rows.items() if f"'{table}'" in query
        ]

    def ssh(self, *_: Any, **__: Any) -> str:
        return ""


@pytest.mark.parametrize("table", ["usage_event", "item"])
def test_what_both_hosts_lost_is_no_row_that_holds(table: str) -> None:
    world = World()
    fleet = Fleet(world)  # type: ignore[arg-type]
    fleet.edit(Random(1))
    assert fleet.wrong() == []
    for host in HOSTS:
        world.rows[host][table] -= 1
    assert fleet.wrong() == [f"2 rows of {table} were made, and there are 1"]
