"""A heartbeat is stored and answered in a handful of statements, from its aircraft only."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from common.schema import Aircraft, Heartbeat, Work
from hangar_app import heartbeat, work
from hangar_app.heartbeat import Refused, wanted

TOWER = "10.100.64.11"
BODY: dict[str, Any] = {
    "node": "EC-TAA",
    "at": "2026-11-23T12:00:00Z",
    "boot_id": "b1",
    "phase": "ground",
    "position": {"lat": 40.47, "lon": -3.56, "altitude_ft": 1998, "ground_speed_kt": 0},
    "flight": "TA512",
    "releases": {"onboard": {"version": "20261123000000-0123456789ab", "state": "confirmed"}},
    "schema": "0001",
    "up": {"use": {"epoch": "e", "sealed": 0, "unsealed_rows": 0}},
    "pushed": False,
    "down": {},
    "content": {"version": 1, "missing_files": 0, "missing_bytes": 0},
    "disk": {"free": 10, "total": 20},
    "syncing": False,
}


class TestParsing:
    """No database."""

    def test_only_name_and_time_must_be_there(self) -> None:
        least = heartbeat.parse(b'{"node": "EC-TAA", "at": "2026-11-23T12:00:00Z"}')
        assert (least.phase, least.pushed) == ("unknown", False)

    def test_keeps_what_a_newer_aircraft_adds(self) -> None:
        told = heartbeat.parse(json.dumps(BODY | {"modem": {"signal": 3}}).encode())
        assert told.model_dump(mode="json", by_alias=True)["modem"] == {"signal": 3}

    @pytest.mark.parametrize(
        ("changed", "where"),
        [
            ({"node": ""}, "node"),
            ({"at": "2026-11-23T12:00:00"}, "at"),
            ({"position": {"lat": 91, "lon": 0}}, "position.lat"),
            ({"up": {"use": {"sealed": -1}}}, "up.use.sealed"),
            # They become the names of folders, and each is looked into.
            ({"up": {"use": {"former": {"a" * 300: 1}}}}, "up.use.former"),
            ({"up": {"use": {"former": {"../../..": 1}}}}, "up.use.former"),
            ({"up": {"use": {"former": {"0a1b2c3d": -1}}}}, "up.use.former.0a1b2c3d"),
            ({"up": {"use": {"former": {f"{n:08x}": 1 for n in range(101)}}}}, "up.use.former"),
            ({"phase": "x" * 129}, "phase"),
            # More than a float can be, and the fleet page shows a share.
            ({"disk": {"free": 10**400, "total": 3}}, "disk.free"),
        ],
    )
    def test_names_the_field_that_is_wrong(self, changed: dict, where: str) -> None:
        with pytest.raises(Refused, match=where) as refused:
            heartbeat.parse(json.dumps(BODY | changed).encode())
        assert refused.value.status == 400

    @pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff"])
    def test_refuses_what_is_no_object(self, raw: bytes) -> None:
        with pytest.raises(Refused):
            heartbeat.parse(raw)

    @pytest.mark.parametrize(
        "changed",
        [
            {"phase": "gro\0und"},
            {"modem": {"imei": ["\0"]}},
            {"up": {"u\0se": {}}},
            {"flight": "\\\0"},
        ],
    )
    def test_refuses_a_text_that_the_database_cannot_keep(self, changed: dict) -> None:
        with pytest.raises(Refused, match=r"U\+0000") as refused:
            heartbeat.parse(json.dumps(BODY | changed).encode())
        assert refused.value.status == 400

    def test_a_backslash_before_u0000_is_text(self) -> None:
        written = "\\u0000"
        assert heartbeat.parse(json.dumps(BODY | {"flight": written}).encode()).flight == written

    def test_refuses_more_than_64_kib(self) -> None:
        with pytest.raises(Refused, match="65536") as refused:
            heartbeat.parse(b" " * 65_537)
        assert refused.value.status == 413

    @pytest.mark.parametrize(
        ("changed", "due", "kinds"),
        [
            ({}, [], []),
            ({}, ["cat"], ["dispatch"]),
            ({}, ["up"], ["dispatch"]),
            ({"syncing": True}, ["cat"], []),
            ({"pushed": True}, ["up"], ["ingest"]),  # it lies in the inbox: a call brings no more
            ({"pushed": True}, ["up", "content"], ["ingest", "dispatch"]),
        ],
    )
    def test_starts_what_is_due(self, changed: dict, due: list[str], kinds: list[str]) -> None:
        body = heartbeat.Heartbeat.model_validate(BODY | changed)
        assert [kind.name for kind in wanted(body, due, body.pushed)] == kinds

    def test_calls_about_what_was_heard_and_not_done(self) -> None:
        for heard, kinds in (
            ([], []),
            (["usr"], []),
            (["cat"], ["dispatch"]),
            (None, ["dispatch"]),
        ):
            body = heartbeat.Heartbeat.model_validate(BODY | {"heard": heard})
            assert [kind.name for kind in wanted(body, ["cat"], False)] == kinds

    def test_does_not_take_in_again_what_only_waits_for_the_archive(self) -> None:
        body = heartbeat.Heartbeat.model_validate(BODY | {"pushed": True})
        assert wanted(body, [], False) == []


@pytest.fixture
def fleet(session: Session) -> None:
    session.add_all(
        Aircraft(name=f"EC-TA{letter}", tower=f"10.100.64.{11 + number}", airline="TA")
        for number, letter in enumerate("AB")
    )
    session.commit()


def beat(app: Flask, source: str | None = TOWER, **changed: Any):
    headers = {} if source is None else {"X-Real-IP": source}
    if changed.get("pushed"):
        changed = {"up": {"use": {"epoch": "e", "sealed": 1, "unsealed_rows": 0}}, **changed}
    return app.test_client().post("/tower/v1/heartbeat", json=BODY | changed, headers=headers)


@pytest.mark.postgres
class TestReceiving:
    """With the database and the app."""

    def test_is_stored_and_answered(self, app: Flask, fleet: None, session: Session, clock) -> None:
        reply = beat(app)
        assert reply.status_code == 200
        assert reply.json["interval_s"] == 5
        assert set(reply.json) == {"now", "interval_s", "due", "acks"}
        seen = session.get(Aircraft, "EC-TAA")
        assert (seen.last_seen, seen.last_body["flight"]) == (clock(), "TA512")
        assert session.scalar(select(func.count()).select_from(Heartbeat)) == 1

    @pytest.mark.parametrize(
        ("source", "node", "said"),
        [
            (None, "EC-TAA", "on the tower only"),
            ("10.100.64.12", "EC-TAA", "this came from 10.100.64.12"),
            (TOWER, "EC-TAB", "EC-TAB is 10.100.64.12"),
            (TOWER, "EC-XXX", "no aircraft EC-XXX"),
        ],
    )
    def test_is_refused_from_any_other_address(
        self, app: Flask, fleet: None, session: Session, source, node, said
    ) -> None:
        reply = beat(app, source, node=node)
        assert reply.status_code == 403
        assert said in reply.json["error"]["message"]
        assert session.scalar(select(func.count()).select_from(Heartbeat)) == 0

    @pytest.mark.parametrize(
        ("body", "most"),
        [
            ({"content": {"missing_files": 3, "missing_bytes": 9}}, 5),
            # All that 64 KiB can ask for.
            ({"up": {f"s{n}": {"former": {"0a1b2c3d": 1}} for n in range(1000)}}, 5),
            ({"up": {one: {"former": {"0a1b2c3d": 1}} for one in ("pay", "use", "usr")}}, 6),
        ],
    )
    def test_costs_a_handful_of_statements_whatever_it_says(
        self, app: Flask, fleet: None, statements: list[str], body: dict, most: int
    ) -> None:
        beat(app)
        statements.clear()
        reply = beat(app, pushed=True, **body)
        assert reply.status_code == 200
        assert len(statements) <= most, "\n".join(statements)

    def test_what_was_pushed_is_taken_in_once(self, app, fleet, queue, session) -> None:
        beat(app, pushed=True)
        beat(app, pushed=True)
        assert queue.kinds.count("ingest") == 1
        row = session.scalar(select(Work).where(Work.kind == "ingest"))
        assert (row.aircraft, row.state) == ("EC-TAA", "queued")

    def test_an_ingest_that_failed_rests_and_one_that_went_well_does_not(
        self, app, fleet, queue, session, clock
    ) -> None:
        def end(state: str) -> None:
            newest = session.scalars(select(Work).order_by(Work.queued_at.desc())).first()
            newest.state, newest.finished_at = state, clock()
            session.commit()
            clock.advance(seconds=5)
            beat(app, pushed=True)

        beat(app, pushed=True)
        end("failed")
        assert queue.kinds.count("ingest") == 1
        clock.advance(seconds=60)
        beat(app, pushed=True)
        assert queue.kinds.count("ingest") == 2
        end("done")
        assert queue.kinds.count("ingest") == 3

    def test_an_ingest_that_went_well_ends_the_rest_of_one_that_failed(
        self, app, fleet, queue, session, clock
    ) -> None:
        for state, ago_s in (("failed", 10), ("done", 5)):
            ended = clock() - timedelta(seconds=ago_s)
            session.add(
                Work(
                    aircraft="EC-TAA",
                    kind="ingest",
                    state=state,
                    queued_at=ended,
                    finished_at=ended,
                )
            )
        session.commit()
        beat(app, pushed=True)
        assert queue.kinds == ["ingest"]

    def test_a_second_push_waits_behind_an_ingest_that_runs(self, app, fleet, queue, session):
        beat(app, pushed=True)
        session.scalar(select(Work).where(Work.kind == "ingest")).state = "running"
        session.scalar(select(Work).where(Work.kind == "ingest")).started_at = func.now()
        session.commit()
        beat(app, pushed=True)
        beat(app, pushed=True)
        assert queue.kinds.count("ingest") == 2


@pytest.mark.postgres
class TestDispatching:
    """What an aircraft that is behind starts."""

    @pytest.fixture(autouse=True)
    def behind(self, monkeypatch: pytest.MonkeyPatch, app: Flask, fleet: None) -> None:
        from sync import state

        monkeypatch.setattr(state, "due", lambda *_: state.Due(["cat", "content"], False))
        monkeypatch.setattr(state, "acks", lambda *_: {})

    def test_what_is_more_urgent_is_told_to_one_that_synchronises(self, app, monkeypatch) -> None:
        from sync import state

        urgent = {"version": "v", "priority": 10, "valid_to": None}
        monkeypatch.setattr(state, "due", lambda *_: state.Due(["content"], False, urgent))
        # One that does not begins with the manifest that is offered.
        assert "urgent" not in beat(app).json
        assert beat(app, syncing=True).json["urgent"] == urgent

    def test_what_it_lacks_is_laid_out_where_nothing_lies_ready(
        self, app, queue, monkeypatch
    ) -> None:
        from sync import state

        monkeypatch.setattr(state, "due", lambda *_: state.Due(["cat"], False, unoffered=True))
        beat(app, heard=[])
        assert queue.kinds == ["ingest"]

    def test_an_aircraft_that_is_behind_is_called_once(self, app, queue) -> None:
        for _ in range(3):
            beat(app)
        assert queue.kinds == ["dispatch"]

    def test_each_aircraft_is_called(self, app, queue) -> None:
        beat(app)
        beat(app, "10.100.64.12", node="EC-TAB")
        assert queue.kinds == ["dispatch", "dispatch"]

    def test_what_no_worker_took_is_given_up_and_started_again(
        self, app, queue, session, clock
    ) -> None:
        beat(app)
        clock.advance(seconds=121)
        beat(app)
        first, second = session.scalars(select(Work).order_by(Work.queued_at))
        assert (first.state, second.state) == ("failed", "queued")
        assert "turnaround-worker-dispatch" in first.reason

    def test_what_failed_rests_before_it_is_tried_again(self, app, queue, session, clock) -> None:
        beat(app)
        row = session.scalar(select(Work))
        row.state, row.finished_at = "failed", clock()
        session.commit()
        clock.advance(seconds=work.DISPATCH.rest_s - 10)
        beat(app)
        assert queue.kinds == ["dispatch"]
        clock.advance(seconds=20)
        beat(app)
        assert queue.kinds == ["dispatch", "dispatch"]

    def test_what_a_call_did_not_help_is_not_called_about_all_the_time(
        self, app, queue, session, clock
    ) -> None:
        for _ in range(60):
            # As where a stream waits aboard for a schema: it stays due, and the call ends well.
            beat(app, heard=["cat"])
            for row in session.scalars(select(Work).where(Work.state == "queued")):
                row.state, row.finished_at = "done", clock()
            session.commit()
            clock.advance(seconds=5)
        assert queue.kinds == ["dispatch"]

    def test_a_call_that_runs_is_not_doubled_for_an_hour(self, app, queue, session, clock) -> None:
        beat(app)
        row = session.scalar(select(Work))
        row.state, row.started_at = "running", clock()
        session.commit()
        clock.advance(seconds=timedelta(minutes=59).total_seconds())
        beat(app)
        assert queue.kinds == ["dispatch"]


@pytest.mark.postgres
def test_what_the_hangar_lacks_is_asked_until_it_is_recorded(
    app: Flask, fleet: None, session: Session
) -> None:
    lacking = (
        "INSERT INTO sync.need (peer, tbl, reason, columns, since) "
        "VALUES ('EC-TAA', 'usage_event', 'backfill', '{flight}', '2026-11-26T08:00:00Z')"
    )
    session.execute(text(lacking))
    session.commit()
    asked = {"usage_event": "2026-11-26T08:00:00+00:00"}
    assert beat(app).json["needs"] == asked
    assert "needs" not in beat(app, "10.100.64.12", node="EC-TAB").json
    assert beat(app, recorded={"usage_event": "2026-11-25T08:00:00+00:00"}).json["needs"] == asked
    for _ in range(2):
        assert "needs" not in beat(app, recorded=asked).json


@pytest.mark.postgres
def test_an_aircraft_that_went_back_is_asked_for_all_and_told_what_came(
    app: Flask, fleet: None, session: Session
) -> None:
    now, left = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "0a1b2c3d-8b86-4d01-b42d-00cf4fc964ff"
    session.execute(
        text(
            "INSERT INTO sync.cursor (peer, stream, epoch, seq, sha256, former) "
            f"VALUES ('EC-TAA', 'use', '{now}', 5, 'a', '{{{left}}}')"
        )
    )
    session.execute(
        text(
            "INSERT INTO sync.applied (peer, stream, epoch, seq, sha256, rows, ms) "
            f"VALUES ('EC-TAA', 'use', '{left}', 3, 'b', 1, 1)"
        )
    )
    session.commit()
    assert not {"wants", "former"} & beat(app, up={"use": {"epoch": now, "sealed": 5}}).json.keys()
    for back in ({"epoch": now, "sealed": 4}, {"epoch": left, "sealed": 9}):
        assert beat(app, up={"use": back}).json["wants"] == {"use": "snapshot"}
    kept = {"epoch": now, "sealed": 5, "former": {"0a1b2c3d": 4}}
    told = {"use": {"0a1b2c3d": {"seq": 3, "sha256": "b"}}}
    assert beat(app, up={"use": kept}).json["former"] == told
