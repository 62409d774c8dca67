"""Two ends and a link without a network, for the tests of synchronisation."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine, text

from common.settings import Settings
from common.uuid7 import uuid7
from sync import files
from sync.rsync import Link


@dataclass(frozen=True)
class End:
    """One host as synchronisation sees it."""

    settings: Settings
    engine: Engine


class PowerCut(BaseException):
    """What a test raises where the process is to die; nothing may catch it."""


def cut_at(wanted: str) -> Callable[[str], None]:
    """Return a watcher of steps that dies at one of them."""

    def at(step: str) -> None:
        if step == wanted:
            raise PowerCut(step)

    return at


def carry(sender: End, receiver: End) -> None:
    """Copy every sealed change-set, as a complete rsync run would."""
    source = files.outbox(sender.settings)
    if source.exists():
        target = files.inbox(receiver.settings, sender.settings.node)
        shutil.copytree(source, target, dirs_exist_ok=True)


def add_events(end: End, count: int, kind: str = "play") -> None:
    with end.engine.begin() as connection:
        connection.execute(
            text(
                "insert into usage_event (id, kind, aircraft) "
                "select id, :kind, :node from unnest(cast(:ids as uuid[])) id"
            ),
            # As aboard: what is old goes by the time that is in its key.
            {"kind": kind, "node": end.settings.node, "ids": [uuid7() for _ in range(count)]},
        )


def ids(end: End, table: str = "usage_event") -> list[UUID]:
    with end.engine.connect() as connection:
        return sorted(connection.scalars(text(f"select id from {table}")).all())


def scalar(end: End, query: str) -> object:
    with end.engine.connect() as connection:
        return connection.scalar(text(query))


def scalar_list(end: End, query: str) -> list[str]:
    with end.engine.connect() as connection:
        return list(connection.scalars(text(query)).all())


def run(end: End, *statements: str) -> None:
    with end.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def link_to(hangar: End, aircraft: str, stall: int = 0) -> Link:
    """Return a link that goes through rsync and the hangar's gate, without a network."""
    here = Path(__file__).parent / "fake_ssh.py"
    state = str(hangar.settings.state_dir)
    for name in scalar_list(hangar, "select name from aircraft"):
        files.inbox(hangar.settings, name).mkdir(parents=True, exist_ok=True)
    return Link("hangar", [sys.executable, "-S", "-I", str(here), state, aircraft, str(stall)])
