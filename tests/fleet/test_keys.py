"""The key of ops: a file of any kind, one behind a passphrase, one that an agent holds; with real OpenSSH."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fleet import keys
from fleet.connections import Connections
from fleet.errors import AccessRefused, UsageError
from fleet.inventory import Host, Inventory
from fleet.keys import Held, of_ops
from tests.fleet.sshd import Sshd, make_key, ssh_agent, sshd

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Somebody at a terminal who types this; what was asked is in the list."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def types(text: str) -> list[str]:
        asked: list[str] = []
        monkeypatch.setattr(sys, "stdin", Terminal())
        monkeypatch.setattr(keys.getpass, "getpass", lambda prompt: asked.append(prompt) or text)
        return asked

    return types


def hosts_at(server: Sshd, count: int = 1) -> Inventory:
    facts = {"host_key": server.host_key_line}
    names = [f"EC-T{number:02}" for number in range(count)]
    hosts = {
        name: Host(name, (), (), "127.0.0.1", server.port, server.user, facts=facts)
        for name in names
    }
    return Inventory("lab", Path("inventory.yml"), {}, hosts)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_of_any_kind_opens_a_real_host(kind: str, tmp_path: Path) -> None:
    line = make_key(tmp_path / f"ops_{kind}", kind)
    with sshd(tmp_path / "sshd", line) as server:
        fleet = hosts_at(server)
        with Connections(fleet, of_ops(tmp_path)) as connections:
            done = connections.to(fleet.hosts["EC-T00"]).run(["echo", "in"], timeout_s=10)
    assert done.stdout == b"in\n"


def test_ed25519_is_looked_for_first(tmp_path: Path) -> None:
    make_key(tmp_path / "ops_rsa", "rsa")
    make_key(tmp_path / "ops_ed25519")
    assert of_ops(tmp_path).get_name() == "ssh-ed25519"


def test_a_passphrase_is_asked_once_however_many_hosts_there_are(
    tmp_path: Path, typed: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = make_key(tmp_path / "keys/ops_ed25519", passphrase="good pass")
    monkeypatch.setenv("TURNAROUND_KEYS", str(tmp_path / "keys"))
    asked = typed("good pass")
    with sshd(tmp_path / "sshd", line) as server:
        fleet = hosts_at(server, 3)
        with Connections(fleet) as connections:
            for host in fleet.hosts.values():
                connections.to(host).open()
    assert asked == [f"passphrase of {tmp_path}/keys/ops_ed25519: "]


def test_a_wrong_passphrase_is_wrong_usage(
    tmp_path: Path, typed: Callable[[str], list[str]]
) -> None:
    make_key(tmp_path / "ops_ed25519", passphrase="good pass")
    typed("bad pass")
    with pytest.raises(UsageError, match="ops_ed25519: expected another passphrase"):
        of_ops(tmp_path)


def test_without_a_terminal_a_passphrase_is_not_asked_for(tmp_path: Path) -> None:
    make_key(tmp_path / "ops_ed25519", passphrase="good pass")
    with pytest.raises(UsageError, match="no terminal to ask for it") as caught:
        of_ops(tmp_path)
    assert "ssh-add" in caught.value.remedy


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_the_agent_is_asked_for_the_very_key_and_no_other(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [tmp_path / f"other{number}" for number in range(4)]
    for other in others:
        make_key(other)
    (tmp_path / "home").mkdir()
    line = make_key(tmp_path / f"home/ops_{kind}", kind)
    (tmp_path / "keys").mkdir()
    shutil.copy(tmp_path / f"home/ops_{kind}.pub", tmp_path / "keys")
    with (
        ssh_agent(tmp_path, *others, tmp_path / f"home/ops_{kind}") as agent,
        sshd(tmp_path / "sshd", line, MaxAuthTries=1, MaxStartups="30:30:60") as server,
    ):
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        key = of_ops(tmp_path / "keys")
        fleet = hosts_at(server, 8)
        with Connections(fleet, key) as connections, ThreadPoolExecutor(8) as pool:
            said = pool.map(
                lambda host: connections.to(host).run(["echo", host.name], timeout_s=20).stdout,
                fleet.hosts.values(),
            )
            assert [line.decode().strip() for line in said] == list(fleet.hosts)
    assert isinstance(key, Held)


def test_a_key_with_a_passphrase_that_the_agent_holds_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ops_ed25519"
    make_key(path)
    with ssh_agent(tmp_path, path) as agent:
        change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "good pass", "-f", str(path)]
        subprocess.run(change, check=True, stdout=subprocess.DEVNULL)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        assert isinstance(of_ops(tmp_path), Held)


def test_an_agent_that_lacks_the_key_is_wrong_usage_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(tmp_path / "other")
    make_key(tmp_path / "ops_ed25519")
    (tmp_path / "ops_ed25519").unlink()
    with pytest.raises(UsageError, match=r"no SSH agent holds the key of ops_ed25519\.pub"):
        of_ops(tmp_path)
    with ssh_agent(tmp_path, tmp_path / "other") as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        with pytest.raises(UsageError, match="no SSH agent holds") as caught:
            of_ops(tmp_path)
    assert "ssh-add" in caught.value.remedy


def test_an_agent_that_is_gone_refuses_and_the_host_is_not_called_off_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = make_key(tmp_path / "ops_ed25519")
    with sshd(tmp_path / "sshd", line) as server:
        with ssh_agent(tmp_path, tmp_path / "ops_ed25519") as agent:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
            (tmp_path / "ops_ed25519").unlink()
            key = of_ops(tmp_path)
        fleet = hosts_at(server)
        with (
            Connections(fleet, key) as connections,
            pytest.raises(AccessRefused, match="the SSH agent does not sign with SHA256:"),
        ):
            connections.to(fleet.hosts["EC-T00"]).open()


@pytest.mark.parametrize(("name", "text"), [("ops_ed25519", "none"), ("ops_ed25519.pub", "none")])
def test_what_is_no_key_is_named(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=rf"{name}: expected a "):
        of_ops(tmp_path)
