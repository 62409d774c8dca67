"""A whole synchronisation: aircraft, hangar and a second aircraft, through rsync and the gate."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from common import tokens, users
from common.database import session as database_session
from sync import ack, files, persons, publish, seal, session, state, tree
from sync import hangar as hangar_side
from sync.rsync import Link, Moved, Refused, TransferError
from tests.sync.ends import End, PowerCut, add_events, ids, link_to, run, scalar
from tests.sync.test_content import add_item

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
Clock = Callable[[], datetime]
# After whatever the tests' clock says, so that no edit is ahead of when it was received.
LANDED = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def other(new_end: Callable[..., End]) -> End:
    return new_end("EC-TAB")


@pytest.fixture
def hangar(hangar: End) -> End:
    """The hangar, with two aircraft in its fleet."""
    run(
        hangar,
        "insert into aircraft (name, tower, airline) values ('EC-TAA', 'a', 'TA'), ('EC-TAB', 'b', 'TA')",
    )
    publish.publish(hangar.engine, hangar.settings)
    return hangar


def synchronise(aircraft: End, hangar: End) -> session.Report:
    """One landing: sync-now aboard, ingest at the hangar, the heartbeat's acknowledgements."""
    name = aircraft.settings.node
    report = session.run(aircraft.settings, aircraft.engine, link=link_to(hangar, name))
    taken = hangar_side.ingest(hangar.engine, hangar.settings, name, clock=lambda: LANDED)
    report.problems += taken.problems
    acks = state.acks(hangar.engine, name)
    report.problems += ack.accept(aircraft.engine, aircraft.settings, acks)
    return report


def beat(aircraft: End, hangar: End) -> list[str]:
    """One heartbeat: what the aircraft says is kept, and what is due comes back."""
    body = json.loads(json.dumps(state.local_state(aircraft.engine, aircraft.settings)))
    with hangar.engine.begin() as connection:
        connection.execute(
            text("update aircraft set last_body = cast(:body as jsonb) where name = :name"),
            {"body": json.dumps(body), "name": aircraft.settings.node},
        )
    return state.due(hangar.engine, hangar.settings, aircraft.settings.node, body).names


def test_what_one_aircraft_wrote_is_at_the_hangar_and_its_user_on_the_other_aircraft(
    aircraft: End, hangar: End, other: End, clock: Clock
) -> None:
    add_events(aircraft, 20)
    with database_session(aircraft.engine) as database:
        users.register(database, "ada@example.org", "Ada", "en", "horse", "EC-TAA", clock)
    run(hangar, "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')")
    assert beat(aircraft, hangar) == ["up", "content"]

    first = synchronise(aircraft, hangar)
    assert (first.problems, first.sealed_rows) == ([], 24)
    assert first.bytes_sent > 500
    assert ids(hangar) == ids(aircraft)
    assert beat(aircraft, hangar) == ["cat", "usr"]

    second = synchronise(other, hangar)
    assert (second.problems, second.applied_rows) == ([], 2)
    with database_session(other.engine) as database:
        found = users.find(database, "ada@example.org")
    assert found is not None
    assert (found.name, found.version) == ("Ada", 1)
    assert users.matches(found.password_hash, "horse")
    assert beat(other, hangar) == []

    synchronise(aircraft, hangar)
    assert beat(aircraft, hangar) == []
    assert ids(aircraft, "survey") == ids(hangar, "survey")
    assert not list(files.outbox(aircraft.settings).rglob("*.cs"))
    assert scalar(aircraft, "select count(*) from sync.dirty") == 0


def test_the_next_run_sends_nothing_again(aircraft: End, hangar: End) -> None:
    add_events(aircraft, 2000)
    run(hangar, "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')")
    hangar_side.refresh(hangar.engine, hangar.settings)
    link = link_to(hangar, "EC-TAA")
    first = session.run(aircraft.settings, aircraft.engine, link=link)
    assert first.bytes_sent > 10_000
    assert state.local_state(aircraft.engine, aircraft.settings)["pushed"]
    # Neither before the hangar has looked, nor after, while the acknowledgement is on its way.
    for _ in range(2):
        again = session.run(aircraft.settings, aircraft.engine, link=link)
        assert again.bytes_sent < 1000
        assert again.bytes_received < 1000
        assert "up" not in beat(aircraft, hangar)
        hangar_side.ingest(hangar.engine, hangar.settings, "EC-TAA")
    assert len(ids(hangar)) == 2000
    assert scalar(hangar, "select count(*) from sync.applied") == 1


def test_what_the_aircraft_has_is_withdrawn_from_its_outbox(aircraft: End, hangar: End) -> None:
    for _ in range(3):
        run(
            hangar,
            "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')",
        )
        hangar_side.refresh(hangar.engine, hangar.settings)
    synchronise(aircraft, hangar)
    beat(aircraft, hangar)
    run(hangar, "delete from survey")
    hangar_side.refresh(hangar.engine, hangar.settings)
    outbox = hangar.settings.sync_dir / "outbox"
    names = [path.name for path in (outbox / "EC-TAA").rglob("*.cs")]
    assert names == ["000000000004.cs"]
    assert len(list((outbox / "EC-TAB").rglob("*.cs"))) == 4
    synchronise(aircraft, hangar)
    assert ids(aircraft, "survey") == []
    here = files.inbox(aircraft.settings, "hangar")
    assert [path.name for path in here.rglob("*.cs")] == ["000000000004.cs"]


def test_a_change_set_spoilt_at_the_hangar_is_sent_again(aircraft: End, hangar: End) -> None:
    add_events(aircraft, 5)
    link = link_to(hangar, "EC-TAA")
    session.run(aircraft.settings, aircraft.engine, link=link)
    (path,) = files.inbox(hangar.settings, "EC-TAA").rglob("*.cs")
    path.chmod(0o600)
    path.write_bytes(b"x" * path.stat().st_size)
    outcome = hangar_side.ingest(hangar.engine, hangar.settings, "EC-TAA")
    assert "the next synchronisation brings it" in outcome.problems[0]
    assert "up" in beat(aircraft, hangar)
    assert synchronise(aircraft, hangar).problems == []
    assert ids(hangar) == ids(aircraft)


def test_a_change_set_removed_in_the_middle_is_asked_for_again(aircraft: End, hangar: End) -> None:
    for _ in range(3):
        add_events(aircraft, 2)
        seal.seal_all(aircraft.engine, aircraft.settings)
    link = link_to(hangar, "EC-TAA")
    session.run(aircraft.settings, aircraft.engine, link=link)
    assert "up" not in beat(aircraft, hangar)
    (middle,) = files.inbox(hangar.settings, "EC-TAA").rglob("000000000002.cs")
    middle.unlink()
    assert "up" in beat(aircraft, hangar)
    assert synchronise(aircraft, hangar).problems == []
    assert ids(hangar) == ids(aircraft)


def test_a_change_set_that_the_disk_spoilt_at_the_hangar_keeps_no_content_back(
    aircraft: End, hangar: End
) -> None:
    run(hangar, "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')")
    hangar_side.refresh(hangar.engine, hangar.settings)
    (sealed,) = (files.outbox(hangar.settings) / "cat").rglob("0*1.cs")
    sealed.chmod(0o644)
    sealed.write_bytes(b"spoilt")
    film = str(add_item(hangar, 1, {"film.mp4": b"film"}))
    hangar_side.refresh(hangar.engine, hangar.settings)
    assert publish.publish(hangar.engine, hangar.settings) == []
    session.run(aircraft.settings, aircraft.engine, link=link_to(hangar, "EC-TAA"))
    assert list(tree.shown(aircraft.settings.content_dir)) == [film]


def test_what_did_not_come_over_is_said_and_does_not_count_as_pushed(
    aircraft: End, hangar: End
) -> None:
    add_events(aircraft, 2)
    seal.seal_all(aircraft.engine, aircraft.settings)
    run(hangar, "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')")
    hangar_side.refresh(hangar.engine, hangar.settings)
    link = link_to(hangar, "EC-TAA")
    inbox = files.inbox(hangar.settings, "EC-TAA")
    # A folder where the change-set belongs, and rsync does not remove what is in it.
    (epoch,) = (files.outbox(aircraft.settings) / "use").iterdir()
    in_the_way = inbox / "use" / epoch.name / "000000000001.cs" / "something"
    in_the_way.mkdir(parents=True)
    report = session.run(aircraft.settings, aircraft.engine, link=link)
    assert (report.pushed, report.applied_rows) == (False, 1)
    assert "not every file came over: could not make way" in report.problems[0]
    said = state.local_state(aircraft.engine, aircraft.settings)
    assert not said["pushed"]
    assert "up" in beat(aircraft, hangar)
    in_the_way.rmdir()
    assert synchronise(aircraft, hangar).problems == []
    assert ids(hangar) == ids(aircraft)


def test_a_manifest_that_says_the_same_is_not_fetched_again(aircraft: End, hangar: End) -> None:
    link = link_to(hangar, "EC-TAA")
    session.run(aircraft.settings, aircraft.engine, link=link)
    offered = hangar.settings.sync_dir / "outbox" / "EC-TAA" / "content" / "manifest.json"
    before = offered.stat()
    hangar_side.refresh(hangar.engine, hangar.settings)
    assert offered.stat() == before


def test_a_manifest_of_the_same_second_and_size_is_another_one(aircraft: End, hangar: End) -> None:
    link = link_to(hangar, "EC-TAA")
    offered = hangar.settings.sync_dir / "outbox" / "EC-TAA" / "content" / "manifest.json"
    here = aircraft.settings.sync_dir / "inbox" / "hangar" / "content" / "manifest.json"
    for nanoseconds, text_now in ((10**18 + 1, b"one"), (10**18 + 2, b"two")):
        files.write_durably(offered, text_now)
        os.utime(offered, ns=(nanoseconds, nanoseconds))
        link.pull(here.parents[1])
        assert here.read_bytes() == text_now


def test_two_aircraft_with_one_user_agree_whoever_lands_first(
    aircraft: End, hangar: End, other: End, clock: Clock
) -> None:
    with database_session(aircraft.engine) as database:
        ada = users.register(database, "ada@example.org", "Ada", "en", "horse", "EC-TAA", clock)
    with database_session(aircraft.engine) as database:
        clock.advance(minutes=1)  # type: ignore[attr-defined]
        users.edit(database, ada, {"name": "A. Lovelace", "language": "fr"}, "EC-TAA", clock)
    with database_session(other.engine) as database:
        clock.advance(minutes=1)  # type: ignore[attr-defined]
        users.edit(database, ada, {"name": "Countess"}, "EC-TAB", clock)
    for end in (other, aircraft, other):
        synchronise(end, hangar)
    for end in (aircraft, other, hangar):
        with database_session(end.engine) as database:
            user = users.get(database, ada)
        assert user is not None
        assert (user.name, user.language) == ("Countess", "fr"), end.settings.node


def test_whom_the_hangar_forgets_an_aircraft_forgets_when_it_lands(
    aircraft: End, hangar: End, clock: Clock
) -> None:
    with database_session(aircraft.engine) as database:
        ada = users.register(database, "ada@example.org", "Ada", "en", "horse", "EC-TAA", clock)
        tokens.issue(database, ada, clock)
    synchronise(aircraft, hangar)
    with hangar.engine.begin() as connection:
        persons.order_erasure(connection, ada, LANDED - timedelta(days=100))
    hangar_side.refresh(hangar.engine, hangar.settings)
    assert synchronise(aircraft, hangar).problems == []
    for table in ("user_event", "token"):
        assert scalar(aircraft, f"select count(*) from {table}") == 0
    assert scalar(aircraft, "select erased from app_user") is True
    assert scalar(hangar, "select count(*) from user_merge_log") == 0, "it is too old to be kept"


@pytest.mark.parametrize(
    ("step", "arrived"), [("push", True), ("pull", False), ("pull", True), ("fetch", True)]
)
def test_power_lost_in_any_transfer_loses_and_doubles_nothing(
    aircraft: End, hangar: End, tmp_path: Path, step: str, arrived: bool
) -> None:
    add_events(aircraft, 7)
    (tmp_path / "paper").write_bytes(b"news")
    sha256, size = publish.store(hangar.settings, tmp_path / "paper")
    run(
        hangar,
        "insert into item (id, kind, title, published) "
        "values (gen_random_uuid(), 'newspaper', '{}', true)",
        "insert into asset (id, item_id, role, path, sha256, size, mime) "
        f"select gen_random_uuid(), id, 'document', 'p', '{sha256}', {size}, '' from item",
    )
    hangar_side.refresh(hangar.engine, hangar.settings)
    publish.publish(hangar.engine, hangar.settings)
    good = link_to(hangar, "EC-TAA")

    class Dying(Link):
        def _run(self, arguments: list[str], stdin: bytes = b"", *more: Any) -> Moved:
            now = {"push": f"{self.host}:./", "pull": "--delete", "fetch": "--inplace"}
            if now[step] not in (arguments[-1:] if step == "push" else arguments):
                return super()._run(arguments, stdin, *more)
            if arrived:
                super()._run(arguments, stdin, *more)
            raise PowerCut(step)

    with pytest.raises(PowerCut):
        session.run(aircraft.settings, aircraft.engine, link=Dying(good.host, good.shell))
    assert tree.shown(aircraft.settings.content_dir) == {}
    assert synchronise(aircraft, hangar).problems == []
    assert ids(hangar) == ids(aircraft)
    assert ids(aircraft, "item") == ids(hangar, "item")
    assert list(tree.shown(aircraft.settings.content_dir).values()) == [["p"]]
    assert scalar(hangar, "select count(*) from sync.applied") == 1


def test_one_session_at_a_time(aircraft: End, hangar: End) -> None:
    path = session.lock_path(aircraft.settings)
    with path.open("w") as held:
        held.write("4711")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(session.Busy, match="running already \\(process 4711\\)"):
            session.run(aircraft.settings, aircraft.engine, link=link_to(hangar, "EC-TAA"))
    assert session.run(aircraft.settings, aircraft.engine, link=link_to(hangar, "EC-TAA"))


def test_an_aircraft_that_the_hangar_does_not_know_is_refused_in_words(
    aircraft: End, hangar: End
) -> None:
    with pytest.raises(Refused, match=r"EC-XXX has no folder here yet.*enrolled"):
        session.run(aircraft.settings, aircraft.engine, link=link_to(hangar, "EC-XXX"))


def test_without_a_hangar_the_work_done_so_far_is_kept(aircraft: End) -> None:
    add_events(aircraft, 3)
    with pytest.raises(TransferError, match="TURNAROUND_HANGAR_SSH is not set"):
        session.run(aircraft.settings, aircraft.engine)
    said = state.local_state(aircraft.engine, aircraft.settings)
    assert (said["up"]["use"]["sealed"], said["up"]["use"]["unsealed_rows"]) == (1, 0)
    assert not said["pushed"]


def test_old_change_sets_and_orphans_leave_the_hangars_inbox(
    aircraft: End, hangar: End, clock: Clock
) -> None:
    add_events(aircraft, 1)
    synchronise(aircraft, hangar)
    (path,) = files.inbox(hangar.settings, "EC-TAA").rglob("*.cs")
    orphan = path.with_name(".000000000002.cs.AbC123")
    orphan.write_bytes(b"half")
    os.utime(orphan, (0, 0))
    with hangar.engine.begin() as connection:
        connection.execute(text("update sync.applied set applied_at = :at"), {"at": clock()})
    clock.advance(days=6)  # type: ignore[attr-defined]
    hangar_side.ingest(hangar.engine, hangar.settings, "EC-TAA", clock=clock)
    assert (path.exists(), orphan.exists()) == (True, False)
    clock.advance(days=2)  # type: ignore[attr-defined]
    hangar_side.ingest(hangar.engine, hangar.settings, "EC-TAA", clock=clock)
    assert not path.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"up": [], "down": "x", "content": None},
        {"up": {"use": {"sealed": "many", "unsealed_rows": {}}}},
        {"up": {"use": {"sealed": 3, "epoch": "../../etc", "unsealed_rows": 0}}},
        {"down": {"cat": {"epoch": 1, "seq": []}}},
    ],
)
def test_a_malformed_heartbeat_makes_everything_due_and_breaks_nothing(
    hangar: End, body: dict[str, object]
) -> None:
    run(hangar, "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')")
    hangar_side.refresh(hangar.engine, hangar.settings)
    due = state.due(hangar.engine, hangar.settings, "EC-TAA", body)
    assert {"cat", "content"} <= set(due.names)


def test_a_new_box_in_an_old_ones_place_begins_anew(
    aircraft: End, hangar: End, new_end: Callable[..., End]
) -> None:
    add_events(aircraft, 3)
    synchronise(aircraft, hangar)
    add_events(aircraft, 2)
    session.run(aircraft.settings, aircraft.engine, link=link_to(hangar, "EC-TAA"))
    hangar_side.forget(hangar.engine, hangar.settings, "EC-TAA")
    assert len(ids(hangar)) == 5, "what had arrived is taken in first"
    assert state.acks(hangar.engine, "EC-TAA") == {}
    assert not (hangar.settings.sync_dir / "outbox/EC-TAA").exists()
    kept = list((hangar.settings.sync_dir / "retired").glob("EC-TAA-*/use/*/*.cs"))
    assert len(kept) == 2
    hangar_side.forget(hangar.engine, hangar.settings, "EC-TAA")

    box = new_end("EC-TAA", state_dir=hangar.settings.state_dir.parent / "new-box")
    add_events(box, 4)
    publish.offer(hangar.engine, hangar.settings, "EC-TAA")
    assert synchronise(box, hangar).problems == []
    assert len(ids(hangar)) == 9


def test_a_box_that_shut_us_out_of_its_inbox_is_forgotten_all_the_same(
    aircraft: End, hangar: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_events(aircraft, 3)
    synchronise(aircraft, hangar)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError("inbox/EC-TAA/use")

    monkeypatch.setattr(hangar_side, "apply_all", denied)
    hangar_side.forget(hangar.engine, hangar.settings, "EC-TAA")
    assert state.acks(hangar.engine, "EC-TAA") == {}
