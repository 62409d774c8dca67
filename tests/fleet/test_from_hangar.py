"""The hangar's own converge says how it ended in one object, however it ends."""

from __future__ import annotations

import json
from pathlib import Path

import paramiko
import pytest

from fleet import from_hangar
from fleet.errors import Exit, Offline, UsageError
from fleet.ssh import Connection, Endpoint
from fleet.transport import SshTransport
from require.errors import CommandFailed
from tests.fleet.keys import line_of, new_key, write_key
from tests.fleet.server import ssh_server


@pytest.fixture
def key(tmp_path: Path) -> paramiko.PKey:
    return write_key(tmp_path)


@pytest.fixture
def configuration(tmp_path: Path, key: paramiko.PKey) -> Path:
    folder = tmp_path / "inventory"
    (folder / "enrolled").mkdir(parents=True)
    (folder / "hosts.yml").write_text(
        "fleet: x\ngroups: {aircraft: {roles: []}}\nhosts:\n"
        "  EC-TAA: {groups: [aircraft], address: 127.0.0.1, port: 9, tower: 127.0.0.1}\n"
    )
    (folder / "enrolled/EC-TAA.yml").write_text(f"host_key: {line_of(key)}\n")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    (line,) = capsys.readouterr().out.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def test_an_aircraft_that_does_not_answer_is_off_line(
    configuration: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_hangar.converge, "__defaults__", (configuration,))
    argv = ["EC-TAA", "--key", str(configuration / "keys/ops_ed25519"), "--operator", "ops@desk"]
    assert from_hangar.main(argv) == Exit.OFFLINE
    outcome = said(capsys)
    assert (outcome["host"], outcome["status"]) == ("EC-TAA", "off-line")


def test_an_aircraft_that_is_not_in_the_configuration_is_said(configuration: Path) -> None:
    with pytest.raises(UsageError, match="no host EC-TAX in this configuration"):
        from_hangar.converge("EC-TAX", configuration / "no-key", "ops@desk", configuration)


def test_the_hangar_says_one_word_where_ops_say_the_engines_command() -> None:
    ours = new_key()
    with ssh_server(ours, users=("dispatch",)) as server:
        server.answer = lambda command, payload: (64, b"", b"")
        end = Endpoint("EC-TAA", "127.0.0.1", server.port, "dispatch", ours, server.host_key_line)
        connection = Connection(end)
        for transport in (SshTransport(connection, from_hangar.COMMAND), SshTransport(connection)):
            with pytest.raises(CommandFailed):
                transport.call("exec python3", b"", timeout_s=5)
        connection.close()
    assert server.commands == ["converge", "exec python3"]


def test_a_way_that_only_ops_have_is_not_looked_for(configuration: Path) -> None:
    hosts = configuration / "inventory/hosts.yml"
    text = hosts.read_text().replace("tower: 127.0.0.1}", "tower: 127.0.0.1, via: office}")
    hosts.write_text(f"ssh_config: not-here\n{text}")
    with pytest.raises(Offline, match="EC-TAA"):
        key = configuration / "keys/ops_ed25519"
        from_hangar.converge("EC-TAA", key, "ops@desk", configuration)
