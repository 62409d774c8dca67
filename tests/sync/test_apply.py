"""Applying: exactly once, in order, all or nothing; and what is refused is refused in words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from sync import ack, apply, changeset, files, seal, state
from tests.sync.ends import End, PowerCut, add_events, carry, cut_at, ids, run, scalar

pytestmark = pytest.mark.postgres


def send(end: End, count: int = 3) -> None:
    add_events(end, count)
    seal.seal_all(end.engine, end.settings)


def ingest(hangar: End, peer: str = "EC-TAA") -> apply.Outcome:
    return apply.apply_all(hangar.engine, hangar.settings, peer)


def waiting(hangar: End, peer: str = "EC-TAA") -> list[Path]:
    return sorted(files.inbox(hangar.settings, peer).rglob("*.cs"))


def replace(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


def test_what_was_sealed_arrives_and_the_ledger_says_so(aircraft: End, hangar: End) -> None:
    send(aircraft, 4)
    carry(aircraft, hangar)
    outcome = ingest(hangar)
    assert (outcome.batches, outcome.rows, outcome.problems) == (1, 4, [])
    assert ids(hangar) == ids(aircraft)
    assert scalar(hangar, "select rows from sync.applied") == 4


def test_only_plain_files_in_plain_folders_are_change_sets(aircraft: End, hangar: End) -> None:
    send(aircraft)
    carry(aircraft, hangar)
    (path,) = waiting(hangar)
    elsewhere = hangar.settings.state_dir / "elsewhere" / path.name
    elsewhere.parent.mkdir()
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert ingest(hangar).batches == 0
    path.unlink()
    os.mkfifo(path)  # opening it would wait for ever
    assert ingest(hangar).batches == 0
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(elsewhere.parent)
    assert ingest(hangar).batches == 0
    path.parent.unlink()
    elsewhere.parent.rename(path.parent)
    assert ingest(hangar).batches == 1


def test_a_database_that_is_busy_is_not_a_bad_row(aircraft: End, hangar: End) -> None:
    send(aircraft)
    carry(aircraft, hangar)
    run(hangar, "alter role postgres set lock_timeout = '50ms'")
    hangar.engine.dispose()
    with hangar.engine.begin() as other:
        other.execute(text("lock table usage_event in access exclusive mode"))
        (problem,) = ingest(hangar).problems
    run(hangar, "alter role postgres reset lock_timeout")
    hangar.engine.dispose()
    assert "could not take it now" in problem
    assert "the next run tries again" in problem
    assert ingest(hangar).problems == []


def test_every_kind_of_value_arrives_as_it_was(hangar: End, aircraft: End) -> None:
    odd = json.dumps({"en": "a\tb\\c\nd\u2028é \\N \\. '", "ar": "طائرة"})
    with hangar.engine.begin() as connection:
        connection.execute(
            text(
                "insert into item (id, kind, title, languages, valid_from, valid_to) values "
                "(gen_random_uuid(), 'film', cast(:odd as jsonb), :languages, '-infinity', null)"
            ),
            {"odd": odd, "languages": ["en", 'x,"y"', "", "{}"]},
        )
    seal.seal_all(hangar.engine, hangar.settings)
    files.inbox(aircraft.settings, "hangar").parent.mkdir(parents=True)
    carry(hangar, aircraft)
    assert apply.apply_all(aircraft.engine, aircraft.settings, "hangar").problems == []
    query = "select md5(string_agg(t::text, '')) from item t"
    assert scalar(aircraft, query) == scalar(hangar, query)


def test_updates_and_deletes_follow(hangar: End, aircraft: End) -> None:
    one = "insert into item (id, kind, title) values ('{}', 'film', '{{}}')"
    keep, gone = uuid4(), uuid4()
    steps = [
        [one.format(keep), one.format(gone)],
        [
            f"update item set priority = 7 where id = '{keep}'",
            f"delete from item where id = '{gone}'",
        ],
    ]
    for statements in steps:
        run(hangar, *statements)
        seal.seal_all(hangar.engine, hangar.settings)
    carry(hangar, aircraft)
    assert apply.apply_all(aircraft.engine, aircraft.settings, "hangar").batches == 2
    assert ids(aircraft, "item") == [keep]
    assert scalar(aircraft, "select priority from item") == 7


def test_a_duplicate_is_skipped(aircraft: End, hangar: End) -> None:
    send(aircraft)
    for _ in range(3):
        carry(aircraft, hangar)
        ingest(hangar)
    assert scalar(hangar, "select count(*) from sync.applied") == 1
    assert ids(hangar) == ids(aircraft)


@pytest.mark.parametrize("step", ["checked", "locked", "loaded", "ledger", "committed"])
def test_killed_at_any_step_the_next_run_applies_it_once(
    aircraft: End, hangar: End, step: str
) -> None:
    send(aircraft)
    send(aircraft)
    carry(aircraft, hangar)
    with pytest.raises(PowerCut):
        apply.apply_all(hangar.engine, hangar.settings, "EC-TAA", at=cut_at(step))
    assert len(ids(hangar)) == (3 if step == "committed" else 0)
    assert ingest(hangar).problems == []
    assert ids(hangar) == ids(aircraft)
    assert scalar(hangar, "select count(*) from sync.applied") == 2


def test_a_gap_waits_until_the_missing_one_is_there(aircraft: End, hangar: End) -> None:
    for _ in range(3):
        send(aircraft)
    carry(aircraft, hangar)
    second = waiting(hangar)[1]
    second.unlink()
    (problem,) = ingest(hangar).problems
    assert "waits for change-set 2; 3 is here already" in problem
    assert len(ids(hangar)) == 3
    carry(aircraft, hangar)
    assert ingest(hangar).problems == []
    assert ids(hangar) == ids(aircraft)


def test_an_altered_change_set_is_removed_unapplied_and_comes_again(
    aircraft: End, hangar: End
) -> None:
    send(aircraft)
    carry(aircraft, hangar)
    (path,) = waiting(hangar)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    replace(path, bytes(data))
    (problem,) = ingest(hangar).problems
    assert problem.startswith("EC-TAA/use: 000000000001.cs: ")
    assert "the next synchronisation sends it again" in problem
    assert (ids(hangar), waiting(hangar)) == ([], [])
    carry(aircraft, hangar)
    assert ingest(hangar).problems == []
    assert ids(hangar) == ids(aircraft)


def rewritten(path: Path, **changes: object) -> None:
    """Write the file anew with another header: whole in itself, and wrong."""
    from dataclasses import replace as with_changes

    with path.open("rb") as file:
        header, *blocks = changeset.read(file, path.name)
    assert isinstance(header, changeset.Header)
    header = with_changes(header, **changes)  # type: ignore[arg-type]
    path.chmod(0o600)
    with path.open("wb") as out:
        changeset.write(out, header, [[block.data for block in blocks]], [])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"node": "EC-TAB"}, "node: expected EC-TAA, found EC-TAB"),
        ({"stream": "usr"}, "stream: expected use, found usr"),
        ({"seq": 2}, "sequence: expected 1, found 2"),
        ({"epoch": str(uuid4())}, "epoch: expected"),
        ({"prev_sha256": "a" * 64}, "the two ends disagree about what came before"),
    ],
)
def test_a_change_set_that_belongs_elsewhere_is_refused(
    aircraft: End, hangar: End, changes: dict[str, object], reason: str
) -> None:
    send(aircraft)
    carry(aircraft, hangar)
    rewritten(waiting(hangar)[0], **changes)
    (problem,) = ingest(hangar).problems
    assert reason in problem
    assert ids(hangar) == []


def table(name: str, *columns: str) -> tuple[changeset.Table, ...]:
    return (changeset.Table(name, columns, upserts=1, deletes=0),)


@pytest.mark.parametrize(
    ("tables", "data", "reason"),
    [
        (table("staff", "id"), [b"\\N\n"], "staff is not in the schema here"),
        (table("user_event", "id"), [b"\\N\n"], "user_event is not in the schema here"),
        (table("usage_event", "id", "mood"), [b"1\n", b"2\n"], "columns mood of usage_event"),
        (table("usage_event", "kind"), [b"x\n"], "expected the key id"),
        (table("usage_event", "id"), [b"\\.\n"], "rows: expected 1, found 0"),
        (table("usage_event", "id"), [b"\\xff\n"], "expected text, found invalid byte sequence"),
    ],
)
def test_a_change_set_writes_only_what_its_stream_may_write(
    aircraft: End,
    hangar: End,
    tables: tuple[changeset.Table, ...],
    data: list[bytes],
    reason: str,
) -> None:
    send(aircraft)
    carry(aircraft, hangar)
    (path,) = waiting(hangar)
    with path.open("rb") as file:
        header, _ = changeset.check(file, path.name)
    from dataclasses import replace as with_changes

    path.chmod(0o600)
    with path.open("wb") as out:
        changeset.write(out, with_changes(header, tables=tables), [data], [])
    (problem,) = ingest(hangar).problems
    assert reason in problem
    assert scalar(hangar, "select count(*) from sync.applied") == 0


def test_rows_in_the_name_of_another_aircraft_are_refused(aircraft: End, hangar: End) -> None:
    add_events(aircraft, 2)
    run(
        aircraft,
        "insert into usage_event (id, kind, aircraft) values (gen_random_uuid(), 'play', 'EC-TAB')",
    )
    seal.seal_all(aircraft.engine, aircraft.settings)
    carry(aircraft, hangar)
    outcome = apply.apply_all(hangar.engine, hangar.settings, "EC-TAA")
    assert "expected rows of EC-TAA, found some of EC-TAB" in outcome.problems[0]
    assert (outcome.rows, ids(hangar)) == (0, [])


def test_one_aircraft_that_stops_does_not_stop_another(
    new_end: Callable[..., End], aircraft: End, hangar: End
) -> None:
    other = new_end("EC-TAB")
    for end in (aircraft, other):
        send(end)
        carry(end, hangar)
    rewritten(waiting(hangar)[0], prev_sha256="a" * 64)
    assert ingest(hangar).problems
    assert ingest(hangar, "EC-TAB").problems == []
    assert ids(hangar) == ids(other)


def test_an_acknowledgement_empties_the_outbox_and_repeats_harmlessly(
    aircraft: End, hangar: End
) -> None:
    send(aircraft)
    carry(aircraft, hangar)
    ingest(hangar)
    send(aircraft, 2)
    for _ in range(2):
        acks = json.loads(json.dumps(state.acks(hangar.engine, "EC-TAA")))
        assert ack.accept(aircraft.engine, aircraft.settings, acks) == []
    left = [path.name for path in sorted(files.outbox(aircraft.settings).rglob("*.cs"))]
    assert left == ["000000000002.cs"]
    assert scalar(aircraft, "select count(*) from sync.dirty") == 2
    run(aircraft, "delete from usage_event where id not in (select pk from sync.dirty)")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"epoch": "yesterday"}, "expected epoch, seq and sha256"),
        ({"seq": None}, "expected epoch, seq and sha256"),
    ],
)
def test_an_acknowledgement_that_is_none_removes_nothing(
    aircraft: End, hangar: End, change: dict[str, object], reason: str
) -> None:
    send(aircraft)
    carry(aircraft, hangar)
    ingest(hangar)
    acks = state.acks(hangar.engine, "EC-TAA")
    acks["use"] |= change  # type: ignore[operator]
    (problem,) = ack.accept(aircraft.engine, aircraft.settings, acks)
    assert reason in problem
    assert len(list(files.outbox(aircraft.settings).rglob("*.cs"))) == 1
    assert scalar(aircraft, "select count(*) from sync.dirty") == 3
