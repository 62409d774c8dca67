"""Bastions that the inventory does not describe: from the ssh_config it names, keys pinned or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import paramiko
import pytest

from fleet.connections import Connections
from fleet.errors import Exit, HostKeyChanged, UsageError
from fleet.inventory import Inventory, load
from fleet.ssh import Deadlines
from tests.fleet.keys import line_of, new_key, private_text, write_key
from tests.fleet.server import Loopback, ssh_server

QUICK = Deadlines(connect_s=1, banner_s=0.4, auth_s=2, channel_s=2)
INVENTORY = """\
fleet: lab
ssh_config: ops/ssh_config
groups: {aircraft: {roles: []}}
hosts:
  EC-TAA: {groups: [aircraft], address: 127.0.0.1, port: 22%s, via: inner}
"""
CONFIG = """\
Host *
  Port 2222
  UserKnownHostsFile known_hosts
  IdentityFile id_gate
Host outer
  HostName 192.0.2.1
  User out
Host inner
  HostName 192.0.2.2
  User in
  ProxyJump outer
"""


class Written:
    """An inventory, the ssh_config that it names, and what that names in turn."""

    def __init__(self, folder: Path) -> None:
        (folder / "ops").mkdir()
        self.path, self.config = folder / "inventory.yml", folder / "ops/ssh_config"
        self.known, self.identity = folder / "ops/known_hosts", folder / "ops/id_gate"
        self.path.write_text(INVENTORY % "")
        self.config.write_text(CONFIG)
        self.pin({"[192.0.2.1]:2222": new_key(), "[192.0.2.2]:2222": new_key()})
        self.identity.write_text(private_text())

    def pin(self, keys: dict[str, paramiko.PKey]) -> None:
        self.known.write_text("".join(f"{name} {line_of(key)}\n" for name, key in keys.items()))

    def load(self) -> Inventory:
        return load(self.path)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


def test_a_bastion_has_what_its_host_line_says_and_what_all_share(written: Written) -> None:
    fleet = written.load()
    outer, inner = fleet.way_to(fleet.hosts["EC-TAA"])
    assert (outer.name, outer.address, outer.port, outer.user) == (
        "outer",
        "192.0.2.1",
        2222,
        "out",
    )
    assert (inner.name, inner.via, inner.identity) == ("inner", "outer", written.identity)
    assert inner.facts["host_key"] in written.known.read_text()
    assert list(fleet.hosts) == ["EC-TAA"]


def test_nothing_is_read_that_the_inventory_does_not_name(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    (written.path.parent / ".ssh").mkdir()
    written.config.rename(written.path.parent / ".ssh/config")
    monkeypatch.setenv("HOME", str(written.path.parent))
    written.path.write_text(written.path.read_text().replace("ssh_config: ops/ssh_config\n", ""))
    with pytest.raises(UsageError, match=r":4: expected via to name a host, found 'inner'"):
        written.load()


def test_what_the_inventory_describes_is_not_looked_up(written: Written) -> None:
    text = written.path.read_text()
    written.path.write_text(f"{text}  outer: {{groups: [aircraft], address: 192.0.2.9}}\n")
    fleet = written.load()
    outer, _ = fleet.way_to(fleet.hosts["EC-TAA"])
    assert (outer.address, outer.port, outer.user) == ("192.0.2.9", 22, "ops")
    assert list(fleet.bastions) == ["inner"]


def test_a_bastion_may_be_kept_from_the_way_that_all_others_take(written: Written) -> None:
    written.config.write_text(
        CONFIG.replace("  ProxyJump outer\n", "").replace(
            "  User out", "  User out\n  ProxyJump none"
        )
        + "Host *\n  ProxyJump outer\n"
    )
    fleet = written.load()
    assert [hop.name for hop in fleet.way_to(fleet.hosts["EC-TAA"])] == ["outer", "inner"]


def test_a_pattern_makes_no_bastion(written: Written) -> None:
    written.config.write_text(CONFIG.replace("Host inner", "Host inn*"))
    with pytest.raises(UsageError, match="expected via to name a host, found 'inner'"):
        written.load()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  User out\n", "", "Host outer: expected User, found none"),
        ("ProxyJump outer", "ProxyJump me@outer:22", "one Host of this file, or a host of the inv"),
        ("ProxyJump outer", "ProxyCommand nc %h %p", "expected ProxyJump, found ProxyCommand"),
        ("  UserKnownHostsFile known_hosts\n", "", "expected UserKnownHostsFile, with the key"),
        ("known_hosts", "nowhere", "nowhere: cannot be read: No such file"),
        ("Port 2222", "Port 2223", "expected a key for [192.0.2.2]:2223 in"),
        ("Port 2222", "Port ssh", "expected a port, found 'ssh'"),
        ("Host *", "Host '*", "expected an OpenSSH configuration"),
        ("User out\n", "User out\n  ProxyJump inner\n", ":2: expected via to end at a host"),
        ("User out\n", "User out\n  ProxyJump EC-TAA\n", ":5: expected via to end at a host"),
    ],
)
def test_what_is_missing_is_told_before_anybody_is_called(
    old: str, new: str, said: str, written: Written
) -> None:
    assert old in CONFIG
    written.config.write_text(CONFIG.replace(old, new))
    with pytest.raises(UsageError) as caught:
        written.load()
    assert said in caught.value.what
    assert caught.value.exit_code == Exit.USAGE


def test_a_file_that_is_not_there_is_named(written: Written) -> None:
    written.config.unlink()
    with pytest.raises(UsageError, match="ssh_config: expected an OpenSSH configuration"):
        written.load()


def test_the_best_pinned_kind_is_the_one_that_must_be_shown(written: Written) -> None:
    best = new_key()
    place = "[192.0.2.1]:2222"
    pinned = f"{place} {line_of(paramiko.ECDSAKey.generate())}\n{place} {line_of(best)}\n"
    written.known.write_text(written.known.read_text().replace(place, "other") + pinned)
    assert written.load().bastions["outer"].facts["host_key"] == line_of(best)


class TestOnTheWay:
    @pytest.fixture
    def servers(self, written: Written) -> Iterator[dict[str, Loopback]]:
        identity = paramiko.Ed25519Key.from_private_key_file(str(written.identity))
        ops = write_key(written.path.parent)
        with ExitStack() as stack:
            servers = {
                name: stack.enter_context(ssh_server(key, users=(user,), host_key=new_key()))
                for name, user, key in (
                    ("outer", "out", identity),
                    ("inner", "in", identity),
                    ("EC-TAA", "ops", ops),
                )
            }
            ports = {name: server.port for name, server in servers.items()}
            text = CONFIG.replace("192.0.2.1", f"127.0.0.1\n  Port {ports['outer']}")
            text = text.replace("192.0.2.2", f"127.0.0.1\n  Port {ports['inner']}")
            written.config.write_text(text.replace("  Port 2222\n", ""))
            written.pin({f"[127.0.0.1]:{s.port}": s.host_key for s in servers.values()})
            line = written.path.read_text().replace("port: 22", f"port: {ports['EC-TAA']}")
            written.path.write_text(line)
            (written.path.parent / "enrolled").mkdir()
            facts = f"host_key: {servers['EC-TAA'].host_key_line}\n"
            (written.path.parent / "enrolled/EC-TAA.yml").write_text(facts)
            yield servers

    def test_each_bastion_is_entered_with_its_own_account_and_key(
        self, written: Written, servers: dict[str, Loopback]
    ) -> None:
        fleet = written.load()
        with Connections(fleet, deadlines=QUICK) as connections:
            done = connections.to(fleet.hosts["EC-TAA"]).run(["echo", "in"], timeout_s=5)
        assert done.stdout == b"in\n"
        assert {name: each.logins for name, each in servers.items()} == {
            "outer": ["out"], "inner": ["in"], "EC-TAA": ["ops"],
        }  # fmt: skip

    def test_connections_to_the_fleet_anew_ask_for_no_key_again(
        self, written: Written, servers: dict[str, Loopback]
    ) -> None:
        with Connections(written.load(), deadlines=QUICK) as first:
            written.identity.unlink()
            fleet = written.load()
            with first.renewed(fleet) as connections:
                connections.to(fleet.hosts["EC-TAA"]).open()
        assert servers["inner"].logins == ["in"]

    def test_a_bastion_that_shows_another_key_is_refused(
        self, written: Written, servers: dict[str, Loopback]
    ) -> None:
        written.pin({f"[127.0.0.1]:{s.port}": new_key() for s in servers.values()})
        fleet = written.load()
        with (
            Connections(fleet, deadlines=QUICK) as connections,
            pytest.raises(HostKeyChanged, match=r"outer: .* pinned in its UserKnown") as caught,
        ):
            connections.to(fleet.hosts["EC-TAA"]).open()
        assert "init-machine" not in caught.value.remedy
        assert servers["outer"].logins == []
