"""Long absence: what an aircraft that was off-line for thirty days is sent, beside the least there is.

A catalogue as an airline has it is edited four times a day, in five ways. Three aircraft follow: one lands
each day, one was away for half the time, one for all of it. The least is all change-sets that were missed,
or a snapshot of the last day.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Engine, text

from ci.bench.sync.server import Server, serving
from ci.bench.table import Row
from ci.lab.ssh import make_key
from common.clock import utc_now
from common.settings import Settings
from sync import apply, files, hangar, shelf, snapshot, state

DAYS, A_DAY = 30, 4
ITEMS = 1500
DAILY, HALF, AWAY = "EC-TAA", "EC-TAB", "EC-TAC"
# Of all items each day: corrected, replaced by new ones, removed; on the last ten days so many are removed.
EDITS = {
    "quiet": (0.004, 0.001, 0.0, 0.0),
    "newspapers": (0.02, 0.06, 0.0, 0.0),
    "translations": (0.3, 0.0, 0.0, 0.0),
    "growing": (0.01, 0.0, -0.03, 0.0),
    "shrinking": (0.01, 0.0, 0.0, 0.8),
}
_ADD = """
with made as (
    insert into item (id, kind, title, summary, languages, destinations, priority)
    select gen_random_uuid(), case n % 4 when 0 then 'newspaper' else 'film' end,
        (select jsonb_object_agg(l, initcap(w) || ' ' || n) from unnest(array['en','es','de','fr']) l,
            lateral (select string_agg(word, ' ') as w from {words} where n > 0 and l > '') t),
        (select jsonb_object_agg(l, w) from unnest(array['en','es','de','fr']) l,
            lateral (select string_agg(word, ' ') as w from {many} where n > 0 and l > '') t),
        array['en','es'], array['MAD','BCN'], 100 + n % 7
    from generate_series(1, :count) n returning id
)
insert into asset (id, item_id, role, path, sha256, size, mime)
select gen_random_uuid(), id, case p when 0 then 'poster' else 'hls' end, 'part-' || p || '.ts',
    encode(sha256((random()::text || p)::bytea), 'hex'), (random() * 1e9)::bigint, 'video/mp2t'
from made, generate_series(0, 4) p
"""
_WORDS = (
    "(select (array['the','sea','night','a','story','of','two','sisters','who','return','after','years',"
    "'to','village','where','nobody','waits','and','winter','is','long','letters','come','from','far'])"
    "[1 + floor(random() * 25)::int] as word from generate_series(1, {count})) one"
)
_CORRECT = (
    "update item set summary = summary || jsonb_build_object('en', (select string_agg(word, ' ') "
    f"from {_WORDS.format(count=40)} where item.id is not null)), updated_at = now() "
    "where id in (select id from item order by random() limit :count)"
)
_REMOVE = "delete from item where id in (select id from item order by random() limit :count)"
_SAME = (
    "select md5(string_agg(t::text, '' order by id)) from (select id, to_jsonb(item) as row from item "
    "union all select id, to_jsonb(asset) from asset) t"
)


@dataclass(frozen=True)
class Fleet:
    """A hangar and its aircraft, each with its database and folder."""

    top: Path
    hangar: Engine
    aircraft: dict[str, Engine]

    def settings(self, node: str) -> Settings:
        made: dict[str, Any] = {
            "node": node,
            "state_dir": self.top / node,
            "ssh_key": self.top / "sync_ed25519",
        }
        return Settings(role="hangar" if node == "hangar" else "aircraft", **made)

    def refresh(self, day: float) -> None:
        """What the hangar does after each edit."""
        later = timedelta(days=day)
        hangar.refresh(self.hangar, self.settings("hangar"), clock=lambda: utc_now() + later)

    def offered(self, name: str) -> list[Path]:
        """The files of the catalogue that an aircraft is to pull."""
        outbox = self.settings("hangar").sync_dir / "outbox" / name
        return list(outbox.glob("down/cat/*/*.cs"))

    def land(self, name: str) -> int:
        """Pulls and applies what is offered, and says so; returns the bytes of it."""
        settings, engine = self.settings(name), self.aircraft[name]
        inbox, size = files.inbox(settings, files.HANGAR), 0
        for path in self.offered(name):
            target = inbox / "cat" / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            size += path.stat().st_size
        outcome = apply.apply_stream(engine, settings, files.HANGAR, "cat")
        if outcome.problems:
            raise RuntimeError(f"what was to be measured went wrong: {outcome.problems}")
        body = json.dumps(state.local_state(engine, settings))
        run(
            self.hangar,
            "update aircraft set last_body = cast(:body as jsonb) where name = :name",
            body=body,
            name=name,
        )
        return size


def run(engine: Engine, statement: str, **values: object) -> None:
    """Runs one statement."""
    with engine.begin() as connection:
        connection.execute(text(statement), values)


def ask(engine: Engine, query: str) -> Any:
    """Returns the one value that a query gives."""
    with engine.connect() as connection:
        return connection.execute(text(query)).scalar()


def rows(full: bool) -> list[Row]:
    """The bytes of each kind of month, and how the work of sealing grows; fewer items unless `full`."""
    items = ITEMS if full else ITEMS // 10
    told: list[Row] = []
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        for name, edits in EDITS.items():
            fleet = _fleet(server, Path(folder) / name, name)
            told += _month(fleet, name, items, edits)
        few, many = (
            _sealed(_fleet(server, Path(folder) / f"of{size}", f"of{size}", size), items)
            for size in (3, 60)
        )
    told.append(Row("files sealed for 60 aircraft ÷ for 3", many / few, "×", 1))
    return told


def _fleet(server: Server, top: Path, name: str, size: int = 3) -> Fleet:
    make_key(top / "sync_ed25519", "hangar")
    made = Fleet(
        top,
        server.database(f"hangar_{name}", "hangar"),
        {
            one: server.database(f"{one[-3:]}_{name}".lower(), "aircraft")
            for one in (DAILY, HALF, AWAY)
        },
    )
    for number in range(size):
        tail = (DAILY, HALF, AWAY)[number] if number < 3 else f"EC-X{number}"
        run(
            made.hangar,
            "insert into aircraft (name, tower) values (:name, :tower)",
            name=tail,
            tower=str(number),
        )
    return made


def _edit(engine: Engine, items: int, edits: tuple[float, ...], last: bool, chance: Random) -> None:
    corrected, replaced, removed, at_last = edits
    for share, statement in (
        (corrected, _CORRECT),
        (replaced, _REMOVE),
        (replaced - min(removed, 0), _ADD),
        (max(removed, 0) + (at_last / 10 if last else 0), _REMOVE),
    ):
        # Of a day's edits each time has some, and not every time has one.
        count = int(items * share / A_DAY + chance.random())
        if share and count:
            _fill(engine, statement, count)


def _fill(engine: Engine, statement: str, count: int) -> None:
    words, many = _WORDS.format(count=3), _WORDS.format(count=60)
    run(engine, statement.format(words=words, many=many), count=count)


def _month(fleet: Fleet, name: str, items: int, edits: tuple[float, ...]) -> list[Row]:
    chance = Random(name)
    _fill(fleet.hangar, _ADD, items)
    fleet.refresh(0)
    for aircraft in fleet.aircraft:
        fleet.land(aircraft)
    for day in range(DAYS):
        for time in range(A_DAY):
            _edit(fleet.hangar, items, edits, day >= DAYS - 10, chance)
            fleet.refresh(day + time / A_DAY)
        fleet.land(DAILY)
        if day == DAYS // 2:
            fleet.land(HALF)
    since = {one: _after(fleet, one) for one in (HALF, AWAY)}
    fleet.refresh(DAYS)
    sent = {one: fleet.land(one) for one in (HALF, AWAY)}
    here = fleet.settings("hangar")
    made = int(ask(fleet.hangar, "select count(*) from sync.snapshot where stream = 'cat'"))
    snapshot.seal(fleet.hangar, here, "cat")
    lies = shelf.look(fleet.hangar, here, "cat")
    whole = lies.snapshots[lies.head]
    told = [
        Row(f"{name}, a snapshot", whole / 1000, "kB"),
        Row(f"{name}, snapshots sealed", made, ""),
    ]
    for one, days in ((HALF, DAYS // 2), (AWAY, DAYS)):
        missed = int(
            ask(
                fleet.hangar,
                f"select sum(bytes) from sync.batch where stream = 'cat' and seq > {since[one]}",
            )
        )
        told += [
            Row(f"{name}, {days} days, change-sets missed", missed / 1000, "kB"),
            Row(f"{name}, {days} days, sent", sent[one] / 1000, "kB"),
            Row(
                f"{name}, {days} days, sent ÷ min(missed, 1.05 × snapshot)",
                sent[one] / min(missed, 1.05 * whole),
                "×",
                1,
            ),
        ]
        if ask(fleet.aircraft[one], _SAME) != ask(fleet.hangar, _SAME):
            raise RuntimeError(f"{one} has another catalogue than the hangar")
    return told


def _after(fleet: Fleet, name: str) -> int:
    return int(ask(fleet.aircraft[name], "select seq from sync.cursor where stream = 'cat'") or 0)


def _sealed(fleet: Fleet, items: int) -> int:
    """Files that the hangar seals in five lively days when nobody lands."""
    chance = Random("sealed")
    _fill(fleet.hangar, _ADD, items)
    for day in range(5):
        fleet.refresh(day)
        _edit(fleet.hangar, items, EDITS["translations"], False, chance)
    fleet.refresh(5)
    count = ask(fleet.hangar, "select count(*) from sync.snapshot") or 0
    deltas = ask(fleet.hangar, "select count(*) from sync.batch") or 0
    return int(count) + int(deltas)
