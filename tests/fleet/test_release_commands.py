"""Deploy, releases and rollback on many hosts: who gets what, in which order, and what is told."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet import release_commands
from fleet.artifact import Artifact
from fleet.errors import Exit, LinkLost, Offline, UsageError
from fleet.inventory import Host as Inventoried
from fleet.program import Commands
from fleet.release import Outcome
from fleet.report import JsonReporter, PlainReporter
from tests.fleet.aboard.host import Built, Host, build, new_host
from tests.fleet.aboard.link import Link, save

PAGES = {"templates/index.html": b"<p>"}


def inventoried(name: str, group: str = "aircraft") -> Inventoried:
    return Inventoried(name=name, groups=(group,), roles=(), address="192.0.2.1")


ONE, TWO, HANGAR = inventoried("EC-TAA"), inventoried("EC-TAB"), inventoried("hangar", "hangar")


@dataclass
class Links:
    """The ways to two aircraft; one that is not in it is in the air."""

    by_name: dict[str, Link]

    def to(self, host: Inventoried) -> Link:
        if host.name not in self.by_name:
            raise Offline(f"{host.name}: no answer within 15 s")
        return self.by_name[host.name]

    def hang_up(self, host: Inventoried) -> None:
        pass


@pytest.fixture
def links() -> Iterator[Links]:
    hosts = {name: new_host() for name in ("EC-TAA", "EC-TAB")}
    yield Links({name: Link(host, name) for name, host in hosts.items()})
    for host in hosts.values():
        host.close()


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Built], Artifact]:
    return lambda built: save(built, tmp_path)


Saved = Callable[[Built], Artifact]


@pytest.fixture
def both(saved: Saved) -> list[Artifact]:
    return [saved(build(1)), saved(build(1, "html5", PAGES))]


def host_of(links: Links, name: str) -> Host:
    return links.by_name[name].host


def test_all_means_those_of_the_group() -> None:
    everyone = (HANGAR, ONE, TWO)
    chosen = release_commands.in_group(everyone, "all", "aircraft", "deploy-hangar")
    assert chosen == (ONE, TWO)
    for target in ("all", "!EC-TAX, all", "[hE]*"):
        assert release_commands.in_group(everyone, target, "hangar", "deploy") == (HANGAR,)


@pytest.mark.parametrize("target", ["hangar", "hangar,EC-TAA", "all,!EC-TAA,!EC-TAB"])
def test_a_host_of_another_kind_is_wrong_usage(target: str) -> None:
    hosts = (HANGAR, ONE) if "," in target and "all" not in target else (HANGAR,)
    with pytest.raises(UsageError, match="names hangar, which is not of the group") as caught:
        release_commands.in_group(hosts, target, "aircraft", "deploy-hangar")
    assert "fab deploy-hangar" in caught.value.remedy


def test_every_host_gets_application_and_portal(links: Links, both: list[Artifact]) -> None:
    out = io.StringIO()
    outcomes = release_commands.ship([ONE, TWO], links, both, JsonReporter(out))
    assert [(one.host, one.code, one.status) for one in outcomes] == [
        ("EC-TAA", Exit.DONE, "released"),
        ("EC-TAB", Exit.DONE, "released"),
    ]
    for name in ("EC-TAA", "EC-TAB"):
        assert host_of(links, name).current("html5") == both[1].manifest.version
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {line["host"] for line in told} == {"EC-TAA", "EC-TAB"}
    shipped = told[0]["releases"][0]
    assert (shipped["kind"], shipped["result"], shipped["files"]) == ("onboard", "confirmed", 3)
    assert shipped["bytes"] > 0
    assert "unpack" in shipped["steps"]


def test_a_second_deploy_changes_nothing_and_says_so(links: Links, both: list[Artifact]) -> None:
    release_commands.ship([ONE], links, both, PlainReporter(io.StringIO()))
    out = io.StringIO()
    (outcome,) = release_commands.ship([ONE], links, both, PlainReporter(out))
    assert (outcome.code, outcome.status) == (Exit.DONE, "no change")
    assert f"onboard {both[0].manifest.version} is current" in out.getvalue()


def test_a_bad_application_keeps_its_portal_from_that_host_only(
    links: Links, both: list[Artifact]
) -> None:
    host_of(links, "EC-TAA").spoilt.add(both[0].manifest.version)
    out = io.StringIO()
    bad, good = release_commands.ship([ONE, TWO], links, both, PlainReporter(out))
    assert (bad.code, bad.status) == (Exit.FAILED, "returned")
    assert good.code == Exit.DONE
    assert host_of(links, "EC-TAA").current("html5") is None
    assert "EC-TAA: onboard: /health answered 503" in out.getvalue()
    assert "the release before serves" in out.getvalue()


def test_a_host_that_is_off_line_is_no_failure(links: Links, both: list[Artifact]) -> None:
    away = inventoried("EC-TAC")
    outcomes = release_commands.ship([ONE, away], links, both, PlainReporter(io.StringIO()))
    assert [one.code for one in outcomes] == [Exit.DONE, Exit.OFFLINE]


def test_a_link_that_breaks_is_off_line_and_the_next_run_finishes(
    links: Links, both: list[Artifact]
) -> None:
    links.by_name["EC-TAA"].cut_after = 1000
    (outcome,) = release_commands.ship([ONE], links, both, PlainReporter(io.StringIO()))
    assert outcome.code == Exit.OFFLINE == LinkLost.exit_code
    links.by_name["EC-TAA"].cut_after = None
    (outcome,) = release_commands.ship([ONE], links, both, PlainReporter(io.StringIO()))
    assert outcome.status == "released"


def test_a_rollback_takes_back_what_the_last_deploy_brought(links: Links, saved: Saved) -> None:
    def ship(*built: Built) -> None:
        artifacts = [saved(one) for one in built]
        release_commands.ship([ONE], links, artifacts, PlainReporter(io.StringIO()))

    pages = {number: {"templates/index.html": b"<p>%d" % number} for number in (1, 2, 3)}
    for number in (1, 2):
        ship(build(number), build(number, "html5", pages[number]))
    host = host_of(links, "EC-TAA")
    host.clock_s += 60
    ship(build(3, "html5", pages[3]))

    (outcome,) = release_commands.go_back([ONE], links, "", PlainReporter(io.StringIO()))
    assert outcome.code == Exit.DONE
    assert (host.current(), host.current("html5")) == (build(2).version, build(2).version)

    host.clock_s += 60
    (outcome,) = release_commands.go_back([ONE], links, "", PlainReporter(io.StringIO()))
    assert outcome.code == Exit.DONE
    assert (host.current(), host.current("html5")) == (build(1).version, build(1).version)

    (outcome,) = release_commands.go_back([ONE], links, "onboard", PlainReporter(io.StringIO()))
    assert (outcome.code, outcome.status) == (Exit.FAILED, "failed")
    assert "no good release of onboard" in outcome.lines[0]
    assert outcome.remedy == "what is current goes on serving"


def test_a_rollback_stops_at_the_first_kind_that_cannot_go_back(links: Links, saved: Saved) -> None:
    for number in (1, 2):
        pages = build(number, "html5", {"templates/index.html": b"<p>%d" % number})
        artifacts = [saved(build(number)), saved(pages)]
        release_commands.ship([ONE], links, artifacts, PlainReporter(io.StringIO()))
    host = host_of(links, "EC-TAA")
    host.spoilt.add(build(1).version)
    (outcome,) = release_commands.go_back([ONE], links, "", PlainReporter(io.StringIO()))
    assert (outcome.code, outcome.status) == (Exit.FAILED, "returned")
    assert (host.current(), host.current("html5")) == (build(2).version, build(2).version)


def test_a_rollback_of_a_host_without_releases(links: Links) -> None:
    (outcome,) = release_commands.go_back([ONE], links, "", PlainReporter(io.StringIO()))
    assert (outcome.code, outcome.detail) == (
        Exit.FAILED,
        "it has no release to go back from",
    )


def test_a_rollback_of_an_unknown_kind_is_wrong_usage(links: Links) -> None:
    with pytest.raises(UsageError, match="no such kind of release: maps"):
        release_commands.go_back([ONE], links, "maps", PlainReporter(io.StringIO()))


def test_releases_show_what_is_current_and_why_one_was_bad(links: Links, saved: Saved) -> None:
    host_of(links, "EC-TAA").ill.add(build(2).version)
    artifacts = [saved(build(1)), saved(build(2))]
    release_commands.ship([ONE], links, artifacts, PlainReporter(io.StringIO()))
    (outcome,) = release_commands.show([ONE], links, PlainReporter(io.StringIO()))
    assert (outcome.status, outcome.detail) == ("listed", "2 releases")
    bad, good = outcome.lines
    assert bad.startswith(f"  onboard {build(2).version}  rolled back")
    assert "/health answered 503" in bad
    assert good.startswith(f"* onboard {build(1).version}  confirmed")


def test_a_failed_release_names_what_to_do() -> None:
    failed = Outcome("EC-TAA", "onboard", None, "failed", reason="disk full")
    told = release_commands.told("EC-TAA", [failed])
    assert (told.code, told.lines) == (Exit.FAILED, ("onboard: disk full",))
    assert "run the same command again" in told.remedy


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Two hosts that nobody may reach, and the keys of ops."""
    (tmp_path / "keys").mkdir()
    for name in ("ops_ed25519", "signing_ed25519"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "keys" / name)]
        subprocess.run(argv, check=True, timeout=20)
    path = tmp_path / "inventory.yml"
    path.write_text(
        "fleet: test\n"
        "groups: {hangar: {roles: []}, aircraft: {roles: []}}\n"
        "hosts:\n"
        "  hangar: {groups: [hangar], address: 192.0.2.1}\n"
        "  EC-TAA: {groups: [aircraft], address: 192.0.2.2}\n"
    )
    return path


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("deploy --target EC-TAA --aircraft-rev no-such", "'no-such' is no revision"),
        ("deploy --target EC-TAA --html5-rev no-such", "'no-such' is no revision"),
        ("deploy-hangar --target hangar --rev no-such", "'no-such' is no revision"),
        ("deploy-aircraft --target hangar", "names hangar, which is not of the group aircraft"),
        ("deploy-hangar --target all,!hangar", "names EC-TAA, which is not of the group hangar"),
        ("deploy --target EC-TAX", "no host or group 'EC-TAX'"),
        ("rollback --target EC-TAA --kind maps", "no such kind of release: maps"),
        ("releases", "needs --target"),
    ],
)
def test_wrong_usage_ends_with_64_before_any_host_is_touched(
    inventory: Path, capsys: pytest.CaptureFixture[str], command: str, said: str
) -> None:
    words = command.split()
    if "--target" in words:
        words += ["--inventory", str(inventory)]
    assert Commands("fab").main(["fab", *words]) == Exit.USAGE
    assert said in capsys.readouterr().err


def test_without_a_signing_key_nothing_is_built(
    inventory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in inventory.parent.glob("keys/signing*"):
        path.unlink()
    words = ["deploy", "--target", "EC-TAA", "--inventory", str(inventory)]
    assert Commands("fab").main(["fab", *words]) == Exit.USAGE
    said = capsys.readouterr().err
    assert "there is no signing key at" in said
    assert "then add" in said
    assert "release_signers" in said
    assert "built" not in said
