"""What ops order of campaigns, and what is refused with the reason."""

from __future__ import annotations

import io
import json

import pytest

from common.settings import Settings
from fleet.campaign_plan import Plan
from hangar_app import campaign_orders
from hangar_app.campaign_orders import Refused
from hangar_app.performing import Tools
from tests.hangar_app.campaign_hangar import NAMES, PLAN, Hangar
from tests.hangar_app.campaigns import HAND, KIND, NEW

pytestmark = pytest.mark.postgres


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

    def test_who_has_to_go_back_still_is_in_no_other_campaign(self, all_open: Hangar) -> None:
        all_open.heard("EC-TAA")
        all_open.order("rollback", wave="100%")
        all_open.order("abort")
        with pytest.raises(
            Refused, match="EC-TAA is still to go back from what the campaign c brought"
        ) as why:
            all_open.start(name="d")
        assert "all,!EC-TAA" in why.value.remedy
        assert all_open.start(Plan(("100%",), left_out=("EC-TAA",)), name="d")["state"] == "running"

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
