"""What the triggers record and what they refuse, whoever writes."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg2.errors
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from common.schema import UsageEvent
from sync import capture

pytestmark = pytest.mark.postgres

ITEM = "insert into item (id, kind, title) values ('{}', 'film', '{{\"en\": \"A\"}}')"
EVENT = "insert into usage_event (id, kind, aircraft) values ('{}', 'play', 'EC-TAA')"
PAYMENT = (
    "insert into payment (id, order_id, kind, amount_minor, currency, aircraft) "
    "values ('{}', gen_random_uuid(), 'charge', 1250, 'EUR', 'EC-TAA')"
)
ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)


def dirty(connection: Connection) -> list[tuple[str, UUID]]:
    rows = connection.execute(text("select tbl, pk from sync.dirty order by id"))
    return [(row.tbl, row.pk) for row in rows]


@pytest.fixture
def at(new_end: Callable[..., Any]) -> Callable[[str], Engine]:
    return lambda role: new_end("x", role).engine


def test_insert_update_and_delete_each_record_the_key(at: Callable[[str], Engine]) -> None:
    with at("hangar").begin() as connection:
        connection.execute(text(ITEM.format(ONE)))
        connection.execute(text("update item set priority = 1"))
        connection.execute(text("delete from item"))
        assert dirty(connection) == [("item", ONE)] * 3


def test_an_update_that_changes_nothing_records_nothing(at: Callable[[str], Engine]) -> None:
    with at("hangar").begin() as connection:
        connection.execute(text(ITEM.format(ONE)))
        connection.execute(text(ITEM.format(TWO)))
        connection.execute(text("delete from sync.dirty"))
        connection.execute(text("update item set priority = priority, title = title"))
        connection.execute(text("update item set priority = 7 where id = :id"), {"id": TWO})
        assert dirty(connection) == [("item", TWO)]


def test_an_upsert_records_what_it_added_and_what_it_changed(at: Callable[[str], Engine]) -> None:
    with at("hangar").begin() as connection:
        connection.execute(text(ITEM.format(ONE)))
        connection.execute(text(ITEM.format(TWO)))
        connection.execute(text("delete from sync.dirty"))
        connection.execute(
            text(
                "insert into item (id, kind, title, priority) select id, 'film', "
                '\'{"en": "A"}\', case id when :two then 7 else 100 end '
                "from unnest(array[:one, :two, :three]) id "
                "on conflict (id) do update set priority = excluded.priority"
            ),
            {"one": ONE, "two": TWO, "three": THREE},
        )
        assert sorted(dirty(connection)) == [("item", TWO), ("item", THREE)]


def test_a_merge_records_the_key_of_each_row_it_touches(at: Callable[[str], Engine]) -> None:
    with at("hangar").begin() as connection:
        connection.execute(text(ITEM.format(ONE)))
        connection.execute(text(ITEM.format(TWO)))
        connection.execute(text("delete from sync.dirty"))
        connection.execute(
            text(
                "merge into item using (select unnest(array[:one, :two, :three]) as key) n "
                "on item.id = n.key when matched and key = :one then delete "
                "when matched then update set priority = 7 when not matched "
                "then insert (id, kind, title) values (key, 'film', '{}')"
            ),
            {"one": ONE, "two": TWO, "three": THREE},
        )
        assert sorted(dirty(connection)) == [("item", key) for key in (ONE, TWO, THREE)]


def copy_in(connection: Connection, table: str, lines: str) -> None:
    cursor: Any = connection.connection.cursor()
    cursor.copy_expert(f"copy {table} from stdin", io.StringIO(lines))


def test_what_is_copied_in_is_recorded(at: Callable[[str], Engine]) -> None:
    with at("aircraft").begin() as connection:
        copy_in(connection, "usage_event (id, kind, aircraft)", f"{ONE}\tplay\tx\n{TWO}\tplay\tx\n")
        assert dirty(connection) == [("usage_event", ONE), ("usage_event", TWO)]


def test_what_is_received_cannot_be_copied_in(at: Callable[[str], Engine]) -> None:
    with (
        at("aircraft").connect() as connection,
        pytest.raises(psycopg2.errors.InsufficientPrivilege, match="item travels down"),
    ):
        copy_in(connection, "item (id, kind, title)", f"{ONE}\tfilm\t{{}}\n")


def test_a_statement_that_meets_no_row_is_not_refused(at: Callable[[str], Engine]) -> None:
    with at("aircraft").begin() as connection:
        connection.execute(text("update usage_event set kind = 'stop'"))
        connection.execute(text("delete from usage_event"))
        assert dirty(connection) == []


def test_rows_deleted_by_a_foreign_key_are_recorded_too(at: Callable[[str], Engine]) -> None:
    with at("hangar").begin() as connection:
        connection.execute(text(ITEM.format(ONE)))
        connection.execute(
            text(
                "insert into asset (id, item_id, role, path, sha256, size, mime) "
                "values (:two, :one, 'poster', 'p', repeat('a', 64), 1, 'x')"
            ),
            {"one": ONE, "two": TWO},
        )
        connection.execute(text("delete from sync.dirty"))
        connection.execute(text("delete from item"))
        assert set(dirty(connection)) == {("item", ONE), ("asset", TWO)}


@pytest.mark.parametrize(
    ("role", "before", "statement", "reason"),
    [
        ("hangar", ITEM, f"update item set id = '{TWO}'", "key of a row that travels"),
        ("hangar", ITEM, "truncate item cascade", "TRUNCATE would hide"),
        (
            "hangar",
            ITEM,
            f"{ITEM.format(ONE)} on conflict (id) do update set id = '{TWO}'",
            "key of a row that travels",
        ),
        (
            "aircraft",
            EVENT,
            f"{EVENT.format(ONE)} on conflict (id) do update set kind = 'stop'",
            "rows are only added",
        ),
        ("aircraft", PAYMENT, "update payment set amount_minor = 1", "rows are only added"),
        ("aircraft", PAYMENT, "delete from payment", "has not acknowledged"),
        ("aircraft", PAYMENT, "truncate payment", "TRUNCATE would hide"),
        ("aircraft", EVENT, "update usage_event set kind = 'stop'", "rows are only added"),
        ("aircraft", EVENT, "delete from usage_event", "has not acknowledged"),
        ("aircraft", EVENT, "truncate usage_event", "TRUNCATE would hide"),
        ("aircraft", None, ITEM.format(ONE), "item travels down and is read-only"),
        ("aircraft", None, "update item set priority = 1", "read-only on this host"),
        ("aircraft", None, "delete from app_user", "app_user travels down"),
        ("aircraft", None, "truncate survey", "survey travels down"),
        ("hangar", None, EVENT.format(ONE), "usage_event travels up"),
        (
            "aircraft",
            None,
            f"{ITEM.format(ONE)} on conflict (id) do nothing",
            "item travels down and is read-only",
        ),
        (
            "aircraft",
            None,
            "delete from item using asset where asset.item_id = item.id",
            "read-only",
        ),
        ("hangar", None, PAYMENT.format(ONE), "payment travels up"),
        ("hangar", None, "delete from user_event", "user_event travels up"),
        ("hangar", None, "update survey_answer set choice = 1", "survey_answer travels up"),
    ],
)
def test_what_would_break_the_other_end_is_refused(
    at: Callable[[str], Engine], role: str, before: str | None, statement: str, reason: str
) -> None:
    with at(role).connect() as connection:
        if before is not None:
            connection.execute(text(before.format(ONE)))
        with pytest.raises(DBAPIError, match=reason):
            connection.execute(text(statement))


def test_synchronisation_itself_may_write_what_is_received(at: Callable[[str], Engine]) -> None:
    with at("aircraft").begin() as connection:
        connection.execute(text("set local sync.applying = 'on'"))
        connection.execute(text(ITEM.format(ONE)))
        assert dirty(connection) == []


def test_acknowledged_history_may_be_deleted(at: Callable[[str], Engine]) -> None:
    with at("aircraft").begin() as connection:
        connection.execute(text(EVENT.format(ONE)))
        connection.execute(text("delete from sync.dirty"))
        connection.execute(text("delete from usage_event"))
        assert dirty(connection) == []


@pytest.mark.parametrize("role", ["aircraft", "hangar"])
def test_installing_again_changes_nothing(at: Callable[[str], Engine], role: str) -> None:
    with at(role).begin() as connection:
        assert capture.install(connection, role) == []


def test_rows_from_before_capture_are_recorded_when_it_begins(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(ITEM.format(ONE)))
        assert "item" in capture.install(connection, "hangar")
        assert dirty(connection) == [("item", ONE)]


def test_a_model_that_goes_over_to_another_stream_is_recorded_there(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.connect() as connection:
        capture.install(connection, "aircraft")
        connection.execute(text(EVENT.format(ONE)))
        connection.execute(text(EVENT.format(TWO)))
        # It lies in a change-set of the stream that it was in, and is acknowledged there.
        connection.execute(text("update sync.dirty set batch = 1 where pk = :id"), {"id": ONE})
        monkeypatch.setattr(
            UsageEvent, "__sync__", replace(capture.spec(UsageEvent), stream="seen")
        )
        assert capture.install(connection, "aircraft") == ["usage_event"]
        connection.execute(text(EVENT.format(THREE)))
        found = connection.execute(text("select stream, pk from sync.dirty order by id")).all()
        assert [tuple(row) for row in found] == [("use", ONE), ("seen", TWO), ("seen", THREE)]
        with pytest.raises(DBAPIError, match="has not acknowledged"), connection.begin_nested():
            connection.execute(text("delete from usage_event"))
        assert capture.install(connection, "aircraft") == []


def test_a_model_whose_rows_may_change_from_now_on_is_recorded_when_they_do(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.connect() as connection:
        capture.install(connection, "aircraft")
        connection.execute(text(EVENT.format(ONE)))
        connection.execute(text("delete from sync.dirty"))
        monkeypatch.setattr(UsageEvent, "__sync__", replace(capture.spec(UsageEvent), mode="state"))
        assert capture.install(connection, "aircraft") == ["usage_event"]
        connection.execute(text("update usage_event set kind = 'stop'"))
        connection.execute(text("delete from usage_event"))
        assert dirty(connection) == [("usage_event", ONE)] * 2
        assert capture.install(connection, "aircraft") == []


def test_deleting_much_history_beside_much_that_is_recorded_takes_no_hours(
    at: Callable[[str], Engine],
) -> None:
    with at("aircraft").begin() as connection:
        many = "select gen_random_uuid(), 'play', 'x' from generate_series(1, 15000)"
        for _ in range(2):
            connection.execute(text(f"insert into usage_event (id, kind, aircraft) {many}"))
        connection.execute(
            text(
                "delete from sync.dirty where id in (select id from sync.dirty order by id limit 15000)"
            )
        )
        # A hundredth of it is enough; comparing each with each takes longer.
        connection.execute(text("set local statement_timeout = '10s'"))
        deleted = connection.execute(
            text("delete from usage_event where id not in (select pk from sync.dirty)")
        )
        assert deleted.rowcount == 15000
