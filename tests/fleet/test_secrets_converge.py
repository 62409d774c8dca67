"""A secret from the inventory to a file on a host: there in clear, and masked or absent everywhere else."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fleet.context
import require
from fleet.context import catalog
from fleet.converge import converge, outcome
from fleet.errors import UsageError
from fleet.report import PlainReporter
from require import LocalTransport
from require.secret import MASK
from tests.fleet.safe import Safe
from tests.require.host import Host

VALUE = "pin 4711 of the modem"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def safe(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> Safe:
    """A fleet whose one role writes a secret into a file, and then a command that prints that file fails."""
    monkeypatch.delenv("TURNAROUND_KEYS", raising=False)
    (tmp_path / "modem.conf.j2").write_text("pin = {{ pin }}\n")

    def apply(context: Any) -> None:
        conf = require.file.template(
            host.path("modem.conf"),
            template="modem.conf.j2",
            mode=0o600,
            owner=None,
            pin=context.vars.secret("modem_pin"),
        )
        require.command.command(
            "dial",
            f"ps -eo args > '{host.path('ps')}'; cat '{host.path('modem.conf')}' >&2; exit 1",
            creates=host.path("none"),
            needs=[conf],
        )

    role = ModuleType("roles.base")
    role.apply = apply  # type: ignore[attr-defined]
    monkeypatch.setattr(fleet.context, "role_names", lambda: frozenset(["base"]))
    monkeypatch.setattr(fleet.context, "import_module", lambda name: role)
    monkeypatch.setattr(fleet.context, "TEMPLATES", tmp_path)
    made = Safe(tmp_path)
    made.put("group-aircraft", "modem_pin", VALUE)
    return made


class Watching(LocalTransport):
    """Remembers what would be an argument here or at the host."""

    def __init__(self) -> None:
        super().__init__("EC-TAA")
        self.commands: list[str] = []

    def call(self, command: str, *rest: Any, **named: Any) -> bytes:
        self.commands.append(command)
        return super().call(command, *rest, **named)


def test_it_is_in_the_file_and_nowhere_else(safe: Safe, host: Host) -> None:
    (host.root / "modem.conf").write_text("pin = the former one\n")
    inventory, line = safe.load(), Watching()
    declared = catalog(inventory, inventory.hosts["EC-TAA"])
    looked = host.converge(declared, check=True, transport=line)
    made = host.converge(declared, transport=line)
    # With nothing left to change in it, its secret is still one of the run's.
    again = host.converge(declared, transport=line)

    assert host.read("modem.conf") == f"pin = {VALUE}\n"
    assert [each.status for each in again.outcomes] == ["ok", "failed"]
    journals = "".join(path.read_text() for path in (host.state / "runs").rglob("journal.jsonl"))
    shown = [
        outcome(each, diff=True, cost={"trips": 1, "bytes": 1}) for each in (looked, made, again)
    ]
    said = "\n".join(line for each in shown for line in each.lines)
    assert f"the content holds a secret: {MASK}" in said
    assert f"ended with exit code 1: pin = {MASK}" in said
    assert "ended with exit code 1" in journals
    assert "python3 -IS -c" in "".join(line.commands)
    assert "python3 -IS -c" in host.read("ps")
    everything = f"{shown} {said} {journals} {line.commands} {host.read('ps')} {declared!r}"
    for word in (VALUE, "4711", "the former"):
        assert word not in everything


class NobodyIsCalled:
    def to(self, host: Any) -> Any:
        raise AssertionError(f"{host.name} was called")


def test_a_secret_that_one_host_lacks_stops_all_before_any_is_called(safe: Safe) -> None:
    safe.put("group-aircraft", "modem_pin", "")
    safe.put("host-EC-TAA", "modem_pin", VALUE)
    inventory = safe.load()
    with pytest.raises(UsageError, match="expected the secret modem_pin for EC-TAB"):
        converge(inventory, tuple(inventory.hosts.values()), NobodyIsCalled(), PlainReporter)  # type: ignore[arg-type]


def test_nothing_is_opened_for_a_host_that_asks_for_none(safe: Safe) -> None:
    (safe.folder / "keys/age.key").unlink()
    inventory = safe.load()
    assert len(catalog(inventory, inventory.hosts["hangar"])) == 0
