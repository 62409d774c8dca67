"""From the counter to the audit log: what the hangar is told, and what happens when it does not answer."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fleet import shipping
from fleet.artifact import Artifact
from fleet.audit import table
from fleet.errors import Exit, FleetError, Offline, RemoteFailed, UsageError
from fleet.inventory import Group, Host, Inventory
from fleet.report import Outcome, PlainReporter
from fleet.session import Session
from tests.fleet.aboard.host import build, new_host
from tests.fleet.aboard.link import Completed, Link, save
from tests.fleet.aboard.signing import signer

FACTS = {"host_key": "ssh-ed25519 k"}
HANGAR = Host("hangar", ("hangar",), (), "192.0.2.1", facts=FACTS)
TAA = Host("EC-TAA", ("aircraft",), (), "192.0.2.2", facts=FACTS)
TAB = Host("EC-TAB", ("aircraft",), (), "192.0.2.3", facts=FACTS)


@dataclass
class Links:
    """The ways to the hosts that are on the ground."""

    by_name: Mapping[str, Link]
    hung_up: list[str] = field(default_factory=list)

    def to(self, host: Host) -> Link:
        if host.name not in self.by_name:
            raise Offline(f"{host.name}: no answer within 15 s")
        return self.by_name[host.name]

    def hang_up(self, host: Host) -> None:
        self.hung_up.append(host.name)


@pytest.fixture
def links() -> Iterator[Links]:
    hosts = {name: new_host() for name in ("hangar", "EC-TAA")}
    yield Links({name: Link(host, name) for name, host in hosts.items()})
    for host in hosts.values():
        host.close()


@pytest.fixture
def fleet(links: Links, tmp_path: Path) -> Session:
    (tmp_path / "keys").mkdir()
    signer(tmp_path / "keys")
    groups = {name: Group(name, ()) for name in ("hangar", "aircraft")}
    hosts = {host.name: host for host in (HANGAR, TAA, TAB)}
    inventory = Inventory("test", tmp_path / "inventory.yml", groups, hosts)
    return Session(inventory, (TAA, TAB), links)  # type: ignore[arg-type]


@pytest.fixture
def artifacts(tmp_path: Path) -> list[Artifact]:
    return [save(build(1), tmp_path), save(build(1, "html5", {"a.html": b"<p>"}), tmp_path)]


def ship(fleet: Session, artifacts: list[Artifact]) -> list[Outcome]:
    return shipping.deploy(
        fleet, "deploy", fleet.hosts, lambda: artifacts, lambda: PlainReporter(io.StringIO())
    )


def entries(fleet: Session) -> list[dict[str, Any]]:
    return shipping.ledger_at_hangar(fleet).last()


def test_each_artifact_has_its_counter_and_the_log_says_how_it_ended(
    fleet: Session, artifacts: list[Artifact]
) -> None:
    outcomes = ship(fleet, artifacts)
    assert [each.code for each in outcomes] == [Exit.DONE, Exit.OFFLINE]
    first, second, ended = entries(fleet)
    assert (first["kind"], first["targets"]) == ("onboard", ["EC-TAA", "EC-TAB"])
    assert (second["kind"], second["counter"] > first["counter"]) == ("html5", True)
    assert ended["counters"] == [first["counter"], second["counter"]]
    assert ended["targets"] == {"EC-TAA": "released", "EC-TAB": "off-line"}
    assert ended["ended"] == "2 hosts: 1 released, 1 off-line"
    assert {each["who"] for each in (first, second, ended)} == {operator(fleet)}


def operator(fleet: Session) -> str:
    return shipping.ledger_at_hangar(fleet).operator


def test_without_the_hangar_nothing_is_shipped_and_it_is_no_failure(
    fleet: Session, artifacts: list[Artifact], links: Links
) -> None:
    aircraft = links.by_name["EC-TAA"]

    class Silent(Link):
        def run(self, *_: Any, **__: Any) -> Any:
            raise Offline("hangar: no answer within 15 s")

    links.by_name = {"hangar": Silent(aircraft.host, "hangar"), "EC-TAA": aircraft}
    with pytest.raises(Offline, match="needs a counter, which hangar issues") as caught:
        ship(fleet, artifacts)
    assert caught.value.exit_code == 3
    assert caught.value.remedy.startswith("nothing was shipped; run the command again")
    assert aircraft.orders == []


def test_a_hangar_without_aboard_says_what_to_do(
    fleet: Session, artifacts: list[Artifact], links: Links
) -> None:
    links.by_name["hangar"].answer = Completed(1, b"", b"aboard: command not found")
    with pytest.raises(RemoteFailed, match=r"aboard issue .* command not found") as caught:
        ship(fleet, artifacts)
    assert "fab converge --target hangar" in caught.value.remedy


def test_an_answer_that_nobody_understands_is_an_error(fleet: Session, links: Links) -> None:
    links.by_name["hangar"].answer = Completed(0, b"hello")
    with pytest.raises(FleetError, match="expected aboard audit to answer with JSON"):
        entries(fleet)


def test_only_what_was_changed_is_written_down_in_one_trip(fleet: Session, links: Links) -> None:
    changed = Outcome("EC-TAA", status="changed", data={"changes": [{"key": "file:/etc/x"}]})
    broken = Outcome(
        "EC-TAB", Exit.FAILED, "failed", "no disk\n" * 60, data={"changes": [{"key": "x"}]}
    )
    same = Outcome("hangar", status="no change", data={"changes": []})
    shipping.note(fleet, "converge", [same])
    assert links.by_name["hangar"].orders == []
    shipping.note(fleet, "converge", [changed, broken, same])
    assert links.by_name["hangar"].orders == ["record"]
    (entry,) = entries(fleet)
    assert entry["targets"]["EC-TAA"] == "changed"
    assert entry["targets"]["EC-TAB"].startswith("failed: no disk no disk")
    shipping.note(fleet, "converge", [changed])
    assert entries(fleet)[-1]["ended"] == "changed"


def test_a_hangar_that_cannot_be_told_is_no_failure_of_what_was_done(
    fleet: Session, links: Links, capsys: pytest.CaptureFixture[str]
) -> None:
    links.by_name = {}
    shipping.note(fleet, "converge", [Outcome("EC-TAA", data={"changes": [1]})])
    assert capsys.readouterr().err == "not in the audit log: hangar: no answer within 15 s\n"


def test_a_fleet_whose_hangar_is_not_there_yet_has_no_log(tmp_path: Path) -> None:
    inventory = Inventory("test", tmp_path / "inventory.yml", {}, {"EC-TAA": TAA})
    fleet = Session(inventory, (TAA,), Links({}))  # type: ignore[arg-type]
    shipping.note(fleet, "converge", [Outcome("EC-TAA", data={"changes": [1]})])
    with pytest.raises(UsageError, match="expected a host in the group hangar"):
        shipping.ledger_at_hangar(fleet)


def test_the_log_is_a_table_that_names_what_ended(
    fleet: Session, artifacts: list[Artifact]
) -> None:
    ship(fleet, artifacts[:1])
    begun, ended = table(entries(fleet))[1:]
    assert f"onboard {build(1).version[15:]}  " in begun
    assert begun.endswith("begun")
    assert f"onboard {build(1).version[15:]}  " in ended
    assert ended.endswith("2 hosts: 1 released, 1 off-line")
    many = {"event": "ended", "targets": {f"EC-TA{letter}": "x" for letter in "ABCDE"}}
    assert "EC-TAA, EC-TAB, EC-TAC and 2 more" in table([many, {"event": "damaged"}])[1]
    assert operator(fleet) in begun
