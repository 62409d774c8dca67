"""Rows that wait for their parent are overtaken as refused ones are, and do not count as those do."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from common.clock import utc_now
from sync import quarantine, quarantine_orders, seal, snapshot
from tests.sync.ends import End, carry, ids, run, scalar, scalar_list
from tests.sync.packed import Packer, Rows
from tests.sync.test_quarantine import ASSET, film, ingest

pytestmark = pytest.mark.postgres

FILM = UUID(int=1)
PARTS = 4
CHANGED = "update asset set sha256 = repeat('b', 64) where id = '{}'".format
ADDED = (
    "insert into asset (id, item_id, role, path, sha256, size, mime) "
    "values ('{}', '{}', 'hls', '{}.ts', repeat('a', 64), 1, 'video/mp2t')"
).format
GONE = "delete from asset where id = '{}'".format
MENDED = f"update item set kind = 'newspaper' where id = '{FILM}'"
OPEN = "select count(*) from sync.quarantine where state = 'open'"


def part(number: int) -> UUID:
    return UUID(int=100 + number)


@pytest.fixture
def _no_films(aircraft: End) -> Iterator[None]:
    run(aircraft, "alter table item add constraint no_films check (kind <> 'film')")
    yield
    run(aircraft, "alter table item drop constraint if exists no_films")


@pytest.fixture
def waiting(hangar: End, aircraft: End, _no_films: None) -> None:
    """A film that is refused aboard, and its files, which wait for it there."""
    run(
        hangar,
        f"insert into item (id, kind, title) values ('{FILM}', 'film', '{{}}')",
        *(ADDED(part(n), FILM, n) for n in range(PARTS)),
    )
    come(hangar, aircraft)
    assert scalar(aircraft, OPEN) == 1 + PARTS


def come(hangar: End, aircraft: End) -> None:
    """What changed at the hangar comes aboard and is applied."""
    seal.seal_all(hangar.engine, hangar.settings)
    carry(hangar, aircraft)
    assert ingest(aircraft, "hangar").problems == []


def assert_equal(hangar: End, aircraft: End) -> None:
    for table in ("item", "asset"):
        query = f"select cast(t as text) from {table} t order by id"
        assert scalar_list(aircraft, query) == scalar_list(hangar, query)
    assert scalar(aircraft, OPEN) == 0


@pytest.mark.usefixtures("waiting")
def test_files_that_come_with_their_mended_film_are_the_later_ones(
    hangar: End, aircraft: End
) -> None:
    run(hangar, MENDED, CHANGED(part(0)), CHANGED(part(1)), GONE(part(2)))
    come(hangar, aircraft)
    assert_equal(hangar, aircraft)


@pytest.mark.usefixtures("waiting")
def test_files_that_went_while_their_film_was_refused_do_not_come_back(
    hangar: End, aircraft: End
) -> None:
    run(hangar, CHANGED(part(0)), GONE(part(1)), GONE(part(2)))
    come(hangar, aircraft)
    assert scalar(aircraft, OPEN) == 1 + PARTS - 2
    run(aircraft, "alter table item drop constraint no_films")
    run(hangar, f"insert into item (id, kind, title) values ('{uuid4()}', 'newspaper', '{{}}')")
    come(hangar, aircraft)
    assert_equal(hangar, aircraft)


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("whole", [False, True])
def test_files_whose_film_an_operator_dropped_are_overtaken(
    hangar: End, aircraft: End, whole: bool
) -> None:
    number = scalar(aircraft, "select id from sync.quarantine where tbl = 'item'")
    order = quarantine_orders.Order.model_validate(
        {"do": "drop", "operator": "eva@desk", "ids": [number], "why": "a film of the lab"}
    )
    with aircraft.engine.begin() as connection:
        quarantine_orders.carry_out(connection, order, "aircraft", utc_now())
    run(hangar, MENDED, *(CHANGED(part(n)) for n in range(PARTS - 1)), GONE(part(PARTS - 1)))
    if whole:
        seal.seal_all(hangar.engine, hangar.settings)
        snapshot.seal(hangar.engine, hangar.settings, "cat")
    come(hangar, aircraft)
    assert_equal(hangar, aircraft)


@pytest.mark.usefixtures("_no_films")
@pytest.mark.parametrize("whole", [False, True])
def test_a_file_that_is_here_and_moved_to_a_refused_film_stays_as_it_was(
    hangar: End, aircraft: End, whole: bool
) -> None:
    paper, here, gone = uuid4(), part(0), part(1)
    run(
        hangar,
        f"insert into item (id, kind, title) values ('{paper}', 'newspaper', '{{}}')",
        *(ADDED(key, paper, key) for key in (here, gone)),
    )
    come(hangar, aircraft)
    run(
        hangar,
        f"insert into item (id, kind, title) values ('{FILM}', 'film', '{{}}')",
        f"update asset set item_id = '{FILM}' where id = '{here}'",
        GONE(gone),
    )
    if whole:
        seal.seal_all(hangar.engine, hangar.settings)
        snapshot.seal(hangar.engine, hangar.settings, "cat")
    come(hangar, aircraft)
    assert scalar_list(aircraft, "select id || ' ' || item_id from asset") == [f"{here} {paper}"]
    assert scalar(aircraft, OPEN) == 2
    run(hangar, MENDED)
    come(hangar, aircraft)
    assert_equal(hangar, aircraft)


def test_what_waits_and_is_overtaken_makes_no_room_in_quarantine(
    aircraft: End, down: Packer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MOST", quarantine.FEW)
    bad, good = uuid4(), uuid4()
    items = [(bad, "opera", "{}"), *film(good).rows]

    def files(count: int, item: UUID, size: int = 1) -> list[tuple[object, ...]]:
        return [(uuid4(), item, "hls", f"{n}", "a" * 64, size, "video/mp2t") for n in range(count)]

    wait = files(5, bad)
    down.send(Rows("item", ("id", "kind", "title"), items), Rows("asset", ASSET, wait))
    assert ingest(aircraft, "hangar").quarantined == 1 + len(wait)
    down.send(Rows("asset", ASSET, [*wait, *files(quarantine.FEW, good, size=-1)]))
    (problem,) = ingest(aircraft, "hangar").problems
    assert f"1 rows of this stream are in quarantine already, and {quarantine.FEW} more" in problem
    assert ids(aircraft, "asset") == []
