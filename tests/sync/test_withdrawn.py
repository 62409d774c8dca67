"""Snapshots that have somebody who is erased: nobody is offered one any more."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from backports import zstd

from common.clock import utc_now
from sync import forgotten, persons, shelf, snapshot
from sync import hangar as hangar_side
from sync.shelf import Choice, Shelf, Told, choose
from tests.sync.ends import End, ids, run, scalar
from tests.sync.landing import beat, land

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

ADA = "lovelace@example.org"


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', 'a'), ('EC-TAB', 'b')")
    return hangar


@pytest.fixture
def ada(hangar: End) -> UUID:
    """One of two hundred users, of whom there is a snapshot; the change-sets are more than that."""
    known = uuid4()
    run(
        hangar,
        "insert into app_user (id, email, name, password_hash) select gen_random_uuid(), "
        "md5(n::text) || '@example.org', md5(n::text || 'x'), md5(n::text || 'y') "
        "from generate_series(1, 200) n",
        f"insert into app_user (id, email, name) values ('{known}', '{ADA}', 'Ada')",
    )
    for _ in range(3):
        refresh(hangar)
        run(hangar, "update app_user set name = md5(random()::text)")
    refresh(hangar)
    assert any(ADA in content(path) for path in offered(hangar))
    return known


def refresh(hangar: End, days: float = 0) -> None:
    hangar_side.refresh(
        hangar.engine, hangar.settings, clock=lambda: utc_now() + timedelta(days=days)
    )


def content(path: Path) -> str:
    return zstd.decompress(path.read_bytes()).decode("latin-1")


def sealed(hangar: End) -> list[Path]:
    """The snapshots of users that lie at the hangar, and those that an aircraft may read."""
    return sorted((hangar.settings.sync_dir / "outbox").rglob("usr/*/0*-*.cs"))


def offered(hangar: End, aircraft: str = "EC-TAA") -> list[Path]:
    return [path for path in sealed(hangar) if aircraft in path.parts]


def erase(hangar: End, user_id: UUID) -> None:
    with hangar.engine.begin() as connection:
        persons.order_erasure(connection, user_id, utc_now())


def newest(hangar: End) -> object:
    return scalar(
        hangar, "select schema_version from sync.snapshot where stream = 'usr' order by seq desc"
    )


def test_no_snapshot_has_who_is_erased_and_the_next_aircraft_gets_another(
    aircraft: End, hangar: End, ada: UUID
) -> None:
    erase(hangar, ada)
    refresh(hangar)
    assert sealed(hangar)
    assert not [path for path in sealed(hangar) if ADA in content(path)]
    land(aircraft, hangar)
    assert ids(aircraft, "app_user") == ids(hangar, "app_user")
    assert scalar(aircraft, f"select erased from app_user where id = '{ada}'") is True
    assert land(aircraft, hangar).problems == []


def test_nobody_needs_another_where_change_sets_are_less(
    aircraft: End, hangar: End, ada: UUID
) -> None:
    run(hangar, "delete from aircraft where name = 'EC-TAB'")
    hangar_side.forget(hangar.engine, hangar.settings, "EC-TAB")
    land(aircraft, hangar)
    beat(aircraft, hangar)
    erase(hangar, ada)
    refresh(hangar)
    assert sealed(hangar) == []
    # How large the next one will be is known all the same.
    assert shelf.look(hangar.engine, hangar.settings, "usr").estimate
    refresh(hangar, days=8)
    land(aircraft, hangar)
    assert scalar(aircraft, f"select erased from app_user where id = '{ada}'") is True


def test_who_is_pulling_one_gets_it_to_the_end(hangar: End, ada: UUID) -> None:
    run(
        hangar,
        "update aircraft set last_body = '{\"syncing\": true}', last_seen = now() "
        "where name = 'EC-TAA'",
    )
    (former,) = offered(hangar)
    erase(hangar, ada)
    refresh(hangar)
    assert former in offered(hangar)
    assert not [path for path in offered(hangar, "EC-TAB") if ADA in content(path)]
    refresh(hangar, days=0.01)
    assert not [path for path in sealed(hangar) if ADA in content(path)]


def test_what_was_withdrawn_is_chosen_by_nobody_else() -> None:
    one = Shelf(UUID(int=1), 4, {4: 30}, {3: 45}, 100.0, withdrawn=frozenset({3}))
    assert choose(one, Told(after=0)) is None
    assert choose(one, Told(after=0, pulling=True), stay=3) == Choice(75, 3, 4)
    assert choose(one, Told(after=0, pulling=True), stay=2) is None


@pytest.mark.parametrize("step", ["written", "renamed"])
def test_who_is_erased_while_one_is_sealed_is_in_none(hangar: End, ada: UUID, step: str) -> None:
    run(hangar, "update app_user set name = name || 'x'")
    hangar_side.seal.seal_all(hangar.engine, hangar.settings)

    def at(reached: str) -> None:
        if reached == step:
            erase(hangar, ada)

    snapshot.seal(hangar.engine, hangar.settings, "usr", at=at)
    assert newest(hangar) == forgotten.WITHDRAWN
    refresh(hangar)
    assert not [path for path in sealed(hangar) if ADA in content(path)]


def test_one_of_the_same_change_set_is_sealed_anew(hangar: End, ada: UUID) -> None:
    # Recorded, and not in a change-set yet.
    erase(hangar, ada)
    snapshot.seal(hangar.engine, hangar.settings, "usr")
    assert newest(hangar) == scalar(hangar, "select version_num from alembic_version")
    (found,) = [path for path in sealed(hangar) if "all" in path.parts][-1:]
    assert ADA not in content(found)
