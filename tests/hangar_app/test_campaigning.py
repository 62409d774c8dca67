"""A campaign goes from aircraft to aircraft as they are heard; its orders, and what a heartbeat sets off."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.schema import Aircraft, Work
from common.settings import Settings
from common.uuid7 import uuid7
from fleet.campaign_plan import Plan
from fleet.errors import Offline, RemoteFailed
from fleet.release import Outcome
from hangar_app import campaign_orders, campaigning, fleet_import, heartbeat, performing, work
from hangar_app.campaign_orders import Order, Refused
from hangar_app.performing import Tools
from tests.hangar_app.campaigns import HAND, KIND, NEW, NOTHING_DUE, OLD, Box, NoShelf

pytestmark = pytest.mark.postgres

NAMES = ("EC-TAA", "EC-TAB", "EC-TAC")
PLAN = Plan(("canary", "100%"), max_failed="1")


class Hangar:
    """The hangar with three aircraft, each heard when it is told to be."""

    def __init__(self, tools: Tools, clock: Any) -> None:
        self.tools = replace(tools, clock=clock)
        self.clock = clock
        self.boxes: dict[str, Box] = {}
        self.answers: dict[str, Outcome | Exception] = {}
        self.called: list[tuple[str, str]] = []
        for name in NAMES:
            self.enrol(name)

    def enrol(self, name: str) -> None:
        self.boxes[name] = Box(name, f"10.100.64.{11 + len(self.boxes)}", random=None)  # type: ignore[arg-type]
        with self.tools.session() as session:
            session.add(Aircraft(name=name, tower=self.boxes[name].tower))
            session.commit()

    def order(self, do: str, **words: Any) -> dict[str, Any]:
        said = {"operator": "ops@desk", "name": "c", **words}
        with self.tools.session() as session:
            order = Order.model_validate({"do": do, **said})
            (found,) = campaign_orders.carry_out(session, order, NoShelf(), self.clock())  # type: ignore[arg-type]
            session.commit()
        return found

    def start(self, plan: Plan = PLAN, **words: Any) -> dict[str, Any]:
        return self.order("start", kind=KIND, version=NEW, plan=plan.plain(), **words)

    def beat(self, name: str, phase: str = "ground") -> list[work.Job]:
        """It is heard, after the hangar rested; returns what that sets off."""
        self.clock.advance(seconds=61)
        box = self.boxes[name]
        box.phase = phase
        with self.tools.session() as session:
            body = box.body(self.clock())
            _, jobs = heartbeat.receive(session, box.tower, body, NOTHING_DUE, self.clock())
        return jobs

    def heard(self, name: str) -> dict[str, Any]:
        """It is heard, and the worker does what that sets off."""
        for job in self.beat(name):
            do = partial(campaigning.campaign, ship=self.ship, go_back=self.back)
            performing.perform(self.tools, job.id, do)
        return self.aircraft(name)

    def ship(self, place: Any, _artifact: Any) -> Outcome:
        self.called.append((place.name, "ship"))
        answer = self.answers.get(place.name)
        if isinstance(answer, Exception):
            raise answer
        outcome = answer or Outcome(place.name, KIND, NEW, "confirmed", OLD)
        if outcome.ok:
            self.boxes[place.name].current = NEW
        return outcome

    def back(self, place: Any, _kind: str, _version: str) -> Outcome:
        self.called.append((place.name, "back"))
        self.boxes[place.name].current = OLD
        return Outcome(place.name, KIND, OLD, "confirmed", NEW)

    def aircraft(self, name: str) -> dict[str, Any]:
        found = self.order("status")["aircraft"]
        return next((each for each in found if each["name"] == name), {})

    def states(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self.order("status")["aircraft"]}


@pytest.fixture
def hangar_(tools: Tools, clock: Any, monkeypatch: pytest.MonkeyPatch) -> Hangar:
    monkeypatch.setattr(campaigning, "shelf", lambda folder: NoShelf())
    return Hangar(tools, clock)


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


@pytest.fixture
def all_open(hangar_: Hangar) -> Hangar:
    hangar_.start(Plan(("100%",), max_failed="1", deadline=2))
    return hangar_


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


class TestOrders:
    def test_two_campaigns_of_one_kind_do_not_share_an_aircraft(self, hangar_: Hangar) -> None:
        hangar_.start(Plan(("100%",), everyone=False, names=("EC-TAA",)))
        with pytest.raises(Refused, match="EC-TAA is in the campaign c"):
            hangar_.start(name="d")
        hangar_.order("abort")
        assert hangar_.start(name="d")["state"] == "running"

    def test_an_aircraft_that_was_just_enrolled_is_in_one_too(self, all_open: Hangar) -> None:
        all_open.enrol("EC-TAD")
        for_it = Plan(("100%",), everyone=False, names=("EC-TAD",))
        with pytest.raises(Refused, match="EC-TAD is in the campaign c"):
            all_open.start(for_it, name="d")
        assert all_open.heard("EC-TAD")["state"] == "confirmed"

    def test_a_name_is_used_once(self, hangar_: Hangar) -> None:
        hangar_.start()
        with pytest.raises(Refused, match="there is a campaign c already"):
            hangar_.start()

    def test_who_is_not_in_the_fleet_cannot_be_meant(self, hangar_: Hangar) -> None:
        with pytest.raises(Refused, match="does not know EC-XXX"):
            hangar_.start(Plan(("100%",), everyone=False, names=("EC-XXX",)))

    def test_paused_ships_to_nobody(self, all_open: Hangar) -> None:
        all_open.order("pause")
        assert all_open.beat("EC-TAA") == []
        all_open.order("resume")
        assert all_open.heard("EC-TAA")["state"] == "confirmed"

    def test_abort_leaves_what_is_confirmed(self, all_open: Hangar) -> None:
        all_open.heard("EC-TAA")
        all_open.order("abort")
        assert all_open.beat("EC-TAB") == []
        assert all_open.boxes["EC-TAA"].current == NEW
        with pytest.raises(Refused, match="is aborted: expected paused"):
            all_open.order("resume")

    def test_a_wave_is_rolled_back_as_its_aircraft_are_heard(self, all_open: Hangar) -> None:
        for name in ("EC-TAA", "EC-TAB"):
            all_open.heard(name)
        all_open.boxes["EC-TAB"].current = HAND
        said = all_open.order("rollback", wave="100%")
        assert said["state"] == "paused"
        assert all_open.heard("EC-TAA")["state"] == "rolled back"
        assert all_open.heard("EC-TAB")["state"] == "left"
        assert all_open.aircraft("EC-TAC")["state"] == "left"
        assert all_open.boxes["EC-TAB"].current == HAND
        assert all_open.called[2:] == [("EC-TAA", "back")]

    def test_nobody_is_called_back_from_under_the_next_campaign(self, all_open: Hangar) -> None:
        all_open.heard("EC-TAA")
        all_open.order("abort")
        all_open.start(Plan(("100%",)), name="d")
        with pytest.raises(Refused, match="c is aborted, and d brings its aircraft onboard by now"):
            all_open.order("rollback", wave="100%")
        all_open.order("abort", name="d")
        all_open.order("rollback", wave="100%")
        assert all_open.heard("EC-TAA")["state"] == "rolled back"

    def test_a_wave_that_is_not_open_cannot_be_rolled_back(self, hangar_: Hangar) -> None:
        hangar_.start()
        with pytest.raises(Refused, match="expected an open wave, found 100%"):
            hangar_.order("rollback", wave="100%")

    def test_it_is_closed_when_all_is_done(self, all_open: Hangar) -> None:
        with pytest.raises(Refused, match="3 aircraft are not done yet"):
            all_open.order("close")
        for name in NAMES:
            all_open.heard(name)
        assert all_open.order("close")["state"] == "closed"
        all_open.enrol("EC-TAD")
        assert all_open.beat("EC-TAD") == []

    def test_one_whose_artifact_cannot_be_read_is_refused_with_the_reason(
        self,
        tools: Tools,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        folder = tools.settings.artifacts_dir / KIND / NEW
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text('{"format": 1}')
        monkeypatch.setattr(Settings, "load", lambda: tools.settings)
        line = {"do": "start", "operator": "ops", "name": "c", "kind": KIND, "version": NEW}
        order = json.dumps(line | {"plan": PLAN.plain()}).encode()
        assert campaign_orders.main(["order"], io.BytesIO(order)) == 0
        assert "format: expected 2, found 1" in json.loads(capsys.readouterr().out)["refused"]

    @pytest.mark.parametrize(
        "line",
        [b"", b"{}", b'{"do": "sing", "operator": "ops"}', b'{"do": "pause", "operator": "o", "x": 1}',
         b'{"do": "pause", "operator": "o", "name": "../c"}'],
    )  # fmt: skip
    def test_what_is_not_as_agreed_is_no_order(self, line: bytes) -> None:
        with pytest.raises(ValueError, match="validation"):
            campaign_orders.read(io.BytesIO(line))


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
