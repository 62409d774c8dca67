"""Rows that the database refuses: kept aside one by one, tried again, overtaken; or the stream stops."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from common.clock import utc_now
from sync import apply, held, load, quarantine, users
from sync.retry import retry
from tests.sync.ends import End, PowerCut, cut_at, ids, run, scalar, scalar_list
from tests.sync.packed import Packer, Rows

pytestmark = pytest.mark.postgres

EVENT = ("id", "kind", "aircraft")
ITEM = ("id", "kind", "title")
ASSET = ("id", "item_id", "role", "path", "sha256", "size", "mime")
STATES = "select state || ' ' || key from sync.quarantine order by id"


def events(count: int, bad: int = 0) -> Rows:
    """So many events, the last of them of no kind."""
    rows = [(uuid4(), "play" if n < count - bad else None, "EC-TAA") for n in range(count)]
    return Rows("usage_event", EVENT, rows)


def film(key: UUID, kind: str = "film") -> Rows:
    return Rows("item", ITEM, [(key, kind, "{}")])


def poster(key: UUID, item: UUID) -> Rows:
    return Rows("asset", ASSET, [(key, item, "poster", "p.jpg", "a" * 64, 1, "image/jpeg")])


def ingest(end: End, peer: str = "EC-TAA") -> apply.Outcome:
    folds = users.folds(utc_now) if end.settings.role == "hangar" else {}
    return apply.apply_all(end.engine, end.settings, peer, folds=folds)


@pytest.mark.parametrize("count", [1, 2, 7, 400])
def test_one_bad_row_is_kept_and_the_rest_is_applied(hangar: End, up: Packer, count: int) -> None:
    batch = events(count, bad=1)
    up.send(batch)
    outcome = ingest(hangar)
    assert (outcome.rows, outcome.quarantined, outcome.problems) == (count, 1, [])
    assert ids(hangar) == sorted(row[0] for row in batch.rows[:-1])
    assert scalar(hangar, "select seq from sync.cursor") == 1
    with hangar.engine.connect() as connection:
        kept = connection.execute(text("select * from sync.quarantine")).one()
    assert (kept.peer, kept.stream, kept.seq, kept.tbl) == ("EC-TAA", "use", 1, "usage_event")
    assert (kept.key, kept.op, kept.sqlstate) == (str(batch.rows[-1][0]), "U", "23502")
    assert kept.row == {"id": kept.key, "kind": None, "aircraft": "EC-TAA"}
    assert "null value in column" in kept.error
    assert held.held(hangar.engine) == {"EC-TAA": {"use": {"rows": 1, "why": ""}}}


def test_a_value_that_is_none_and_a_key_that_is_none_are_bad_rows(hangar: End, up: Packer) -> None:
    rows = [("no-uuid", "play", "EC-TAA"), (None, "play", "EC-TAA"), (uuid4(), "play", "EC-TAA")]
    up.send(Rows("usage_event", EVENT, rows))
    assert ingest(hangar).quarantined == 2
    assert len(ids(hangar)) == 1
    assert scalar_list(hangar, "select key from sync.quarantine order by id") == ["no-uuid", ""]
    # It may be a passenger's, and what the database said goes to logs.
    said = scalar_list(hangar, "select error from sync.quarantine order by id")[0]
    assert said == 'invalid input syntax for type uuid: "…"'


def test_a_text_that_its_column_has_no_room_for_is_not_cut_short(hangar: End, up: Packer) -> None:
    run(hangar, "alter table usage_event add currency char(3)")
    try:
        rows = [(uuid4(), "play", "EC-TAA", value) for value in ("EUR", "EURO")]
        up.send(Rows("usage_event", (*EVENT, "currency"), rows))
        assert ingest(hangar).quarantined == 1
        assert scalar_list(hangar, "select currency from usage_event") == ["EUR"]
    finally:
        run(hangar, "alter table usage_event drop currency")


def test_a_key_twice_in_one_block_is_the_later_row(aircraft: End, down: Packer) -> None:
    key = uuid4()
    rows = [(key, "film", "{}"), (key, "newspaper", "{}")]
    down.send(Rows("item", ITEM, rows))
    assert ingest(aircraft, "hangar").quarantined == 0
    assert scalar_list(aircraft, "select kind from item") == ["newspaper"]


@pytest.mark.parametrize("step", apply.STEPS)
def test_killed_at_any_step_a_bad_row_is_kept_once(hangar: End, up: Packer, step: str) -> None:
    up.send(events(5, bad=1))
    with pytest.raises(PowerCut):
        apply.apply_stream(hangar.engine, hangar.settings, "EC-TAA", "use", at=cut_at(step))
    expected = (4, 1) if step == "committed" else (0, 0)
    assert (len(ids(hangar)), len(scalar_list(hangar, STATES))) == expected
    ingest(hangar)
    assert (len(ids(hangar)), len(scalar_list(hangar, STATES))) == (4, 1)


def test_a_missing_parent_that_comes_later_lets_its_child_in(aircraft: End, down: Packer) -> None:
    item, asset = uuid4(), uuid4()
    down.send(poster(asset, item))
    assert ingest(aircraft, "hangar").quarantined == 1
    assert ids(aircraft, "asset") == []
    assert "is not present in table" in str(scalar(aircraft, "select error from sync.quarantine"))
    down.send(film(item))
    assert ingest(aircraft, "hangar").quarantined == 0
    assert ids(aircraft, "asset") == [asset]
    assert scalar_list(aircraft, STATES) == [f"resolved {asset}"]
    assert scalar(aircraft, "select decided_by from sync.quarantine") == "sync"
    assert held.held(aircraft.engine) == {}


@pytest.mark.parametrize("count", [1, 1200])
def test_a_bad_film_takes_its_files_along_and_stops_nothing(
    aircraft: End, down: Packer, count: int
) -> None:
    bad, good = uuid4(), uuid4()
    run(aircraft, "alter table item add constraint strict check (kind <> 'film')")
    segments = [(uuid4(), bad, "hls", f"{n}.ts", "a" * 64, 1, "video/mp2t") for n in range(count)]
    try:
        both = Rows("item", ITEM, [(bad, "film", "{}"), (good, "newspaper", "{}")])
        down.send(both, Rows("asset", ASSET, [*segments, *poster(uuid4(), good).rows]))
        outcome = ingest(aircraft, "hangar")
        assert (outcome.quarantined, outcome.problems) == (count + 1, [])
        # One that comes later waits as well, and what is none's child goes on.
        down.send(poster(uuid4(), bad))
        assert ingest(aircraft, "hangar").quarantined == 1
        down.send(film(uuid4(), "newspaper"))
        assert ingest(aircraft, "hangar").problems == []
        assert scalar(aircraft, "select count(*) from sync.quarantine where attempts > 1") == 1
        waits = scalar_list(
            aircraft, "select distinct error from sync.quarantine where tbl = 'asset'"
        )
        assert waits == [f"waits for the item {bad}, which is in quarantine"]
        assert (len(ids(aircraft, "item")), len(ids(aircraft, "asset"))) == (2, 1)
    finally:
        run(aircraft, "alter table item drop constraint strict")
    done = retry(aircraft.engine, "aircraft", {})
    assert (done.resolved, done.refused) == (count + 2, 0)
    assert (len(ids(aircraft, "item")), len(ids(aircraft, "asset"))) == (3, count + 2)


def test_a_later_row_of_the_key_takes_its_place(aircraft: End, down: Packer) -> None:
    key, gone, still = uuid4(), uuid4(), uuid4()
    down.send(Rows("item", ITEM, [(one, "opera", "{}") for one in (key, gone, still)]))
    assert ingest(aircraft, "hangar").quarantined == 3
    down.send(Rows("item", ITEM, [(key, "film", "{}"), (still, "ballet", "{}")], gone=[gone]))
    assert ingest(aircraft, "hangar").quarantined == 1
    assert ids(aircraft, "item") == [key]
    assert sorted(scalar_list(aircraft, STATES)) == sorted(
        [*(f"superseded {one}" for one in (key, gone, still)), f"open {still}"]
    )
    assert scalar(aircraft, "select row->>'kind' from sync.quarantine where state='open'") == (
        "ballet"
    )


def test_a_new_history_takes_the_place_of_all(aircraft: End, down: Packer) -> None:
    down.send(film(uuid4(), "opera"))
    ingest(aircraft, "hangar")
    again = Packer(aircraft, "hangar", "cat")
    again.send(film(uuid4()))
    assert ingest(aircraft, "hangar").problems == []
    assert scalar(aircraft, "select state from sync.quarantine") == "superseded"


def test_in_a_new_history_a_row_that_is_refused_stays_as_it_was(
    aircraft: End, down: Packer
) -> None:
    key, gone = uuid4(), uuid4()
    down.send(Rows("item", ITEM, [(key, "film", "{}"), (gone, "film", "{}")]))
    ingest(aircraft, "hangar")
    Packer(aircraft, "hangar", "cat").send(film(key, "opera"))
    assert ingest(aircraft, "hangar").quarantined == 1
    assert ids(aircraft, "item") == [key]


def test_a_delete_that_is_refused_is_kept_and_done_later(aircraft: End, down: Packer) -> None:
    key = uuid4()
    down.send(film(key))
    ingest(aircraft, "hangar")
    run(aircraft, "create table shelf (item_id uuid references item (id))")
    try:
        run(aircraft, f"insert into shelf values ('{key}')")
        down.send(Rows("item", ITEM, gone=[key]))
        assert ingest(aircraft, "hangar").quarantined == 1
        assert ids(aircraft, "item") == [key]
        assert scalar(aircraft, "select op from sync.quarantine") == "D"
        run(aircraft, "delete from shelf")
        assert retry(aircraft.engine, "aircraft", {}).resolved == 1
        assert ids(aircraft, "item") == []
    finally:
        run(aircraft, "drop table shelf")


class TestFolds:
    """A fold sees the rows that were taken, each once, and none of the others."""

    COLUMNS = ("id", "user_id", "field", "value", "hlc", "aircraft")

    def send(self, hangar: End, *fields: str) -> tuple[UUID, Packer]:
        user = uuid4()
        packer = Packer(hangar, "EC-TAA", "usr")
        rows = [
            (uuid4(), user, field, f'"{field}-{n}"', n, "EC-TAA")
            for n, field in enumerate(fields, 1)
        ]
        packer.send(Rows("user_event", self.COLUMNS, rows))
        return user, packer

    def test_of_a_block_with_a_bad_row(self, hangar: End) -> None:
        seen: list[UUID] = []

        def fold(connection: Connection, incoming: str) -> None:
            seen.extend(connection.scalars(text(f"select id from {incoming}")))
            users.fold(connection, incoming, utc_now)

        self.send(hangar, "name", "email", "shoe", "language", "name")
        apply.apply_all(hangar.engine, hangar.settings, "EC-TAA", folds={"user_event": fold})
        taken = ids(hangar, "user_event")
        assert len(taken) == 4
        # What was tried and rolled back was seen, too, and so was its effect undone.
        assert set(seen) >= set(taken)
        assert scalar(hangar, "select name || ' ' || email || ' ' || language from app_user") == (
            "name-5 email-2 language-4"
        )
        assert scalar(hangar, "select version from app_user") == 2

    def test_of_a_row_that_is_let_in_later(self, hangar: End) -> None:
        self.send(hangar, "name", "shoe")
        ingest(hangar)
        run(hangar, 'update sync.quarantine set row = row || \'{"field": "email"}\'')
        assert retry(hangar.engine, "hangar", users.folds(utc_now)).resolved == 1
        assert scalar(hangar, "select email from app_user") == "shoe-2"

    def test_a_row_whose_fold_is_refused_is_not_taken(self, hangar: End) -> None:
        run(hangar, "alter table app_user add constraint odd check (name <> 'name-2')")
        try:
            self.send(hangar, "email", "name")
            assert ingest(hangar).quarantined == 1
            assert len(ids(hangar, "user_event")) == 1
            assert scalar(hangar, "select email || name from app_user") == "email-1"
        finally:
            run(hangar, "alter table app_user drop constraint odd")


class TestTooMany:
    """So many rows are no rows' fault: the stream stops in words, and nothing is applied."""

    def test_more_than_a_twentieth(self, hangar: End, up: Packer, strict: None) -> None:
        up.send(events(300))
        (problem,) = ingest(hangar).problems
        assert "16 of 300" in problem
        assert "nothing of this change-set was applied" in problem
        assert (ids(hangar), scalar_list(hangar, STATES)) == ([], [])
        assert "16 of 300" in held.held(hangar.engine)["EC-TAA"]["use"]["why"]
        run(hangar, "alter table usage_event drop constraint strict")
        assert ingest(hangar).problems == []
        assert len(ids(hangar)) == 300
        assert held.held(hangar.engine) == {}

    def test_fewer_are_borne(self, hangar: End, up: Packer) -> None:
        up.send(events(300, bad=15))
        assert ingest(hangar).quarantined == 15

    def test_a_few_are_borne_whatever_the_share(self, hangar: End, up: Packer) -> None:
        up.send(events(quarantine.FEW, bad=quarantine.FEW))
        assert (ingest(hangar).quarantined, ids(hangar)) == (quarantine.FEW, [])

    def test_when_quarantine_is_full(
        self, hangar: End, up: Packer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(quarantine, "MOST", 12)
        up.send(events(10, bad=10))
        ingest(hangar)
        up.send(events(10, bad=3))
        (problem,) = ingest(hangar).problems
        assert "10 rows of this stream are in quarantine already, and 3 more came" in problem
        assert ids(hangar) == []


def test_payments_are_whole_or_stop(
    hangar: End, up: Packer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "never_partial", lambda stream: stream == "use")
    batch = events(50, bad=1)
    up.send(batch)
    (problem,) = ingest(hangar).problems
    assert f"the row {batch.rows[-1][0]} of usage_event" in problem
    assert "Payments are applied whole or not at all" in problem
    assert (ids(hangar), scalar_list(hangar, STATES)) == ([], [])
    standing = held.held(hangar.engine)["EC-TAA"]["use"]
    assert standing["rows"] == 0
    assert "Payments" in standing["why"]


def test_payments_are_their_own_stream() -> None:
    assert [name for name in ("pay", "use", "usr") if quarantine.never_partial(name)] == ["pay"]


@pytest.mark.parametrize(("at_once", "attempts", "rows"), [(True, 3, 2), (False, 2 * 17, 2)])
@pytest.mark.parametrize("bad", [{70_000}, {1}, {100_000}, {5, 6, 99_999}])
def test_bad_rows_are_found_in_few_attempts(
    bad: set[int], at_once: bool, attempts: int, rows: int
) -> None:
    tried: list[tuple[int, int]] = []
    found: list[int] = []

    def take(first: int, last: int) -> quarantine.Refusal | None:
        tried.append((first, last))
        refused = sorted(one for one in bad if first <= one <= last)
        # What is checked in the end only is refused at the last row.
        at = refused[0] if at_once and refused else last
        return quarantine.Refusal(ValueError(), at) if refused else None  # type: ignore[arg-type]

    quarantine.sift(1, 100_000, take, lambda number, error: found.append(number))
    assert found == sorted(bad)
    # The last row is not known from one that is refused in the end.
    assert len(tried) <= 1 + (2 * 17 if 100_000 in bad else attempts) * len(bad)
    work = sum(last - first + 1 for first, last in tried)
    assert work <= 100_100 * (1 + rows * len(bad))


def test_a_row_that_is_refused_at_once_is_found_at_once(
    hangar: End, up: Packer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[int, int]] = []
    between = load.between

    def counted(*words: Any) -> quarantine.Refusal | None:
        tried.append(words[-2:])
        return between(*words)

    monkeypatch.setattr(load, "between", counted)
    batch = events(300)
    for number in (7, 8, 250):
        batch.rows[number - 1] = (uuid4(), None, "EC-TAA")  # type: ignore[index]
    up.send(batch)
    assert ingest(hangar).quarantined == 3
    assert tried[:4] == [(1, 300), (1, 6), (7, 7), (8, 300)]
    assert len(tried) <= 1 + 3 * 3


def test_what_came_is_applied_though_quarantine_cannot_be_looked_at(
    hangar: End, up: Packer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise OperationalError("select", None, psycopg2.OperationalError("lock timeout"))

    monkeypatch.setattr(apply.retry, "retry", busy)
    up.send(events(3))
    (problem,) = ingest(hangar).problems
    assert "could not be tried again now: lock timeout" in problem
    assert len(ids(hangar)) == 3
