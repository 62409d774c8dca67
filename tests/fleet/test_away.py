"""Hosts that are away: who is not called, who waits at the hangar, and who waits no more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet import away as module
from fleet.away import Away, away, unqueue
from fleet.channel import Completed
from fleet.configuration import Configuration, Uncommitted
from fleet.errors import Exit, FleetError, Offline
from fleet.inventory import Group, Host, Inventory
from fleet.queue import Queue
from fleet.report import Outcome

CONFIGURATION = Configuration("4bb5594" + "0" * 33, b"archive")
WAITS = {"digest": "d" * 64, "revision": "684cd46" + "0" * 33, "operator": "eva@desk", "failed": 0}
FACTS = {"host_key": "ssh-ed25519 k"}
HANGAR = Host("hangar", ("hangar",), (), "10.0.0.1", tower="10.1.0.1", facts=FACTS)
TAA = Host(
    "EC-TAA",
    ("aircraft",),
    (),
    "10.0.0.2",
    tower="10.1.0.2",
    vars={"converge_by_hangar": True},
    facts=FACTS,
)
TAB = replace(TAA, name="EC-TAB")
SHY = replace(TAA, name="EC-SHY", vars={})
FLEET = Inventory(
    "x",
    Path("inventory.yml"),
    {"hangar": Group("hangar", ()), "aircraft": Group("aircraft", ())},
    {host.name: host for host in (HANGAR, TAA, TAB, SHY)},
)


class Hangar:
    """A connection to a hangar: remembers the orders it gets, and answers them."""

    name = "hangar"

    def __init__(
        self, rows: Sequence[dict[str, Any]] = (), knows: Sequence[str] = ("EC-TAA", "EC-TAB")
    ) -> None:
        self.rows, self.knows = rows, knows
        self.orders: list[tuple[dict[str, Any], bytes]] = []
        self.kept = False

    def run(
        self, argv: Sequence[str], stdin: bytes | None = None, *, timeout_s: float
    ) -> Completed:
        if argv[-1].endswith("fleet-status"):
            return Completed(0, json.dumps({"aircraft": self.rows}).encode(), b"")
        assert argv[-1].endswith("wanting")
        line, _, archive = (stdin or b"").partition(b"\n")
        order = json.loads(line)
        self.orders.append((order, archive))
        waits = [name for name in order.get("want", ()) if name in self.knows]
        queued = waits if archive or self.kept else []
        self.kept = bool(queued)
        return Completed(0, json.dumps({"queued": queued, "dropped": []}).encode(), b"")


def queue(hangar: Hangar, make: Any = lambda: CONFIGURATION) -> Queue:
    return Queue(hangar, make, "ops@desk")  # type: ignore[arg-type]


def gone(name: str) -> Outcome:
    return Outcome.of(name, Offline(f"{name}: no answer"))


class TestWhoIsCalled:
    ROWS = (
        {"host": "EC-TAA", "seen_s_ago": 3},
        {"host": "EC-TAB", "seen_s_ago": 7200},
        {"host": "EC-SHY", "seen_s_ago": None},
    )

    def silent(self, named: Sequence[str] = ()) -> dict[str, str]:
        made = Away(FLEET, self.ROWS, named, None, "--check queues nothing")
        return {
            name: said.detail for name in FLEET.hosts if (said := made.instead(name)) is not None
        }

    def test_one_that_was_silent_for_long_is_not(self) -> None:
        assert self.silent() == {"EC-TAB": "not called: last heard 2 h ago; --check queues nothing"}

    def test_what_calls_one_all_the_same_changes_nothing_where_the_command_does_not(self) -> None:
        said = Away(FLEET, self.ROWS, (), None, "--check queues nothing").instead("EC-TAB")
        assert said is not None
        assert said.remedy == "the same command with --target EC-TAB calls it all the same"

    def test_one_that_ops_name_is(self) -> None:
        assert self.silent(["EC-TAB"]) == {}


class TestWhoWaits:
    def test_all_of_them_cost_one_order(self) -> None:
        hangar = Hangar()
        made = Away(FLEET, [], (), queue(hangar))
        first, second = made.put([gone("EC-TAA"), gone("EC-TAB")])
        assert "queued: 4bb5594 is applied at its next heartbeat" in first.detail
        assert (first.code, first.remedy) == (Exit.OFFLINE, "")
        assert second.data["queued"] == CONFIGURATION.revision
        ((order, archive),) = hangar.orders
        assert (order["want"], order["operator"]) == (["EC-TAA", "EC-TAB"], "ops@desk")
        assert (order["size"], archive) == (len(archive), CONFIGURATION.archive)

    def test_the_archive_is_sent_once(self) -> None:
        hangar = Hangar()
        made = Away(FLEET, [], (), queue(hangar))
        made.put([gone("EC-TAA")])
        made.put([gone("EC-TAB")])
        assert [archive for _, archive in hangar.orders] == [CONFIGURATION.archive, b""]
        assert hangar.orders[1][0]["digest"] == CONFIGURATION.digest

    def test_an_archive_that_nobody_waited_for_meanwhile_is_sent_again(self) -> None:
        hangar = Hangar(knows=["EC-TAB"])
        made = Away(FLEET, [], (), queue(hangar))
        made.put([gone("EC-TAA")])
        (said,) = made.put([gone("EC-TAB")])
        assert "queued: 4bb5594 is applied at its next heartbeat" in said.detail

    def test_one_that_the_inventory_does_not_let_the_hangar_change_does_not(self) -> None:
        hangar = Hangar()
        (said,) = Away(FLEET, [], (), queue(hangar)).put([gone("EC-SHY")])
        assert "does not say converge_by_hangar: true" in said.detail
        assert said.remedy == "run the command again when it is on the ground"
        assert (said.data["queued"], hangar.orders) == (None, [])

    def test_one_that_the_hangar_does_not_know_is_said(self) -> None:
        (said,) = Away(FLEET, [], (), queue(Hangar(knows=()))).put([gone("EC-TAA")])
        assert "nothing is queued: hangar does not know it yet" in said.detail

    @pytest.mark.parametrize("make", ["withdrawn", "uncommitted"])
    def test_what_an_earlier_command_let_wait_is_said(self, make: str) -> None:
        def uncommitted() -> Configuration:
            raise Uncommitted("changed since the last commit: roles/base.py", "commit")

        host = "EC-SHY" if make == "withdrawn" else "EC-TAB"
        made = Away(FLEET, [{"host": host, "wanted": WAITS}], (), queue(Hangar(), uncommitted))
        (said,) = made.put([gone(host)])
        assert "nothing is queued: " in said.detail
        assert said.detail.endswith("; what eva@desk queued still waits: 684cd46")

    def test_one_that_never_waits_is_not_told_how_it_could(self) -> None:
        (said,) = Away(FLEET, [], (), queue(Hangar())).put([gone("hangar")])
        assert said.detail == "no answer"
        assert said.data["queued"] is None

    def test_what_is_not_committed_waits_for_nobody_and_is_looked_at_once(self) -> None:
        asked = []

        def make() -> Configuration:
            asked.append(1)
            raise Uncommitted("changed since the last commit: roles/base.py", "commit")

        made = Away(FLEET, [], (), queue(Hangar(), make))
        for name in ("EC-TAA", "EC-TAB"):
            (said,) = made.put([gone(name)])
            assert "nothing is queued: changed since the last commit: roles/base.py" in said.detail
            assert said.remedy == "commit"
        assert asked == [1]

    def test_a_hangar_that_is_off_line_is_not_asked_for_each_of_two_hundred(self) -> None:
        asked: list[int] = []

        class Gone(Hangar):
            def run(self, *args: Any, **more: Any) -> Completed:
                asked.append(1)
                raise Offline("hangar: 10.0.0.1: no answer within 15 s")

        now = [0.0]
        waits = Queue(Gone(), lambda: CONFIGURATION, "ops@desk", lambda: now[0])  # type: ignore[arg-type]
        made = Away(FLEET, [], (), waits)
        for _ in range(200):
            (said,) = made.put([gone("EC-TAA")])
            assert said.detail.endswith(
                "nothing is queued: hangar: 10.0.0.1: no answer within 15 s"
            )
        assert asked == [1]
        now[0] += 31
        made.put([gone("EC-TAA")])
        assert asked == [1, 1]

    def test_a_hangar_that_is_too_old_is_to_be_made_newer(self) -> None:
        class Old(Hangar):
            def run(self, *args: Any, **more: Any) -> Completed:
                return Completed(1, b"", b"sudo: /opt/turnaround/bin/wanting: command not found\n")

        (said,) = Away(FLEET, [], (), queue(Old())).put([gone("EC-TAA")])
        assert said.remedy == "fab converge --target hangar and fab deploy-hangar --target hangar"

    def test_an_answer_that_is_none_is_an_error_of_that_host(self) -> None:
        class Broken(Hangar):
            def run(self, *args: Any, **more: Any) -> Completed:
                return Completed(0, b"hello", b"")

        (said,) = Away(FLEET, [], (), queue(Broken())).put([gone("EC-TAA")])
        assert "expected wanting to say what waits, found b'hello'" in said.detail


class TestWhoWaitsNoMore:
    def test_what_waits_for_a_host_that_is_newer_now_is_forgotten(self) -> None:
        hangar = Hangar()
        rows = [{"host": "EC-TAA", "wanted": None}, {"host": "EC-TAB", "wanted": WAITS}]
        made = Away(FLEET, rows, (), queue(hangar))
        made.settle([Outcome("EC-TAA"), Outcome("EC-TAB"), Outcome("hangar")])
        assert [order for order, _ in hangar.orders] == [
            {"operator": "ops@desk", "drop": {"EC-TAB": WAITS["digest"]}}
        ]

    @pytest.mark.parametrize("code", [Exit.FAILED, Exit.OFFLINE])
    def test_what_waits_for_one_that_is_not_goes_on_waiting(self, code: Exit) -> None:
        hangar = Hangar()
        rows = [{"host": "EC-TAB", "wanted": WAITS}]
        Away(FLEET, rows, (), queue(hangar)).settle([Outcome("EC-TAB", code)])
        assert hangar.orders == []


class TestWhatOpsTakeBack:
    def test_what_waits_is_forgotten_by_its_hash_and_the_rest_is_said(self) -> None:
        hangar = Hangar()
        waits = {"revision": "4bb55946ff91", "digest": "d1", "operator": "ops@desk"}
        rows = [{"host": "EC-TAA", "wanted": waits}, {"host": "EC-TAB", "wanted": None}]
        said = unqueue(rows, [TAA, TAB], queue(hangar))
        assert [(each.host, each.status) for each in said] == [
            ("EC-TAA", "unqueued"),
            ("EC-TAB", "no change"),
        ]
        assert [order["drop"] for order, _ in hangar.orders] == [{"EC-TAA": "d1"}]

    def test_nothing_is_ordered_where_nothing_waits(self) -> None:
        hangar = Hangar()
        unqueue([], [TAA], queue(hangar))
        assert hangar.orders == []


class TestAsking:
    def made(
        self,
        monkeypatch: pytest.MonkeyPatch,
        hangar: Any,
        *hosts: Host,
        signs: bool = True,
        **more: Any,
    ) -> Any:
        class Links:
            def to(self, host: Host) -> Any:
                assert host is HANGAR
                return hangar

        monkeypatch.setattr(module.configuration, "build", lambda _: CONFIGURATION)
        monkeypatch.setattr(module.configuration, "seal", lambda built, *_: built)
        if signs:
            monkeypatch.setattr(module.envelope, "key_in", lambda folder: folder)
        return away(FLEET, hosts, Links(), "all", **more)  # type: ignore[arg-type]

    def test_the_hangar_is_not_asked_about_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.made(monkeypatch, None, HANGAR) is None

    def test_only_hosts_of_the_target_are_queued(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [{"name": name, "seen_s_ago": 900} for name in ("EC-TAA", "EC-TAB")]
        hangar = Hangar(rows)
        made = self.made(monkeypatch, hangar, HANGAR, TAA)
        assert made.instead("EC-TAA").data["queued"] == CONFIGURATION.revision
        assert made.instead("EC-TAB") is None
        assert [order["want"] for order, _ in hangar.orders] == [["EC-TAA"]]

    def test_without_a_signing_key_nothing_is_queued_and_the_reason_is_said(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("TURNAROUND_KEYS", str(tmp_path))
        hangar = Hangar([{"name": "EC-TAA", "seen_s_ago": 900}])
        silent = self.made(monkeypatch, hangar, TAA, signs=False).instead("EC-TAA")
        assert (silent.code, silent.data["queued"]) == (Exit.OFFLINE, None)
        assert f"nothing is queued: there is no signing key at {tmp_path}" in silent.detail
        assert hangar.orders == []

    def test_one_that_the_limit_names_is_called(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hangar = Hangar([{"name": name, "seen_s_ago": 900} for name in ("EC-TAA", "EC-TAB")])
        made = self.made(monkeypatch, hangar, TAA, TAB, limit="EC-TAA,!EC-TAB")
        assert made.instead("EC-TAA") is None
        assert made.instead("EC-TAB") is not None

    def test_a_hangar_that_cannot_say_keeps_nobody_from_being_called(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Bare(Hangar):
            def run(self, *args: Any, **more: Any) -> Completed:
                raise FleetError("hangar: there is no fleet-status")

        made = self.made(monkeypatch, Bare(), HANGAR, TAA)
        assert made.instead("EC-TAA") is None
