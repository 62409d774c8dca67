"""Whoever changes rows in quarantine waits for those who settle users before holding any: none for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import Connection, text

from common.clock import utc_now
from sync import files, forgotten, persons, quarantine_orders, user_lock, users
from sync import hangar as hangar_side
from sync.retry import retry
from tests.sync.ends import End, run, scalar, scalar_list
from tests.sync.packed import Packer, Rows
from tests.sync.test_quarantine import STATES, ingest

pytestmark = pytest.mark.postgres

ADA = UUID(int=7)
PLAY, NAME, LAST = (UUID(int=n) for n in (1, 2, 3))
KEPT = text(
    "insert into sync.quarantine (peer, stream, epoch, seq, tbl, key, op, row, sqlstate, error) "
    "values (:peer, :stream, gen_random_uuid(), 1, :tbl, :key, 'U', jsonb_build_object('id', "
    "cast(:key as text), 'user_id', cast(:ada as text)) || cast(:row as jsonb), '23514', '')"
)
SAID = '{"field": "name", "value": "\\"Ada\\"", "hlc": 1, "aircraft": "EC-TAA"}'
PLAYED = '{"kind": "play", "aircraft": "EC-TAA"}'


@pytest.fixture
def end(request: pytest.FixtureRequest) -> End:
    """An end whose quarantine holds what a person who is erased by now has said and used."""
    end: End = request.getfixturevalue(request.param)
    peer = "EC-TAA" if request.param == "hangar" else files.HANGAR
    rows = [
        ("use", "usage_event", PLAY, PLAYED),
        ("usr", "user_event", NAME, SAID),
        ("usr", "user_event", LAST, SAID),
    ]
    with end.engine.begin() as connection:
        connection.execute(text("set local sync.applying = 'on'"))
        connection.execute(
            text("insert into app_user (id, erased) values (:ada, true)"), {"ada": ADA}
        )
        for stream, table, key, row in rows:
            words = {"stream": stream, "tbl": table, "key": str(key), "row": row}
            connection.execute(KEPT, words | {"peer": peer, "ada": str(ADA)})
    return end


def tried_again(end: End) -> None:
    retry(end.engine, "hangar", users.folds(utc_now))


def ordered(do: str, end: End) -> None:
    numbers = scalar_list(end, "select id from sync.quarantine order by id")
    order = quarantine_orders.Order.model_validate(
        {"do": do, "operator": "eva@desk", "ids": numbers, "why": "x"}
    )
    with end.engine.begin() as connection:
        quarantine_orders.carry_out(connection, order, end.settings.role, utc_now())


def overtaken(stream: str, end: End) -> None:
    columns, rows = {
        "usr": (("field", "value", "hlc"), Rows("user_event", (), [(NAME, "name", '"Ada"', 1)])),
        "use": (("kind",), Rows("usage_event", (), [(PLAY, "play")])),
    }[stream]
    came = [(*row, ADA, "EC-TAA") for row in rows.rows]
    Packer(end, "EC-TAA", stream).send(
        Rows(rows.table, ("id", *columns, "user_id", "aircraft"), came)
    )
    assert ingest(end).problems == []


def swept_at_the_hangar(end: End) -> None:
    hangar_side.ingest(end.engine, end.settings, "EC-TAA")


def swept_aboard(end: End) -> None:
    forgotten.sweep(end.engine)


def wait_until_one_waits(connection: Connection) -> None:
    until = time.monotonic() + 20
    query = text(
        "select exists (select from pg_stat_activity "
        "where datname = current_database() and wait_event_type = 'Lock')"
    )
    while not connection.scalar(query):
        assert time.monotonic() < until, "nobody waits"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("end", "act"),
    [
        ("hangar", tried_again),
        ("hangar", lambda end: ordered("retry", end)),
        ("hangar", lambda end: ordered("drop", end)),
        ("hangar", lambda end: overtaken("usr", end)),
        ("hangar", lambda end: overtaken("use", end)),
        ("hangar", swept_at_the_hangar),
        ("aircraft", lambda end: ordered("drop", end)),
        ("aircraft", swept_aboard),
    ],
    ids=[
        "tried again",
        "ordered to be tried",
        "dropped",
        "said later",
        "used later",
        "swept at the hangar",
        "dropped aboard",
        "swept aboard",
    ],
    indirect=["end"],
)
def test_it_and_an_erasure_do_not_wait_for_each_other(end: End, act: Callable[[End], None]) -> None:
    with ThreadPoolExecutor(1) as others:
        with end.engine.begin() as connection, end.engine.connect() as watching:
            user_lock.alone(connection)
            connection.execute(
                text("select from sync.quarantine where key = :key for update"), {"key": str(LAST)}
            )
            done = others.submit(act, end)
            wait_until_one_waits(watching.execution_options(isolation_level="AUTOCOMMIT"))
            forgotten.leave_quarantine(connection)
        try:
            done.result()
        except quarantine_orders.Refused as refused:
            # They are gone.
            assert "is in quarantine here" in str(refused)
    left = scalar_list(end, STATES)
    assert [row.split()[1] for row in left] == [str(PLAY)], "what was used stays, and names no one"
    assert scalar(end, "select row ->> 'user_id' from sync.quarantine") is None


@pytest.mark.parametrize(
    ("stream", "table", "columns", "row"),
    [
        ("use", "usage_event", ("kind",), ("play",)),
        ("usr", "user_event", ("field", "value", "hlc"), ("name", '"Ada"', 1)),
    ],
)
def test_a_column_that_comes_later_and_an_erasure_do_not_wait_for_each_other(
    hangar: End, stream: str, table: str, columns: tuple[str, ...], row: tuple[object, ...]
) -> None:
    packer = Packer(hangar, "EC-TAA", stream)

    def send(at: str) -> None:
        names = ("id", "user_id", "aircraft", "at", *columns)
        packer.send(Rows(table, names, [(PLAY, ADA, "EC-TAA", at, *row)]))

    send("2026-11-25")
    assert ingest(hangar).problems == []
    lacks = f"values ('EC-TAA', '{table}', 'coming', '{{at}}')"
    run(hangar, f"insert into sync.need (peer, tbl, reason, columns) {lacks}")
    send("2026-11-26")
    with ThreadPoolExecutor(1) as others:
        with hangar.engine.begin() as connection, hangar.engine.connect() as watching:
            user_lock.alone(connection)
            done = others.submit(ingest, hangar)
            wait_until_one_waits(watching.execution_options(isolation_level="AUTOCOMMIT"))
            connection.execute(text("set local sync.applying = 'on'"))
            persons.erase(connection, ADA, utc_now())
        assert done.result().problems == []
    assert scalar(hangar, f"select count(*) from {table} where user_id = '{ADA}'") == 0
