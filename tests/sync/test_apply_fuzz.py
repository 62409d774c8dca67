"""A mutated change-set never leaves a part of itself: the database is as it was, or it has every row of it.

Every row means: applied or in quarantine, with its ledger row and the cursor.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from sync import apply, changeset, users
from tests.sync.ends import End
from tests.sync.packed import Packer, Rows, values_of

pytestmark = pytest.mark.postgres

TABLES = ("usage_event", "survey_answer", "user_event", "app_user")
BOOKS = ("cursor", "applied", "quarantine", "need", "dirty")
ANY = settings(
    max_examples=25,
    deadline=None,
    # One hangar for all examples: each begins a history of its own, of an aircraft of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# Escapes, nulls, ends of COPY, a value of another type, and bytes that are no text.
WORDS = st.sampled_from(
    [b"", b"\\N", b"\\.", b"\\", b"\\x00", b"\xff", b"play", b"9" * 30, b"'; --", b"{}", b"{1}"]
)
VALUES = st.one_of(
    WORDS, st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"").replace(b"\t", b""))
)
NAMES = st.sampled_from(["id", "kind", "aircraft", "flight", "data", "user_id", "nothing", 'a"b'])
aircraft_names = (f"EC-X{number}" for number in count())


def digest(end: End) -> dict[str, str]:
    """What each table holds, but for what says only that a stream stands still."""
    with end.engine.connect() as connection:
        return {
            table: connection.scalar(
                text(
                    f"select md5(coalesce(string_agg(t::text, ',' order by t::text), '')) from {table} t"
                )
            )
            for table in (*TABLES, *(f"sync.{book}" for book in BOOKS))
        }


def ingest(hangar: End, packer: Packer) -> apply.Outcome:
    folds = {"user_event": users.fold}
    return apply.apply_all(hangar.engine, hangar.settings, packer.node, folds=folds)


def counted(end: End, peer: str) -> tuple[int, int]:
    """A peer's rows: those that were applied, and those that are kept aside."""
    with end.engine.connect() as connection:
        applied, kept = connection.execute(
            text(
                "select (select count(*) from usage_event where aircraft = :peer), "
                "(select count(*) from sync.quarantine where peer = :peer)"
            ),
            {"peer": peer},
        ).one()
    return applied, kept


def sent(hangar: End, rows: int = 6) -> tuple[Packer, Path]:
    packer = Packer(hangar, next(aircraft_names), "use")
    events = [(uuid4(), "play", packer.node, f"TA{n}") for n in range(rows)]
    path = packer.send(Rows("usage_event", ("id", "kind", "aircraft", "flight"), events))
    return packer, path


@ANY
@given(position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), cut=st.booleans())
def test_altered_bytes(hangar: End, position: float, flip: int, cut: bool) -> None:
    packer, path = sent(hangar)
    data = bytearray(path.read_bytes())
    place = int(position * len(data))
    data[place] ^= flip
    path.write_bytes(bytes(data[:place] if cut else data))
    before = digest(hangar)
    outcome = ingest(hangar, packer)
    if outcome.batches:
        # A few bits of the frame's own header mean nothing for the content.
        assert counted(hangar, packer.node) == (6, 0)
    else:
        assert outcome.problems
        assert digest(hangar) == before


@ANY
@given(
    values=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 5), VALUES), min_size=1, max_size=8
    ),
    names=st.one_of(st.just(None), st.lists(NAMES, min_size=4, max_size=4)),
)
def test_a_whole_file_of_any_values(
    hangar: End, values: list[tuple[int, int, bytes]], names: list[str] | None
) -> None:
    packer, path = sent(hangar)
    with path.open("rb") as file:
        header, *blocks = changeset.read(file, path.name)
    assert isinstance(header, changeset.Header)
    columns = [values_of(block) for block in blocks if isinstance(block, changeset.Block)]
    for column, row, value in values:
        columns[column][row] = value
    (table,) = header.tables
    mutated = changeset.Table(table.table, tuple(names or table.columns), 6, 0)
    with path.open("wb") as out:
        blocks_of = [b"".join(value + b"\n" for value in column) for column in columns]
        changeset.write(out, replace(header, tables=(mutated,)), [blocks_of], [])
    before = digest(hangar)
    outcome = ingest(hangar, packer)
    if not outcome.batches:
        assert outcome.problems
        assert digest(hangar) == before
        return
    applied, kept = counted(hangar, packer.node)
    # A key twice is one row, and so is one that another aircraft has used.
    assert kept == outcome.quarantined
    assert applied + kept <= 6
    again = digest(hangar)
    assert ingest(hangar, packer).batches == 0
    assert digest(hangar) == again


@ANY
@given(deletes=st.lists(VALUES, min_size=1, max_size=5))
def test_keys_to_delete_of_any_value(aircraft: End, deletes: list[bytes]) -> None:
    packer = Packer(aircraft, "hangar", "cat")
    films = [(UUID(int=n + 1), "film", "{}") for n in range(3)]
    path = packer.send(
        Rows("item", ("id", "kind", "title"), films, gone=[films[0][0], *["x"] * len(deletes)])
    )
    with path.open("rb") as file:
        header, *blocks = changeset.read(file, path.name)
    assert isinstance(header, changeset.Header)
    upserts = [block.data for block in blocks if isinstance(block, changeset.Block)][:3]
    gone = b"".join(key + b"\n" for key in (str(films[0][0]).encode(), *deletes))
    with path.open("wb") as out:
        changeset.write(out, header, [upserts], [gone])
    with aircraft.engine.begin() as connection:
        connection.execute(text("select set_config('sync.applying', 'on', true)"))
        for table in ("item", "sync.cursor", "sync.applied", "sync.quarantine"):
            connection.execute(text(f"delete from {table}"))
    outcome = apply.apply_stream(aircraft.engine, aircraft.settings, "hangar", "cat")
    with aircraft.engine.connect() as connection:
        left = connection.scalar(text("select count(*) from item"))
    assert left == (2 if outcome.batches else 0)
    # The next example begins a history of its own.
    path.unlink(missing_ok=True)
    path.parent.rmdir()
