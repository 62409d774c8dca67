"""Rows in quarantine tried again: in what order, by whom, and how long what was decided is kept."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from common.clock import utc_now
from sync import load, setup, users
from sync.retry import retry
from tests.sync.ends import End, ids, run, scalar_list
from tests.sync.packed import Packer, Rows
from tests.sync.test_quarantine import STATES, events, ingest

pytestmark = pytest.mark.postgres


def test_who_tries_again_is_alone_before_anyone_is_asked_for(hangar: End, up: Packer) -> None:
    """Two that had let each other in, and then wished to be alone, would wait for each other."""
    up.send(events(1, bad=1))
    said = ("id", "user_id", "field", "value", "hlc", "aircraft")
    event = (uuid4(), uuid4(), "phone", '"x"', 1, "EC-TAA")
    Packer(hangar, "EC-TAA", "usr").send(Rows("user_event", said, [event]))
    assert ingest(hangar).quarantined == 2
    for table, right in (("usage_event", '{"kind": "play"}'), ("user_event", '{"field": "name"}')):
        run(hangar, f"update sync.quarantine set row = row || '{right}' where tbl = '{table}'")
    locks: list[Any] = []

    def watched(fold: load.Fold) -> load.Fold:
        def call(connection: Connection, incoming: str) -> None:
            fold(connection, incoming)
            query = (
                "select mode from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
            )
            locks.append(sorted(connection.scalars(text(query))))

        return call

    folds = {table: watched(fold) for table, fold in users.folds(utc_now).items()}
    assert retry(hangar.engine, "hangar", folds).resolved == 2
    assert locks == [["ExclusiveLock", "ShareLock"]] * 2


def test_a_row_that_an_erasure_removed_does_not_stand_for_the_next_one(hangar: End) -> None:
    """Rows with other columns are tried apart, and one of the first may be the wish to be forgotten."""
    packer, ada = Packer(hangar, "EC-TAA", "usr"), uuid4()
    columns = ("id", "user_id", "field", "value", "hlc", "aircraft")
    rows = [(uuid4(), user, "phone", '"x"', 1, "EC-TAA") for user in (ada, uuid4(), uuid4())]
    packer.send(Rows("user_event", columns, rows))
    packer.send(
        Rows(
            "user_event",
            (*columns, "at"),
            [(uuid4(), ada, "gone", '""', 1, "EC-TAA", "2026-11-26")],
        )
    )
    assert ingest(hangar).quarantined == 4
    run(hangar, "update sync.quarantine set row = row || '{\"field\": \"erase\"}' where row ? 'at'")
    done = retry(hangar.engine, "hangar", users.folds(utc_now))
    assert done.refused == 2
    assert scalar_list(hangar, STATES) == [f"open {row[0]}" for row in rows[1:]]


def test_what_was_decided_is_kept_for_a_while_only(hangar: End, up: Packer) -> None:
    up.send(events(3, bad=3))
    ingest(hangar)
    run(
        hangar,
        "update sync.quarantine set state = 'dropped', decided_at = now() - interval '31 days' "
        "where id = (select min(id) from sync.quarantine)",
    )
    retry(hangar.engine, "hangar", {})
    assert len(scalar_list(hangar, STATES)) == 2


def test_after_a_migration_all_are_tried_again(hangar: End, up: Packer, strict: None) -> None:
    up.send(events(2))
    assert ingest(hangar).quarantined == 2
    run(hangar, "alter table usage_event drop constraint strict")
    setup.setup(hangar.engine, "hangar")
    assert len(ids(hangar)) == 2
