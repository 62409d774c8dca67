"""What people do at each end: passengers aboard, editors at the hangar; chance chooses."""

from __future__ import annotations

import hashlib
import json
from random import Random
from uuid import UUID

from ci.faults.sync.nodes import Node, Nodes
from sync import publish

FIELDS = ("email", "name", "language")
HLC_BITS = 16
BEGAN_MS = 1_790_000_000_000


def key(chance: Random) -> str:
    """Returns a key that this seed always chooses, of no time that has passed: old statistics go aboard."""
    return str(UUID(int=chance.getrandbits(128) | 1 << 127, version=4))


def aboard(aircraft: Node, chance: Random, users: list[str], most: int = 8) -> None:
    """Passengers watch, answer and change their accounts; some of them fly with several aircraft."""
    statements = []
    for _ in range(chance.randint(1, most)):
        row, what = key(chance), chance.random()
        if what < 0.6:
            kind = chance.choice(("play", "open", "it's\tover\\n"))
            statements.append(
                "insert into usage_event (id, kind, aircraft) values "
                f"('{row}', $${kind}$$, '{aircraft.name}')"
            )
        elif what < 0.75:
            statements.append(
                "insert into survey_answer (id, survey_id, choice, aircraft) values "
                f"('{row}', '{key(chance)}', {chance.randint(0, 3)}, '{aircraft.name}')"
            )
        else:
            hlc = (BEGAN_MS + chance.randint(0, 10**6)) << HLC_BITS
            value = json.dumps(f"{chance.choice(FIELDS)} {chance.randint(0, 10**6)}")
            statements.append(
                "insert into user_event (id, user_id, field, value, hlc, aircraft) values "
                f"('{row}', '{chance.choice(users)}', '{chance.choice(FIELDS)}', '{value}', {hlc}, "
                f"'{aircraft.name}')"
            )
    with aircraft.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def everything(nodes: Nodes, aircraft: Node, chance: Random) -> None:
    """Something of each kind at both ends: whatever is done to synchronise meets something to do."""
    aboard(aircraft, chance, [key(chance)], most=4)
    user, row = key(chance), key(chance)
    aircraft.sql(
        f"insert into usage_event (id, kind, aircraft) values ('{key(chance)}', 'play', :name)",
        "insert into user_event (id, user_id, field, value, hlc, aircraft) values "
        f"('{row}', '{user}', 'name', '\"Ada\"', {BEGAN_MS << HLC_BITS}, :name)",
        name=aircraft.name,
    )
    at_hangar(nodes, chance)
    # Last, or an editor might withdraw it at once.
    _item(nodes.hangar, chance, key(chance))
    publish.publish(nodes.hangar.engine, nodes.hangar.settings)


def at_hangar(nodes: Nodes, chance: Random, most: int = 4) -> None:
    """Editors add, change and withdraw items and surveys; some items have files, and are published."""
    hangar = nodes.hangar
    statements = []
    for _ in range(chance.randint(1, most)):
        row, what = key(chance), chance.random()
        there = [one for (one,) in hangar.ask("select id from item order by id")]
        if what < 0.35:
            statements.append(
                "insert into survey (id, question, choices) values "
                f"('{row}', '{{\"en\": \"{chance.random()}\"}}', '[]')"
            )
        elif what < 0.65 or not there:
            _item(hangar, chance, row)
        elif what < 0.85:
            statements.append(
                f"update item set priority = {chance.randint(1, 99)}, updated_at = now() "
                f"where id = '{chance.choice(there)}'"
            )
        else:
            statements.append(f"delete from item where id = '{chance.choice(there)}'")
    with hangar.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    publish.publish(hangar.engine, hangar.settings)


def _item(hangar: Node, chance: Random, row: str) -> None:
    """A published newspaper of one to three files, some of which other items have, too."""
    beside = hangar.settings.state_dir / "imported"
    rows = []
    for number in range(chance.randint(1, 3)):
        data = hashlib.sha256(str(chance.randint(0, 40)).encode()).digest() * chance.randint(1, 400)
        beside.write_bytes(data)
        sha256, size = publish.store(hangar.settings, beside)
        rows.append((key(chance), f"page-{number}.jpg", sha256, size))
    beside.unlink()
    with hangar.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into item (id, kind, title, published) values "
            f"('{row}', 'newspaper', '{{\"en\": \"{row[:6]}\"}}', true)"
        )
        for one, path, sha256, size in rows:
            connection.exec_driver_sql(
                "insert into asset (id, item_id, role, path, sha256, size, mime) values "
                f"('{one}', '{row}', 'page', '{path}', '{sha256}', {size}, 'image/jpeg')"
            )
