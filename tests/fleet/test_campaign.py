"""The words of a campaign are read before anything is touched, and how it stands is told in lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet import campaign, campaign_plan
from fleet.aboard.manifest import File, Manifest
from fleet.artifact import Artifact, save
from fleet.campaign_plan import Plan
from fleet.campaign_table import COLUMNS, table
from fleet.channel import Completed
from fleet.errors import FleetError, UsageError
from fleet.inventory import load


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (campaign_plan.waves, "", "--waves"),
        (campaign_plan.waves, "10%", "100%"),
        (campaign_plan.waves, "10%,canary,100%", "canary"),
        (campaign_plan.waves, "50%,10%,100%", "more than 50%"),
        (campaign_plan.waves, "0%,100%", "0%"),
        (campaign_plan.waves, "canary,,100%", "''"),
        (campaign_plan.waves, "canary,110%", "110%"),
        (campaign_plan.gate, "confirm", "confirmed"),
        (campaign_plan.gate, "confirmed:", "--gate"),
        (campaign_plan.gate, "confirmed:0%", "--gate"),
        (campaign_plan.max_failed, "-1", "--max-failed"),
        (campaign_plan.max_failed, "5 %", "--max-failed"),
        (campaign_plan.max_failed, "101%", "--max-failed"),
        (campaign_plan.name, "../x", "--name"),
        (campaign_plan.name, "", "--name"),
        (campaign_plan.wave, "2", "--wave"),
    ],
)
def test_wrong_words_are_refused(read: Callable[[str], object], text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(text)


def test_a_plan_comes_back_from_json() -> None:
    plan = Plan(("canary", "100%"), gate=90, canary=("EC-TAA",), left_out=("EC-TAB",))
    assert Plan.of(json.loads(json.dumps(plan.plain()))) == plan


def made(out: Path, kind: str = "html5") -> Path:
    (out / "page").parent.mkdir(parents=True, exist_ok=True)
    sha = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # of foo
    blob = out / "blobs" / sha[:2] / sha
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(b"foo")
    version = "20260101120000-0123456789ab"
    manifest = Manifest(
        kind,
        version,
        "0123456789ab" + 28 * "0",
        None,
        None,
        (File("a", sha, 3),),
        (),
        (),
        (),
        (),
        None,
    )
    save(manifest, out)
    return out / kind / version


class TestArtifacts:
    def test_a_kind_and_a_revision_are_built(self, tmp_path: Path) -> None:
        asked: list[tuple[str, str]] = []

        def make(kind: str, revision: str) -> Artifact:
            asked.append((kind, revision))
            return campaign.artifact(str(made(tmp_path)))

        assert campaign.artifact("html5@v1.2", make).manifest.kind == "html5"
        assert asked == [("html5", "v1.2")]

    def test_a_folder_of_a_build_is_taken_as_it_is(self, tmp_path: Path) -> None:
        found = campaign.artifact(str(made(tmp_path)))
        assert (found.blobs, found.size) == (tmp_path / "blobs", 3)

    @pytest.mark.parametrize(
        "text", ["onboard", "onboard@", "@HEAD", "hangar@HEAD", "/nowhere", ""]
    )
    def test_what_means_nothing_is_refused(self, text: str) -> None:
        with pytest.raises(UsageError, match="--artifact"):
            campaign.artifact(text, lambda *_: pytest.fail("nothing is built"))

    def test_the_hangar_s_own_release_is_not_for_aircraft(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="not for aircraft"):
            campaign.artifact(str(made(tmp_path, "hangar")))


INVENTORY = """
fleet: x
groups: {hangar: {roles: []}, aircraft: {roles: []}, canary: {roles: []}}
hosts:
  hangar: {groups: [hangar], address: 10.0.0.1}
  EC-TAA: {groups: [aircraft], address: 10.0.0.2}
  EC-TAB: {groups: [aircraft, canary], address: 10.0.0.3}
  EC-TAC: {groups: [aircraft], address: 10.0.0.4}
"""


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("all", (True, (), (), ("EC-TAB",))),
        ("all,!EC-TAB", (True, (), ("EC-TAB",), ())),
        ("EC-TAC,EC-TAA", (False, ("EC-TAA", "EC-TAC"), (), ())),
        ("aircraft", (False, ("EC-TAA", "EC-TAB", "EC-TAC"), (), ("EC-TAB",))),
    ],
)
def test_whom_a_target_means(tmp_path: Path, target: str, meant: tuple[Any, ...]) -> None:
    (tmp_path / "hosts.yml").write_text(INVENTORY)
    said = campaign.whom(load(tmp_path / "hosts.yml"), target)
    assert (said["everyone"], said["names"], said["left_out"], said["canary"]) == meant


def test_a_target_without_aircraft_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(INVENTORY)
    with pytest.raises(UsageError, match="no aircraft"):
        campaign.whom(load(tmp_path / "hosts.yml"), "hangar")


class Hangar:
    """Stands for the connection to it."""

    name = "hangar"

    def __init__(self, stdout: bytes, exit: int = 0) -> None:
        self.done = Completed(exit, stdout, b"no such command")

    def run(self, argv: Any, stdin: bytes, *, timeout_s: float) -> Completed:
        self.asked = (list(argv), json.loads(stdin))
        return self.done


class TestOrders:
    def test_an_order_is_one_line_with_who_asks(self) -> None:
        hangar: Any = Hangar(b'{"campaigns": []}')
        assert campaign.order(hangar, "pause", name="c") == []
        argv, said = hangar.asked
        assert argv == [*campaign.COMMAND, "order"]
        assert (said["do"], said["name"]) == ("pause", "c")
        assert "@" in said["operator"]

    def test_what_the_hangar_refuses_is_wrong_usage(self) -> None:
        hangar: Any = Hangar(b'{"refused": "there is no campaign c", "remedy": "look"}')
        with pytest.raises(UsageError, match="no campaign c"):
            campaign.order(hangar, "pause", name="c")

    @pytest.mark.parametrize(("stdout", "exit"), [(b"", 127), (b"[]", 0), (b"what?", 0)])
    def test_a_hangar_without_campaigns_is_told_what_it_needs(
        self, stdout: bytes, exit: int
    ) -> None:
        hangar: Any = Hangar(stdout, exit)
        with pytest.raises(FleetError, match="deploy-hangar"):
            campaign.order(hangar, "status")


def wave(name: str, open: bool, **counts: int) -> dict[str, Any]:
    return {"wave": name, "open": open, **dict.fromkeys(COLUMNS, 0), **counts}


def test_how_a_campaign_stands_in_lines() -> None:
    stands = {
        "name": "onboard-0123456",
        "kind": "onboard",
        "version": "20260101120000-0123456789ab",
        "state": "paused",
        "reason": "2 of 9 aircraft failed, 1 may",
        "operator": "ops@desk",
        "started_s_ago": 7200,
        "gate": 100,
        "max_failed": "1",
        "deadline": 3,
        "at_once": 16,
        "waves": [
            wave("canary", True, aircraft=1, confirmed=1),
            wave("10%", True, aircraft=9, confirmed=5, failed=2, pending=1, **{"off-line": 1}),
            wave("100%", False),
        ],
        "in_no_wave": 71,
        "aircraft": [
            {"name": "EC-TAA", "wave": "canary", "state": "confirmed", "reason": ""},
            {
                "name": "EC-TAB",
                "wave": "10%",
                "state": "off-line",
                "reason": "the link broke",
                "heard_s_ago": 90_000,
            },
            {"name": "EC-TAD", "wave": "10%", "state": "pending", "reason": "", "phase": "cruise"},
            {
                "name": "EC-TAC",
                "wave": "10%",
                "state": "failed",
                "reason": "returned: /health\n500",
            },
        ],
    }
    assert table(stands) == [
        "onboard-0123456  onboard 20260101120000-0123456789ab  paused: 2 of 9 aircraft failed, 1 may",
        "  gate confirmed:100%, at most 1 failed, 3 landings, 16 at once; ops@desk, 2 h ago",
        "  wave    aircraft  confirmed  shipping  pending  off-line  failed",
        "  canary  1         1          0         0        0         0",
        "  10%     9         5          0         1        1         2",
        "  100%    not open yet",
        "  71 aircraft are in no wave yet",
        "  EC-TAC: failed: returned: /health 500",
        "  EC-TAD: pending: its phase is cruise, and it is shipped to on the ground",
        "  EC-TAB: off-line, heard 1 day ago; the link broke",
    ]
