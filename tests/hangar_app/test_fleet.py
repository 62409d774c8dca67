"""The fleet page, its JSON and the status command show what the database holds, in few statements."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from common.schema import Aircraft, Batch, Cursor, Epoch, Work
from common.settings import Settings
from hangar_app import fleet_state, status

pytestmark = pytest.mark.postgres


WAITS = {"rows": 20, "bytes": 400, "row_bytes": 10, "oldest_at": "2008-12-31T22:00:00+00:00"}


@pytest.fixture
def fleet(session: Session, clock) -> None:
    """EC-TAA is heard and behind, its last call failed; EC-TAB was never seen."""
    now: datetime = clock()
    epoch = "01a2065d-c389-7000-aaf1-7fff83734834"
    body = {
        "at": "2009-01-01T00:00:00+00:00",
        "phase": "ground",
        "flight": "TA512",
        "position": {"lat": -33.95, "lon": 151.18, "altitude_ft": 21, "ground_speed_kt": 12.4},
        "releases": {"onboard": {"version": "20261123021500-05b9b0f1a2c3", "state": "trial"}},
        "up": {"use": {"epoch": epoch, "sealed": 9, "unsealed_rows": 184, **WAITS}},
        "content": {"missing_files": 2, "missing_bytes": 5_200_000},
        "disk": {"free": 1, "total": 4},
        "held": {"cat": {"rows": 2}},
        "certificates": {"portal.example.aero": 9},
    }
    session.add_all(
        [
            Aircraft(
                name="EC-TAA",
                tower="10.100.64.11",
                airline="TA",
                last_seen=now - timedelta(seconds=3),
                last_body=body,
            ),
            Aircraft(name="EC-TAB", tower="10.100.64.12", airline="TA"),
            Cursor(peer="EC-TAA", stream="use", epoch=epoch, seq=4),
        ]
    )
    for minutes, state, reason in ((9, "failed", "older"), (5, "failed", "No route to host")):
        session.add(
            Work(
                aircraft="EC-TAA",
                kind="dispatch",
                state=state,
                reason=reason,
                queued_at=now - timedelta(minutes=minutes),
                finished_at=now - timedelta(minutes=minutes),
            )
        )
    session.commit()


def test_the_json_says_who_is_where_and_how_far_behind(editor, fleet) -> None:
    first, second = editor.get("/fleet.json").json["aircraft"]
    assert (first["name"], first["standing"], first["seen_s_ago"]) == ("EC-TAA", "failed", 3)
    assert first["behind"] == {"use ↑": 5, "rows ↑": 184}
    assert first["content_missing"] == {"files": 2, "bytes": 5_200_000}
    assert [one["reason"] for one in first["work"]] == ["No route to host"]
    waits = {"change_sets": 5, "rows": 204, "bytes": 2240, "oldest_s": 7203}
    assert (first["up"], first["down"]) == ({"use": waits}, {})
    assert (second["standing"], second["seen_s_ago"]) == ("new", None)


def test_the_page_is_whole_without_javascript(editor, fleet) -> None:
    page = editor.get("/").text
    for words in ("33.95°S 151.18°E", "21 ft", "TA512", "05b9b0f", "2 files", "5.2 MB"):
        assert words in page, words
    for words in ("use 204 rows", "2.2 kB, 2 h old", "cat: 2 rows in quarantine aboard"):
        assert words in page, words
    assert "No route to host" in page
    assert "certificate of portal.example.aero ends in 9 days" in page
    assert '<noscript><meta http-equiv="refresh"' in page


def test_what_an_aircraft_lacks_is_counted_for_each(editor, fleet, session, clock) -> None:
    epoch = uuid4()
    session.add(Epoch(stream="cat", epoch=epoch))
    session.add_all(
        Batch(
            stream="cat",
            epoch=epoch,
            seq=seq,
            prev_sha256="",
            sha256=str(seq),
            bytes=100 * seq,
            rows=seq,
            schema_version="1",
            state="published",
            created_at=clock() - timedelta(hours=4 - seq),
        )
        for seq in (1, 2, 3)
    )
    known = session.get(Aircraft, "EC-TAA")
    told = {"epoch": str(epoch), "seq": 2, "sha256": "2"}
    known.last_body = known.last_body | {"down": {"cat": told}}
    session.commit()
    first, second = editor.get("/fleet.json").json["aircraft"]
    lacks = {"change_sets": 1, "rows": 3, "bytes": 300, "oldest_s": 3600}
    assert first["down"] == {"cat": lacks}
    lacks = {"change_sets": 3, "rows": 6, "bytes": 600, "oldest_s": 10800}
    assert second["down"] == {"cat": lacks}


def test_an_open_row_whose_worker_is_lost_says_so(editor, fleet, session, clock) -> None:
    session.add(
        Work(
            aircraft="EC-TAB",
            kind="dispatch",
            state="running",
            queued_at=clock() - timedelta(hours=2),
            started_at=clock() - timedelta(hours=2),
        )
    )
    session.commit()
    seen = editor.get("/fleet.json").json["aircraft"][1]["work"][0]
    assert (seen["state"], seen["reason"]) == ("failed", "Its worker stopped before it was done.")


def test_one_aircraft_s_work_pushes_out_no_other_s(editor, fleet, session, clock) -> None:
    rows = text(
        "insert into work (id, aircraft, kind, state, queued_at, finished_at) "
        "select gen_random_uuid(), 'EC-TAB', 'ingest', state, :now, :now "
        "from generate_series(1, 2600), unnest(array['failed', 'queued']) as state"
    )
    session.execute(rows, {"now": clock()})
    session.commit()
    first, second = editor.get("/fleet.json").json["aircraft"]
    assert [one["reason"] for one in first["work"]] == ["No route to host"]
    assert len(second["work"]) == fleet_state.WORK_SHOWN
    assert len(fleet_state.recent_work(session, clock())["EC-TAB"]) == fleet_state.OPEN_SHOWN + 1


def test_more_aircraft_cost_no_more_statements(editor, fleet, session, statements) -> None:
    editor.get("/fleet.json")
    few = len(statements)
    session.add_all(Aircraft(name=f"EC-X{n}", tower=f"10.1.0.{n}", airline="") for n in range(50))
    session.commit()
    statements.clear()
    assert len(editor.get("/fleet.json").json["aircraft"]) == 52
    assert len([one for one in statements if "INSERT" not in one]) <= few <= 8


def test_the_status_command_prints_the_same(
    fleet, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(Settings, "load", lambda: settings)
    assert status.main() == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in told["aircraft"]] == ["EC-TAA", "EC-TAB"]
    assert told["aircraft"][0]["releases"]["onboard"]["state"] == "trial"


def test_health_says_the_schema_and_needs_no_account(browser) -> None:
    answer = browser.get("/health")
    assert answer.status_code == 200
    assert (answer.json["healthy"], answer.json["catalogue"]) == (True, 0)
    assert answer.json["schema"]
