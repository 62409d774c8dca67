"""`./fab …` as ops type it: the right exit code, a sentence with the remedy, and nothing touched in vain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from fleet.program import Commands
from fleet.ssh import Deadlines
from tests.fleet.keys import line_of, new_key, write_key
from tests.fleet.server import Loopback, ssh_server

TOP = Path(__file__).resolve().parents[2]
COMMANDS = (
    "audit",
    "campaign.abort", "campaign.close", "campaign.pause", "campaign.resume", "campaign.rollback",
    "campaign.start", "campaign.status",
    "converge", "deploy", "deploy-aircraft", "deploy-hangar", "deploy-html5", "drift",
    "deploy-maps-to-server", "init-machine", "inventory", "logs", "package-maps",
    "quarantine.drop", "quarantine.list", "quarantine.retry", "quarantine.show", "releases", "retire",
    "restore", "rollback", "rotate-keys", "status", "sync", "usage",
)  # fmt: skip


class Fleet:
    """An inventory of one host on loopback, and one that is away."""

    def __init__(self, folder: Path, server: Loopback, pinned: str) -> None:
        self.server, self.path = server, folder / "inventory.yml"
        self.path.write_text(
            "fleet: test\n"
            "groups: {aircraft: {roles: []}}\n"
            "hosts:\n"
            f"  EC-TAA: {{groups: [aircraft], address: 127.0.0.1, port: {server.port}}}\n"
            "  EC-TAB: {groups: [aircraft], address: 127.0.0.1, port: 1}\n"
        )
        (folder / "enrolled").mkdir()
        for name in ("EC-TAA", "EC-TAB"):
            (folder / f"enrolled/{name}.yml").write_text(f"host_key: {pinned}\n")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> paramiko.PKey:
    return write_key(tmp_path_factory.mktemp("ops"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Loopback]:
    with ssh_server(write_key(tmp_path), host_key=new_key()) as running:
        running.answer = lambda command, stdin: (0, b"one line\n", b"")
        yield running


@pytest.fixture
def fleet(tmp_path: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.delenv("TURNAROUND_KEYS", raising=False)
    made = Fleet(tmp_path, server, server.host_key_line)
    monkeypatch.setenv("FLEET_INVENTORY", str(made.path))
    return made


def fab(*words: str) -> int:
    return Commands("fab").main(["fab", *words])


def test_usage_names_every_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fleet.program", "fab", "usage"],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        check=True,
    )
    named = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("  fab ")}
    assert set(COMMANDS) <= named


def test_usage_does_not_wait_for_an_ssh_library() -> None:
    code = "import fabfile, sys; print([m for m in ('paramiko', 'fabric', 'rich') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", ["converge", "drift", "logs", "sync"])
def test_an_unknown_target_is_64_with_the_known_names_and_nobody_is_called(
    command: str, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fab(command, "--target", "EC-TAC") == 64
    said = capsys.readouterr().err
    assert "there is no host or group 'EC-TAC'" in said
    assert "EC-TAA, EC-TAB" in said
    assert fleet.server.transports == []


def test_a_limit_keeps_the_others_from_being_called(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fab("logs", "--target", "all", "--limit", "EC-*,!EC-TAB") == 0
    assert "EC-TAB" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    ["converge", "drift", "logs", "sync", "releases", "rollback", "deploy", "deploy-aircraft",
     "deploy-html5", "deploy-hangar"],
)  # fmt: skip
def test_a_limit_that_leaves_nothing_is_64_and_nobody_is_called(
    command: str, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fab(command, "--target", "EC-TAA", "--limit", "EC-TAB") == 64
    assert "--limit EC-TAB leaves no host of the target 'EC-TAA'" in capsys.readouterr().err
    assert fleet.server.transports == []


def test_a_malformed_inventory_is_64_with_file_and_line(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.path.write_text(fleet.path.read_text().replace("port: 1}", "port: one}"))
    assert fab("converge", "--target", "all") == 64
    said = capsys.readouterr().err
    assert f"{fleet.path}:5: expected a port, 1 to 65535, found 'one'" in said
    assert fleet.server.transports == []


def test_an_inventory_that_the_roles_cannot_use_is_64_and_nobody_is_called(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.path.write_text(fleet.path.read_text().replace("{roles: []}", "{roles: [tower]}"))
    assert fab("converge", "--target", "all") == 64
    said = capsys.readouterr().err
    assert f"fab: {fleet.path}:4: expected a host in the group hangar" in said
    assert "a fault in turnaround" not in said
    assert fleet.server.transports == []


def test_a_missing_key_of_ops_is_64(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    (fleet.path.parent / "keys/ops_ed25519").unlink()
    assert fab("logs", "--target", "all") == 64
    assert "there is no key of ops" in capsys.readouterr().err


def test_a_host_that_answers_is_0(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert fab("logs", "--target", "EC-TAA") == 0
    assert "EC-TAA: one line" in capsys.readouterr().out


def test_a_host_that_is_off_line_is_3_and_says_that_nothing_is_queued(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fab("logs", "--target", "all", "--json") == 3
    lines = {
        (row := json.loads(line))["host"]: row for line in capsys.readouterr().out.splitlines()
    }
    assert lines["EC-TAA"]["exit"] == 0
    assert lines["EC-TAB"]["status"] == "off-line"
    assert "nothing is queued" in lines["EC-TAB"]["remedy"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["converge"], "converge"),
        (["converge", "--check"], "drift"),
        (["drift"], "drift"),
        (["sync"], "sync"),
        (["rollback"], "rollback"),
    ],
)
def test_what_a_command_did_to_hosts_is_kept_and_its_place_is_told_last(
    words: list[str], name: str, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fab(*words, "--target", "all")
    (run,) = (fleet.path.parent / "logs").iterdir()
    assert f"-{name}-" in run.name
    assert capsys.readouterr().out.splitlines()[-1] == f"log: {run}"
    assert sorted(each.name for each in run.iterdir()) == [
        "EC-TAA.log", "EC-TAB.log", "summary.json",
    ]  # fmt: skip


def test_what_only_looks_keeps_no_log(fleet: Fleet) -> None:
    fab("logs", "--target", "all")
    fab("releases", "--target", "all")
    assert not (fleet.path.parent / "logs").exists()


def test_a_host_key_that_changed_is_4_with_both_fingerprints(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    other = new_key()
    (fleet.path.parent / "enrolled/EC-TAA.yml").write_text(f"host_key: {line_of(other)}\n")
    assert fab("converge", "--target", "EC-TAA", "--check") == 4
    said = capsys.readouterr().out
    assert other.fingerprint in said
    assert fleet.server.host_key.fingerprint in said
    assert "init-machine" in said
    assert fleet.server.logins == []


def test_failed_goes_over_off_line(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.server.answer = lambda command, stdin: (1, b"", b"no such unit\n")
    assert fab("logs", "--target", "all") == 4
    assert "no such unit" in capsys.readouterr().out


def test_a_host_that_answers_nonsense_to_the_engine_is_4(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fab("converge", "--target", "EC-TAA") == 4
    assert "EC-TAA: failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "root@127.0.0.1:1", "--as", "EC-TAZ", "--yes"], "there is no host 'EC-TAZ'"),
        (["--host", "root@", "--as", "EC-TAA", "--yes"], "expected user@host:port"),
        (["--host", "h", "--as", "EC-TAA", "--fingerprint", "MD5:1"], "expected SHA256:"),
        (["--as", "EC-TAA"], "needs --host"),
    ],
)
def test_first_contact_checks_its_words_first(
    words: list[str], said: str, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fab("init-machine", *words) == 64
    assert said in capsys.readouterr().err


def test_first_contact_with_a_host_that_is_away_is_3(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fab("init-machine", "--host", "root@127.0.0.1:1", "--as", "EC-TAB", "--yes") == 3
    assert "EC-TAB: off-line" in capsys.readouterr().out


def test_the_inventory_explains_where_a_variable_comes_from(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    text = fleet.path.read_text().replace("{roles: []}", "{vars: {airline: TA}}")
    fleet.path.write_text(f"vars: {{airline: XX}}\n{text}")
    assert fab("inventory", "--host", "EC-TAA", "--explain") == 0
    assert (
        f'  airline = "TA"    # group aircraft ({fleet.path}:3)\n'
        f'    over "XX"    # all ({fleet.path}:1)\n'
    ) in capsys.readouterr().out
    assert fab("inventory", "--json") == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["host"], first["vars"]) == ("EC-TAA", {"airline": "TA"})


def test_deadlines_are_short_enough_to_wait_for() -> None:
    assert max(vars(Deadlines()).values()) <= 30


@pytest.mark.parametrize(
    "words",
    [
        ["start", "--artifact", "onboard"],
        ["start", "--artifact", "hangar@HEAD"],
        ["start", "--artifact", "onboard@HEAD", "--waves", "canary,50%"],
        ["start", "--artifact", "onboard@HEAD", "--gate", "healthy"],
        ["start", "--artifact", "onboard@HEAD", "--max-failed", "some"],
        ["start", "--artifact", "onboard@HEAD", "--deadline", "0"],
        ["start", "--artifact", "onboard@HEAD", "--at-once", "17"],
        ["start", "--artifact", "onboard@HEAD", "--target", "EC-TAX"],
        ["start", "--artifact", "onboard@HEAD", "--name", "A B"],
        ["start", "--artifact", "onboard@no-such-revision"],
        ["start"],
        ["pause"],
        ["pause", "--name", "../x"],
        ["resume", "--name", "x", "--gate", "0%"],
        ["rollback", "--name", "x"],
        ["rollback", "--name", "x", "--wave", "second"],
    ],
)
def test_wrong_words_of_a_campaign_are_64_and_nobody_is_called(
    words: list[str], fleet: Fleet
) -> None:
    command, *rest = words
    assert fab(f"campaign.{command}", *rest) == 64
    assert fleet.server.transports == []
