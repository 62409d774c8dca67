"""A campaign goes from aircraft to aircraft as they are heard; its orders, and what a heartbeat sets off."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from common.schema import Aircraft, Work
from common.settings import Settings
from common.uuid7 import uuid7
from fleet.campaign_plan import Plan
from fleet.errors import Offline, RemoteFailed
from fleet.release import Outcome
from hangar_app import campaigning, fleet_import, performing, work
from tests.hangar_app.campaign_hangar import PLAN, Hangar
from tests.hangar_app.campaigns import HAND, KIND, NEW, OLD

pytestmark = pytest.mark.postgres


def returned(name: str) -> Outcome:
    return Outcome(name, KIND, NEW, "returned", OLD, "/health: expected 200, found 500")


class TestWaves:
    def test_the_canary_is_who_was_heard_last_and_gates_the_rest(self, hangar_: Hangar) -> None:
        hangar_.beat("EC-TAB")
        started = hangar_.start()
        assert [wave["aircraft"] for wave in started["waves"]] == [1, 0]
        assert hangar_.beat("EC-TAA") == []
        assert hangar_.heard("EC-TAB")["state"] == "confirmed"
        assert hangar_.heard("EC-TAA")["state"] == "confirmed"
        assert hangar_.states() == {
            "EC-TAA": "confirmed",
            "EC-TAB": "confirmed",
            "EC-TAC": "off-line",
        }
        assert hangar_.heard("EC-TAC")["state"] == "confirmed"
        assert hangar_.called == [(name, "ship") for name in ("EC-TAB", "EC-TAA", "EC-TAC")]
        assert hangar_.beat("EC-TAC") == []

    def test_the_canary_is_rather_one_on_the_ground(self, hangar_: Hangar) -> None:
        hangar_.beat("EC-TAC")
        hangar_.beat("EC-TAB", phase="unknown")
        hangar_.start()
        assert hangar_.aircraft("EC-TAC")["wave"] == "canary"
        assert hangar_.aircraft("EC-TAB")["phase"] == "unknown"

    def test_a_canary_can_be_named(self, hangar_: Hangar) -> None:
        hangar_.beat("EC-TAB")
        hangar_.start(replace(PLAN, canary=("EC-TAC",)))
        assert hangar_.aircraft("EC-TAC")["wave"] == "canary"

    def test_a_canary_that_fails_pauses_it_with_the_reason(self, hangar_: Hangar) -> None:
        hangar_.start(replace(PLAN, canary=("EC-TAA",), max_failed="5%"))
        hangar_.answers["EC-TAA"] = returned("EC-TAA")
        assert hangar_.heard("EC-TAA")["reason"] == "returned: /health: expected 200, found 500"
        said = hangar_.order("status")
        assert (said["state"], said["reason"]) == ("paused", "1 of 1 aircraft failed, 0 may")
        assert hangar_.beat("EC-TAB") == []
        hangar_.order("resume")
        assert hangar_.heard("EC-TAB")["state"] == "confirmed"
        assert hangar_.aircraft("EC-TAA")["state"] == "failed"

    def test_a_canary_that_is_left_alone_opens_nothing_by_itself(self, hangar_: Hangar) -> None:
        hangar_.beat("EC-TAA")
        hangar_.start(replace(PLAN, canary=("EC-TAA",)))
        hangar_.boxes["EC-TAA"].current = HAND
        assert hangar_.heard("EC-TAA")["state"] == "left"
        said = hangar_.order("status")
        assert said["reason"] == "no aircraft of the wave canary is confirmed"
        hangar_.order("resume")
        assert hangar_.heard("EC-TAB")["state"] == "confirmed"

    def test_a_canary_that_is_retired_is_followed_by_another(
        self, hangar_: Hangar, session: Session
    ) -> None:
        hangar_.start(replace(PLAN, canary=("EC-TAA",)))
        hangar_.beat("EC-TAB")
        session.delete(session.get_one(Aircraft, "EC-TAA"))
        session.commit()
        campaigning.begin(hangar_.tools)
        assert hangar_.aircraft("EC-TAB")["wave"] == "canary"
        assert hangar_.beat("EC-TAC") == []
        hangar_.heard("EC-TAB")
        assert hangar_.heard("EC-TAC")["state"] == "confirmed"

    def test_retry_offers_it_again(self, hangar_: Hangar) -> None:
        hangar_.start(replace(PLAN, canary=("EC-TAA",), max_failed="0"))
        hangar_.answers["EC-TAA"] = returned("EC-TAA")
        hangar_.heard("EC-TAA")
        del hangar_.answers["EC-TAA"]
        hangar_.order("resume", retry=True)
        assert hangar_.heard("EC-TAA")["state"] == "confirmed"

    def test_who_is_enrolled_meanwhile_joins_the_last_open_wave(self, hangar_: Hangar) -> None:
        hangar_.start(replace(PLAN, canary=("EC-TAA",)))
        hangar_.enrol("EC-TAD")
        assert hangar_.heard("EC-TAD")["wave"] is None
        hangar_.heard("EC-TAA")
        hangar_.enrol("EC-TAE")
        assert hangar_.heard("EC-TAE") | {"state": "confirmed", "wave": "100%"} == hangar_.aircraft(
            "EC-TAE"
        )
        assert hangar_.heard("EC-TAD")["state"] == "confirmed"

    def test_another_box_under_a_name_that_was_meant_joins(
        self, hangar_: Hangar, session: Session
    ) -> None:
        hangar_.start(Plan(("100%",), everyone=False, names=("EC-TAA", "EC-TAB")))
        session.delete(session.get_one(Aircraft, "EC-TAB"))
        session.commit()
        hangar_.enrol("EC-TAB")
        assert hangar_.heard("EC-TAB")["state"] == "confirmed"

    def test_who_is_left_out_is_left_in_peace(self, hangar_: Hangar) -> None:
        hangar_.start(Plan(("100%",), left_out=("EC-TAC",)))
        assert hangar_.beat("EC-TAC") == []
        assert set(hangar_.states()) == {"EC-TAA", "EC-TAB"}


class TestOneAircraft:
    def test_a_link_that_breaks_is_no_failure(self, all_open: Hangar) -> None:
        all_open.answers["EC-TAA"] = Offline("EC-TAA: the link broke")
        said = all_open.heard("EC-TAA")
        assert (said["state"], said["reason"]) == ("pending", "EC-TAA: the link broke")
        del all_open.answers["EC-TAA"]
        assert all_open.heard("EC-TAA")["state"] == "confirmed"

    def test_one_whose_releases_another_run_holds_waits(self, all_open: Hangar) -> None:
        busy = Outcome("EC-TAA", KIND, None, "busy", reason="ops (deploy) is at work")
        all_open.answers["EC-TAA"] = busy
        assert all_open.heard("EC-TAA")["state"] == "pending"

    def test_an_aircraft_that_does_not_know_the_words_has_failed(self, all_open: Hangar) -> None:
        all_open.answers["EC-TAA"] = RemoteFailed("EC-TAA: exit 64", "fab converge")
        said = all_open.heard("EC-TAA")
        assert (said["state"], said["reason"]) == ("failed", "EC-TAA: exit 64\n  → fab converge")

    def test_a_deadline_counts_landings_in_which_it_was_called(self, all_open: Hangar) -> None:
        all_open.answers["EC-TAA"] = Offline("EC-TAA: the link broke")
        for _ in range(2):
            all_open.beat("EC-TAA", "cruise")
            for _ in range(3):
                assert all_open.heard("EC-TAA")["state"] == "pending"
        all_open.beat("EC-TAA", "descent")
        said = all_open.heard("EC-TAA")
        assert (said["state"], said["attempts"], said["landings"]) == ("failed", 6, 2)
        assert said["reason"] == "called in 2 landings, and not done"

    def test_the_heartbeat_is_enough_to_know(self, all_open: Hangar) -> None:
        all_open.boxes["EC-TAA"].current = NEW
        assert all_open.heard("EC-TAA")["state"] == "confirmed"
        assert all_open.called == []

    def test_what_was_deployed_by_hand_is_left(self, all_open: Hangar) -> None:
        all_open.answers["EC-TAA"] = Offline("EC-TAA: the link broke")
        all_open.heard("EC-TAA")
        all_open.boxes["EC-TAA"].current = HAND
        assert all_open.heard("EC-TAA")["state"] == "left"

    def test_what_a_campaign_brought_since_it_was_heard_is_not_by_hand(
        self, all_open: Hangar
    ) -> None:
        assert all_open.heard("EC-TAA")["state"] == "confirmed"
        all_open.order("abort")
        all_open.order("start", name="d", kind=KIND, version=HAND, plan=Plan(("100%",)).plain())
        all_open.called.clear()
        all_open.heard("EC-TAA")
        assert all_open.called == [("EC-TAA", "ship")]

    def test_in_the_air_nothing_is_set_off(self, all_open: Hangar) -> None:
        assert all_open.beat("EC-TAA", "cruise") == []
        assert all_open.beat("EC-TAA", "unknown") == []
        assert len(all_open.beat("EC-TAA")) == 1

    def test_one_that_is_being_shipped_to_is_not_called_again(self, all_open: Hangar) -> None:
        (job,) = all_open.beat("EC-TAA")
        claim = work.Claim(uuid7(), "EC-TAA", {})

        def ship(place: Any, artifact: Any) -> Outcome:
            assert campaigning.campaign(all_open.tools, claim, ship=all_open.ship) == {
                "progress": "nothing is to be done now"
            }
            assert all_open.aircraft("EC-TAA")["state"] == "shipping"
            return all_open.ship(place, artifact)

        performing.perform(all_open.tools, job.id, partial(campaigning.campaign, ship=ship))
        said = all_open.aircraft("EC-TAA")
        assert (said["state"], said["attempts"]) == ("confirmed", 1)
        assert all_open.called == [("EC-TAA", "ship")]

    def test_a_worker_that_is_lost_leaves_nothing_behind(
        self, all_open: Hangar, session: Session
    ) -> None:
        class Killed(BaseException):
            pass

        def ship(*_: object) -> Outcome:
            assert all_open.aircraft("EC-TAA")["state"] == "shipping"
            raise Killed

        (job,) = all_open.beat("EC-TAA")
        with pytest.raises(Killed):
            performing.perform(all_open.tools, job.id, partial(campaigning.campaign, ship=ship))
        assert all_open.aircraft("EC-TAA")["state"] == "shipping"
        performing.begin(all_open.tools, [work.CAMPAIGN])
        assert all_open.aircraft("EC-TAA")["state"] == "pending"
        assert session.scalar(select(Work)).reason == work.WORKER_LOST
        assert all_open.heard("EC-TAA")["state"] == "confirmed"


class TestHeartbeats:
    def test_cost_five_statements_at_most(
        self, app: Flask, all_open: Hangar, statements: list[str]
    ) -> None:
        body = {
            "node": "EC-TAA",
            "at": "2026-11-23T12:00:00Z",
            "phase": "ground",
            "pushed": True,
            "content": {"missing_files": 3, "missing_bytes": 9},
        }
        headers = {"X-Real-IP": all_open.boxes["EC-TAA"].tower}
        app.test_client().post("/tower/v1/heartbeat", json=body, headers=headers)
        statements.clear()
        app.test_client().post("/tower/v1/heartbeat", json=body, headers=headers)
        assert len(statements) <= 5, "\n".join(statements)

    @pytest.mark.parametrize(
        ("before", "pause_s", "landed"),
        [
            ("ground", 5, 0),
            ("ground", 599, 0),
            ("ground", 601, 1),
            ("climb", 5, 1),
            ("unknown", 5, 0),  # the avionics process was restarted
            ("unknown", 700, 1),
        ],
    )
    def test_a_landing_is_counted_once(
        self, hangar_: Hangar, clock: Any, session: Session, before: str, pause_s: int, landed: int
    ) -> None:
        def landings() -> int:
            session.expire_all()
            return session.get_one(Aircraft, "EC-TAA").landings

        def beat(phase: str, after_s: float) -> None:
            clock.advance(seconds=after_s - 61)
            hangar_.beat("EC-TAA", phase)

        beat("ground", 0)
        assert landings() == 1
        if before != "ground":
            beat(before, 5)
        beat("ground", pause_s)
        assert landings() == 1 + landed
        beat("ground", 5)
        assert landings() == 1 + landed


def test_the_fleet_page_says_in_one_line_how_it_stands(all_open: Hangar, editor: Any) -> None:
    all_open.heard("EC-TAA")
    page = " ".join(editor.get("/").text.split())
    assert "Campaign <b>c</b>: onboard" in page
    assert "running in the wave 100%: 1 confirmed, 2 off-line</p>" in page
    for name in ("EC-TAB", "EC-TAC"):
        all_open.heard(name)
    all_open.order("close")
    assert "Campaign" not in editor.get("/").text


def test_a_wave_does_not_wait_for_one_that_was_retired(
    hangar_: Hangar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangar_.start(replace(PLAN, canary=("EC-TAA", "EC-TAB")))
    hangar_.heard("EC-TAA")
    left = [
        {"name": box.name, "tower": box.tower, "airline": "TA"}
        for box in hangar_.boxes.values()
        if box.name != "EC-TAB"
    ]
    (tmp_path / "fleet.json").write_text(json.dumps(left))
    settings = hangar_.tools.settings.model_copy(update={"fleet_file": tmp_path / "fleet.json"})
    monkeypatch.setattr(Settings, "load", lambda: settings)
    with hangar_.tools.engine.begin() as connection:
        connection.execute(
            text(
                "insert into sync.epoch (stream, epoch, base) select unnest(array['cat', 'usr']), "
                "gen_random_uuid(), repeat('0', 64)"
            )
        )
    assert fleet_import.main() == 0
    assert hangar_.heard("EC-TAC")["state"] == "confirmed"


def test_it_goes_on_when_the_worker_starts(hangar_: Hangar, session: Session) -> None:
    hangar_.start(replace(PLAN, canary=("EC-TAA", "EC-TAB")))
    hangar_.heard("EC-TAA")
    session.delete(session.get_one(Aircraft, "EC-TAB"))
    session.commit()
    campaigning.begin(hangar_.tools)
    assert hangar_.heard("EC-TAC")["state"] == "confirmed"


def test_a_retired_aircraft_is_forgotten(all_open: Hangar, session: Session) -> None:
    session.delete(session.get_one(Aircraft, "EC-TAA"))
    session.commit()
    assert set(all_open.states()) == {"EC-TAB", "EC-TAC"}
