"""First contact: the order that makes an interruption harmless, and who is let in."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paramiko
import pytest

import fleet.converge
import fleet.enrol
from fleet import enrol_script, init_machine
from fleet.connections import Connections
from fleet.enrol import Enrolment, Place, write_facts
from fleet.errors import AccessRefused, Exit, FleetError, HostKeyChanged, UsageError
from fleet.init_machine import parse_place
from fleet.inventory import load, read_facts
from fleet.report import Outcome
from tests.fleet.keys import line_of, new_key, write_key
from tests.fleet.server import Loopback, ssh_server

TOWER_KEY = "A+X1zx3hMzlEzjpt5fC4b9/DcnQW54M7CbWKA03E+AM="
NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


class Bare:
    """A bare host: what the scripts would have done there is remembered, not done."""

    def __init__(self) -> None:
        self.sync_key = line_of(new_key())
        self.steps: list[str] = []
        self.prepared = False
        self.sudo_works = True

    def __call__(self, command: str, stdin: bytes) -> tuple[int, bytes, bytes]:
        if b"make_ssh_key" in stdin:
            self.steps.append(f"prepare {command}")
            changed = b"" if self.prepared else b"changed account ops\n"
            self.prepared = True
            facts = f"fact ssh_key {self.sync_key} EC-TAA\nfact tower_key {TOWER_KEY}\n"
            return 0, changed + facts.encode(), b""
        if b"PermitRootLogin" in stdin:
            self.steps.append(f"close {command}")
            return 0, b"", b""
        self.steps.append(command)
        return (0, b"", b"") if self.sudo_works else (1, b"", b"sudo: a password is required\n")


@pytest.fixture
def bare() -> Bare:
    return Bare()


class World:
    """An inventory with a hangar, and a server that answers as the host that is to be enrolled."""

    def __init__(self, folder: Path, server: Loopback, key: paramiko.PKey) -> None:
        self.server, self.key = server, key
        self.converged: list[str] = []
        self.path = folder / "inventory.yml"
        self.path.write_text(
            "fleet: lab\n"
            "groups: {hangar: {roles: [base, tower]}, aircraft: {roles: [base, tower]}}\n"
            "hosts:\n"
            "  hangar: {groups: [hangar], address: 127.0.0.9, tower: 10.1.0.1}\n"
            f"  EC-TAA: {{groups: [aircraft], address: 127.0.0.1, port: {server.port}}}\n"
        )

    def enrolment(self, **changes: Any) -> Enrolment:
        inventory = load(self.path)
        values: dict[str, Any] = {
            "host": inventory.hosts["EC-TAA"],
            "place": Place("root", "127.0.0.1", self.server.port),
            "fingerprint": self.server.host_key.fingerprint,
            "confirm": lambda shown: False,
            "connections": Connections(inventory, self.key),
            "say": lambda text: None,
            "now": lambda: NOW,
        }
        return Enrolment(inventory, **{**values, **changes})

    @property
    def facts(self) -> dict[str, str]:
        return read_facts(self.path.parent / "enrolled/EC-TAA.yml")


@pytest.fixture
def world(tmp_path: Path, bare: Bare, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    key = write_key(tmp_path)
    with ssh_server(key, users=("root", "ops"), host_key=new_key()) as server:
        server.answer = bare
        made = World(tmp_path, server, key)

        def converge(connection: Any, *_: Any) -> Outcome:
            made.converged.append(f"{connection.name} as {connection.endpoint.user}")
            return Outcome(connection.name, data={"changes": []})

        monkeypatch.setattr(fleet.converge, "on_host", converge)
        monkeypatch.setattr(fleet.enrol, "catalog", lambda *_: None)
        yield made


def test_ops_come_in_by_themselves_before_root_is_shut_out(world: World, bare: Bare) -> None:
    outcome = world.enrolment().run()
    assert bare.steps == ["prepare sh -s", "sudo -n true", "close sudo -n sh -s"]
    assert world.converged == ["EC-TAA as ops"]
    assert (outcome.code, outcome.status) == (Exit.DONE, "enrolled")


def test_what_is_public_is_written_beside_the_inventory(world: World, bare: Bare) -> None:
    world.enrolment().run()
    assert world.facts == {
        "host_key": world.server.host_key_line,
        "ssh_key": f"{bare.sync_key} EC-TAA",
        "tower_key": TOWER_KEY,
        "enrolled_at": "2026-11-23T02:00:00Z",
    }


def test_a_second_time_changes_nothing(world: World) -> None:
    world.enrolment().run()
    before = (world.path.parent / "enrolled/EC-TAA.yml").read_bytes()
    again = world.enrolment(fingerprint=None, now=lambda: datetime(2027, 1, 1, tzinfo=UTC)).run()
    assert (again.code, again.status) == (Exit.DONE, "no change")
    assert (world.path.parent / "enrolled/EC-TAA.yml").read_bytes() == before


def test_root_stays_when_ops_have_no_sudo(world: World, bare: Bare) -> None:
    bare.sudo_works = False
    with pytest.raises(FleetError, match="EC-TAA: sudo does not let ops@"):
        world.enrolment().run()
    assert not any(step.startswith("close") for step in bare.steps)
    assert world.facts == {}


def test_when_root_is_shut_out_already_ops_go_in(tmp_path: Path, world: World, bare: Bare) -> None:
    with ssh_server(world.key, users=("ops",), host_key=world.server.host_key) as closed:
        closed.answer = bare
        place = Place("root", "127.0.0.1", closed.port)
        outcome = world.enrolment(place=place).run()
    assert bare.steps == ["prepare sudo -n sh -s", "close sudo -n sh -s"]
    assert outcome.status == "enrolled"


def test_a_wrong_fingerprint_stops_before_we_log_in(world: World) -> None:
    with pytest.raises(
        HostKeyChanged, match="expected the fingerprint SHA256:other, found SHA256:"
    ):
        world.enrolment(fingerprint="SHA256:other").run()
    assert world.server.logins == []


def test_a_fingerprint_that_is_not_confirmed_stops_too(world: World) -> None:
    shown: list[str] = []

    def no(fingerprint: str) -> bool:
        shown.append(fingerprint)
        return False

    with pytest.raises(AccessRefused, match="was not confirmed"):
        world.enrolment(fingerprint=None, confirm=no).run()
    assert shown == [world.server.host_key.fingerprint]
    assert world.server.logins == []


@pytest.mark.parametrize(("typed", "ours"), [("yes\n", True), ("no\n", False), ("", False)])
def test_the_question_does_not_go_where_the_result_goes(
    typed: str, ours: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert init_machine.ask("EC-TAA", "10.0.0.1", "SHA256:x") is ours
    said = capsys.readouterr()
    assert said.out == ""
    assert "EC-TAA at 10.0.0.1 shows the fingerprint SHA256:x\n" in said.err


def test_a_step_is_taken_though_nobody_reads_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    out = Gone()
    monkeypatch.setattr("sys.stdout", out)
    init_machine.step("EC-TAA", "making the ops account")
    assert out.getvalue() == "EC-TAA: making the ops account\n"


def test_a_fingerprint_that_is_confirmed_is_pinned(world: World) -> None:
    world.enrolment(fingerprint=None, confirm=lambda shown: True).run()
    assert world.facts["host_key"] == world.server.host_key_line


def test_a_host_that_was_enrolled_must_still_show_the_pinned_key(world: World) -> None:
    write_facts(world.path.parent / "enrolled/EC-TAA.yml", {"host_key": line_of(new_key())})
    with pytest.raises(HostKeyChanged, match="another key than the one pinned"):
        world.enrolment(fingerprint=None).run()
    assert world.server.logins == []


def test_a_fingerprint_that_is_not_the_pinned_keys_is_wrong_usage(world: World) -> None:
    world.enrolment().run()
    world.server.transports.clear()
    other = new_key().fingerprint
    with pytest.raises(UsageError, match="expected --fingerprint to be that of the key") as caught:
        world.enrolment(fingerprint=other).run()
    assert world.server.host_key.fingerprint in caught.value.what
    assert other in caught.value.what
    assert "enrolled/EC-TAA.yml" in caught.value.remedy
    assert world.server.transports == []
    assert world.enrolment().run().status == "no change"


def test_facts_outlive_a_power_cut_with_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        "os.fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}"))
    )
    path = tmp_path / "enrolled/EC-TAA.yml"
    write_facts(path, {"host_key": "ssh-ed25519 AAAA"})
    assert path.read_text().splitlines()[1:] == ["host_key: ssh-ed25519 AAAA"]
    assert synced[-1] == str(path.parent), "the rename is durable only with its folder"


@pytest.mark.parametrize(
    ("said", "expected"),
    [(b"fact tower_key short\n", "expected its tower key"), (b"fact evil x\n", "its evil")],
)
def test_what_the_host_says_of_its_keys_is_checked(
    world: World, said: bytes, expected: str
) -> None:
    world.server.answer = lambda command, stdin: (0, said, b"")
    with pytest.raises(FleetError, match=expected):
        world.enrolment().run()
    assert world.facts == {}


def test_a_failed_step_says_which_and_why_and_nothing_is_written(world: World) -> None:
    world.server.answer = lambda command, stdin: (100, b"", b"E: Unable to locate package sudo\n")
    with pytest.raises(FleetError) as caught:
        world.enrolment().run()
    assert "making the ops account" in caught.value.what
    assert "Unable to locate package sudo" in caught.value.what
    assert world.facts == {}


def test_the_hangar_comes_first(world: World) -> None:
    text = world.path.read_text().replace("address: 127.0.0.1,", "address: 127.0.0.1, via: hangar,")
    world.path.write_text(text)
    with pytest.raises(UsageError, match="reached through hangar, which is not enrolled") as caught:
        world.enrolment().run()
    assert "--as hangar" in caught.value.remedy
    assert world.server.logins == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("root@10.0.0.1:2222", Place("root", "10.0.0.1", 2222)),
        ("10.0.0.1", Place("root", "10.0.0.1", 22)),
        ("ops@host.example", Place("ops", "host.example", 22)),
        ("root@[fe80::1]:22", Place("root", "fe80::1", 22)),
    ],
)
def test_a_place_is_user_host_and_port(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "root@", "a b", "h:0", "h:70000", "-oProxy", "r@h:22:22"])
def test_a_place_that_is_none_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="expected user@host:port"):
        parse_place(text)


@pytest.mark.parametrize(
    "script",
    [enrol_script.prepare("EC-TAA", "ssh-ed25519 AAAA it's", True), enrol_script.close()],
)
def test_the_scripts_are_good_shell(script: bytes) -> None:
    done = subprocess.run(["sh", "-n"], input=script, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def fake(folder: Path, name: str, line: str) -> None:
    """A program of that name which adds its words to a log, and then does that."""
    (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >>"{folder}/log"\n{line}\n')
    (folder / name).chmod(0o755)


def test_what_a_power_cut_left_of_dpkg_is_mended_and_its_lock_is_waited_for(tmp_path: Path) -> None:
    fake(tmp_path, "apt-get", f'[ -e "{tmp_path}/whole" ] || exit 100')
    fake(tmp_path, "dpkg", f'touch "{tmp_path}/whole"')
    script = f'{enrol_script.COMMON}PATH="{tmp_path}:$PATH"\n'
    script += enrol_script._PREPARE.partition("main() {")[0] + "install_package sudo\n"
    done = subprocess.run(["sh", "-s"], input=script.encode(), capture_output=True, check=True)
    assert done.stdout == b"changed package sudo\n"
    log = (tmp_path / "log").read_text().splitlines()
    install = "apt-get -qq -y -o DPkg::Lock::Timeout=120 install --no-install-recommends sudo"
    update = "apt-get -qq -y -o DPkg::Lock::Timeout=120 update"
    assert log == [install, "dpkg --configure -a", update, install]


def test_the_scripts_replace_a_file_only_when_it_differs(tmp_path: Path) -> None:
    def run(text: str) -> bytes:
        script = enrol_script.COMMON.encode() + text.encode()
        return subprocess.run(["sh", "-s"], input=script, capture_output=True, check=True).stdout

    place = f"if echo new | place {tmp_path}/file 0640; then did file; fi"
    assert run(place) == b"changed file\n"
    assert run(place) == b""
    assert (tmp_path / "file").read_text() == "new\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
