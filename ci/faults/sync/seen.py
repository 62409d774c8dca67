"""What is seen when all is quiet, with eyes of its own: rows, ledgers, files and the tree of passengers."""

from __future__ import annotations

from collections.abc import Iterable

from ci.faults.sync import left
from ci.faults.sync.nodes import Node, Nodes
from common.schema import travelling
from sync import changeset, files
from sync.capture import spec

PUBLISHED = (
    "select i.id::text from item i where i.published "
    "and exists (select from asset a where a.item_id = i.id) order by i.id"
)


def digests(node: Node, tables: Iterable[str], where: str = "true") -> dict[str, tuple[int, str]]:
    """Returns for each table how many rows it has and the MD5 of all of them in the order of keys."""
    return {
        table: node.ask(
            f"select count(*), coalesce(md5(string_agg(t::text, '' order by id)), '') "
            f"from {table} t where {where}"
        )[0]
        for table in tables
    }


def up_tables() -> list[str]:
    """Returns the tables that aircraft send."""
    return [model.__tablename__ for model in travelling("up")]


def down_tables() -> list[str]:
    """Returns the tables that the hangar sends."""
    return [model.__tablename__ for model in travelling("down")]


def wrong(nodes: Nodes) -> list[str]:
    """Returns in words what is not as it must be when all is quiet; empty when all is."""
    found = []
    for aircraft in nodes.aircraft:
        own = f"aircraft = '{aircraft.name}'"
        found += _differ(nodes, aircraft, up_tables(), own, "went up wrong")
        found += down(nodes, aircraft)
        found += _books(aircraft)
        found += left_over(aircraft)
        found += _shown(nodes, aircraft)
    hangar = nodes.hangar.settings
    return found + [f"hangar: {what}" for what in left.orphans(hangar.sync_dir, hangar.content_dir)]


def down(nodes: Nodes, aircraft: Node) -> list[str]:
    """Returns in words what an aircraft has otherwise than the hangar says."""
    return _differ(nodes, aircraft, down_tables(), "true", "came down wrong")


def _shown(nodes: Nodes, aircraft: Node) -> list[str]:
    there = [one for (one,) in nodes.hangar.ask(PUBLISHED)]
    here = left.shown(aircraft.settings.content_dir)
    return [] if here == there else [f"{aircraft.name} shows {here}, published are {there}"]


def left_over(aircraft: Node) -> list[str]:
    """Returns in words which files are half, too many or not whole."""
    settings = aircraft.settings
    found = left.aboard(settings.sync_dir, settings.content_dir)
    return [f"{aircraft.name}: {what}" for what in found]


def half_visible(aircraft: Node) -> list[str]:
    """Returns in words what passengers see half; at any moment there is nothing."""
    return left.half(aircraft.settings.content_dir)


def _differ(nodes: Nodes, aircraft: Node, tables: list[str], where: str, went: str) -> list[str]:
    here, there = digests(aircraft, tables, where), digests(nodes.hangar, tables, where)
    return [
        f"{aircraft.name}: {table} {went}: {here[table]} aboard, {there[table]} at the hangar"
        for table in tables
        if here[table] != there[table]
    ]


def own(node: Node, name: str) -> dict[str, dict[str, str]]:
    """Returns the rows that an aircraft made, as a node has them: for each table text by key."""
    query = "select id::text, t::text from {} t where aircraft = :name"
    return {table: dict(node.ask(query.format(table), name=name)) for table in up_tables()}


def keys(hangar: Node, aircraft: Node) -> dict[str, set[str]]:
    """Returns which rows of an aircraft the hangar has, by table."""
    return {table: set(rows) for table, rows in own(hangar, aircraft.name).items()}


def sealed(aircraft: Node) -> dict[str, set[str]]:
    """Returns which of its rows lie sealed aboard, by table: they must come whatever its database says."""
    found: dict[str, set[str]] = {table: set() for table in up_tables()}
    settings = aircraft.settings
    for folder in (files.outbox(settings), files.former(settings)):
        # What has another name is not sealed yet, or is the index.
        for path in folder.glob("*/*/*.cs"):
            with path.open("rb") as file:
                _, *blocks = changeset.read(file, path.name)
            for block in blocks:
                if isinstance(block, changeset.Block) and block.column == "id":
                    found[block.table.table] |= set(block.data.decode().split())
    return found


Made = dict[str, dict[str, set[str]]]
"""What people made: the keys of rows by table, by the aircraft that has them."""


def made(nodes: Nodes) -> Made:
    """Returns the rows that are aboard each aircraft, before anything happens to them."""
    return {one.name: keys(one, one) for one in nodes.aircraft}


def lost(nodes: Nodes, before: Made) -> list[str]:
    """Returns in words what was made aboard and is not at the hangar: the ends may be the same without it."""
    found = []
    for aircraft in nodes.aircraft:
        there = keys(nodes.hangar, aircraft)
        for table, rows in before.get(aircraft.name, {}).items():
            if gone := rows - there[table]:
                found.append(f"{aircraft.name}: {len(gone)} rows of {table} are lost")
    return found


def twice(nodes: Nodes) -> int:
    """Returns how many rows were applied at the hangar beyond those that are there.

    The rows that aircraft send are only added: as many as the ledger counts must be there.
    """
    hangar = nodes.hangar
    streams = {model.__tablename__: spec(model).stream for model in travelling("up")}
    there: int = sum(hangar.ask(f"select count(*) from {table}")[0][0] for table in streams)
    names = "', '".join(aircraft.name for aircraft in nodes.aircraft)
    [(applied,)] = hangar.ask(
        f"select coalesce(sum(rows), 0) from sync.applied where peer in ('{names}')"
    )
    return int(applied) - there


def _books(aircraft: Node) -> list[str]:
    [(unclaimed,)] = aircraft.ask("select count(*) from sync.dirty")
    [(waiting,)] = aircraft.ask("select count(*) from sync.batch where state <> 'acked'")
    found = []
    if unclaimed:
        found.append(f"{aircraft.name}: {unclaimed} recorded keys are left")
    if waiting:
        found.append(f"{aircraft.name}: {waiting} change-sets are not acknowledged")
    return found
