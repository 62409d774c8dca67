"""Changing keys: cut at any step, everybody still lets everybody in, and the same command goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import paramiko
import pytest

import fleet.rotate
from fleet.channel import Completed
from fleet.connections import Connections
from fleet.enrol import write_facts
from fleet.errors import Exit, Offline, UsageError
from fleet.inventory import FACTS, Host, Inventory, load
from fleet.report import Outcome
from fleet.rotate import Rotation, chosen
from roles.context import keys_of
from tests.fleet.keys import line_of
from tests.fleet.test_slots import Seen

pytestmark = pytest.mark.slow

FLEET = """\
fleet: lab
groups: {hangar: {roles: []}, aircraft: {roles: []}}
hosts:
  hangar: {groups: [hangar], address: 127.0.0.9, tower: 10.1.0.1}
  EC-TAA: {groups: [aircraft], address: 10.1.0.2, tower: 10.1.0.2, via: hangar}
  EC-TAB: {groups: [aircraft], address: 10.1.0.3, tower: 10.1.0.3, via: hangar}
"""
NAMES = ("hangar", "EC-TAA", "EC-TAB")
# WireGuard's key is a hash here, and what the interface runs with is a file.
WG = """#!/bin/sh
hash() { sha256sum | cut -c-42 | sed 's/$/A=/'; }
case "$1 $3" in
    "genkey "*) head -c 32 /dev/urandom | hash ;;
    "pubkey "*) hash ;;
    "show public-key") hash <"$TOP/running" ;;
    "set private-key") cp "$4" "$TOP/running" ;;
esac
"""
SUDO = '#!/bin/sh\nshift 3\nexec "$@"\n'
# As the hangar's sshd and the gate behind it answer.
SSH = """#!/bin/sh
while [ "$1" != -i ]; do shift; done
grep -qF "$(ssh-keygen -y -f "$2" | cut -d' ' -f2)" "$TOP/../hangar/taken" && exit 1
echo 'Permission denied (publickey).' >&2
exit 255
"""


@cache
def ssh_key(name: str, file: str) -> bytes:
    with TemporaryDirectory() as folder:
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", f"{folder}/key"]
        subprocess.run(argv, check=True)
        return (Path(folder) / "key").read_bytes()


class World:
    """Three hosts as folders on which the very scripts run; what they know of each other is remembered.

    From action `cut` on every one fails as if the link were gone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cut = self.count = 10**6
        self.away: set[str] = set()
        self.path = folder / "inventory.yml"
        self.path.write_text(FLEET)
        for name, program in (
            ("wg", WG),
            ("sudo", SUDO),
            ("ssh", SSH),
            ("systemctl", "#!/bin/sh\n"),
        ):
            (folder / name).write_text(program)
            (folder / name).chmod(0o755)
        for name in NAMES:
            keys = folder / name / "keys"
            keys.mkdir(parents=True)
            (keys / "app.env").write_text("TURNAROUND_HANGAR_SSH=fleet@10.1.0.1\n")
            (keys / "known_hosts").write_text("")
            (keys / "tower.key").write_text(f"tower key of {name}\n")
            (keys.parent / "running").write_text(f"tower key of {name}\n")
            facts = {"host_key": "ssh-ed25519 AAAA", "tower_key": self.public(name, "tower.key")}
            for file, fact in (("sync_ed25519", "ssh_key"), ("dispatch_ed25519", "dispatch_key")):
                (keys / file).write_bytes(ssh_key(name, file))
                (keys / file).chmod(0o600)
                facts[fact] = self.public(name, file)
            write_facts(folder / "enrolled" / f"{name}.yml", facts)
        self.knows: dict[str, dict[str, Mapping[str, str]]] = {name: {} for name in NAMES}
        for host in load(self.path).hosts.values():
            self.learn(host, load(self.path))

    def public(self, name: str, file: str) -> str:
        path = self.folder / name / "keys" / file
        if "ed25519" in file:
            return f"{line_of(paramiko.Ed25519Key.from_private_key_file(str(path)))} {name}"
        return f"{sha256(path.read_bytes()).hexdigest()[:42]}A="

    def shell(self, name: str, script: str) -> subprocess.CompletedProcess[bytes]:
        top = self.folder / name
        environment = {"PATH": f"{self.folder}:/usr/bin:/bin:/usr/sbin", "TOP": str(top)}
        script = script.replace("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "")
        script = script.replace("/etc/turnaround", str(top)).replace(
            f"{top}/app.env", f"{top}/keys/app.env"
        )
        return subprocess.run(
            ["sh", "-s"], input=script.encode(), env=environment, capture_output=True, check=False
        )

    def act(self, name: str) -> None:
        """One action on a host, unless the link is cut, it is away, or the tower does not hold."""
        self.count += 1
        if self.count > self.cut or name in self.away or not self.in_tower(name):
            raise Offline(f"{name}: no answer")

    def in_tower(self, name: str) -> bool:
        """Whether an aircraft gets in by one of the keys that it may try; it uses it from then on."""
        if name == "hangar":
            return True
        hangar, here = self.knows["hangar"][name], self.knows[name]["hangar"]
        if self.public("hangar", "../running") not in tower_keys(here):
            return False
        taken = tower_keys(hangar)[-1]
        for file in ("../running", "tower.key", "tower.key.next"):
            path = self.folder / name / "keys" / file
            if path.exists() and self.public(name, file) == taken:
                (self.folder / name / "running").write_bytes(path.read_bytes())
                return True
        return False

    def learn(self, host: Host, inventory: Inventory) -> None:
        known = {each.name: each.facts for each in inventory.hosts.values()}
        self.knows[host.name] = {name: dict(facts) for name, facts in known.items()}
        if host.name == "hangar":
            lines = [key for facts in known.values() for key in taken_keys(facts, "ssh_key")]
            (self.folder / "hangar" / "taken").write_text("\n".join(lines) + "\n")

    def sound(self) -> None:
        """Everybody is let in by the key that he has now."""
        for name in NAMES[1:]:
            assert self.in_tower(name), f"{name} is lost to the tower"
            ssh = taken_keys(self.knows["hangar"][name], "ssh_key")
            assert self.public(name, "sync_ed25519") in ssh
            dispatch = taken_keys(self.knows[name]["hangar"], "dispatch_key")
            assert self.public("hangar", "dispatch_ed25519") in dispatch

    def settled(self, name: str, file: str, fact: str) -> str:
        """The key is what the inventory says, nothing of a change is left, and who must know knows."""
        facts = load(self.path).hosts[name].facts
        assert not [fact for fact in facts if fact.endswith("_next")]
        assert self.public(name, file) == facts[fact]
        assert not list((self.folder / name / "keys").glob("*.n*"))
        peers = ["hangar"] if name != "hangar" else NAMES[1:]
        assert [taken_keys(self.knows[peer][name], fact) for peer in peers] == [
            [facts[fact]] for _ in peers
        ]
        return facts[fact]

    def rotate(self, targets: Sequence[str], only: str, cut: int = 10**6) -> dict[str, Outcome]:
        self.cut, self.count = cut, 0
        inventory = load(self.path)
        hosts = [inventory.hosts[name] for name in targets]
        clock = iter(range(0, 10**6, 40))
        rotation = Rotation(
            inventory,
            hosts,
            Link(self),
            Seen(),
            1,
            lambda: float(next(clock)),
            lambda seconds: None,
        )
        return {outcome.host: outcome for outcome in rotation.run(chosen(only))}


def taken_keys(facts: Mapping[str, str], fact: str) -> list[str]:
    return keys_of(Host("x", (), (), "", facts=facts), fact)  # type: ignore[arg-type]


def tower_keys(facts: Mapping[str, str]) -> list[str]:
    return taken_keys(facts, "tower_key")


class Link(Connections):
    """Connections to the folders."""

    def __init__(self, world: World) -> None:
        self.world = world

    def to(self, host: Host) -> Any:
        return Line(self.world, host.name)

    def hang_up(self, host: Host) -> None:
        pass


class Line:
    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name

    def run(self, argv: Sequence[str], stdin: bytes, *, timeout_s: float) -> Completed:
        self.world.act(self.name)
        done = self.world.shell(self.name, stdin.decode())
        return Completed(done.returncode, done.stdout, done.stderr)


class Declared:
    def __init__(self, inventory: Inventory, host: Host) -> None:
        self.inventory, self.host = inventory, host

    def chosen(self, tags: set[str]) -> Declared:
        return self


@pytest.fixture
def world(memory: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(memory)

    def on_host(line: Line, declared: Declared, say: Any) -> Outcome:
        made.act(line.name)
        made.learn(declared.host, declared.inventory)
        return Outcome(line.name, detail="1 of 3 resources")

    monkeypatch.setattr(fleet.rotate, "on_host", on_host)
    monkeypatch.setattr(fleet.rotate, "catalog", Declared)
    return made


KINDS = [
    ("EC-TAA", "tower", "tower.key", "tower_key"),
    ("EC-TAA", "sync", "sync_ed25519", "ssh_key"),
    ("hangar", "sync", "sync_ed25519", "ssh_key"),
    ("hangar", "tower", "tower.key", "tower_key"),
    ("hangar", "dispatch", "dispatch_ed25519", "dispatch_key"),
]


@pytest.mark.parametrize(("name", "only", "file", "fact"), KINDS)
def test_a_key_is_changed_and_the_old_one_opens_nothing(
    world: World, name: str, only: str, file: str, fact: str
) -> None:
    before = world.settled(name, file, fact)
    outcome = world.rotate([name], only)[name]
    assert (outcome.code, outcome.status) == (Exit.DONE, "changed")
    assert world.settled(name, file, fact) != before
    world.sound()


@pytest.mark.parametrize("cut", range(6))
@pytest.mark.parametrize(("name", "only", "file", "fact"), KINDS)
def test_cut_at_any_step_nobody_is_lost_and_the_next_run_ends_it(
    world: World, name: str, only: str, file: str, fact: str, cut: int
) -> None:
    before = world.settled(name, file, fact)
    outcome = world.rotate([name], only, cut)[name]
    world.sound()
    if outcome.code == Exit.DONE:
        assert cut >= 4, "it has not that many steps"
    else:
        assert (outcome.code, outcome.status) == (Exit.OFFLINE, "off-line")
        assert "the same command goes on" in outcome.remedy
        coming = load(world.path).hosts[name].facts.get(f"{fact}_next", "")
        assert world.rotate([name], only)[name].code == Exit.DONE
        assert world.settled(name, file, fact) in {coming or world.public(name, file)}
    assert world.settled(name, file, fact) != before
    world.sound()


@pytest.mark.parametrize("only", ["tower", "dispatch"])
def test_the_hangar_keeps_its_key_until_the_last_aircraft_knows_the_next(
    world: World, only: str
) -> None:
    world.away = {"EC-TAB"}
    outcome = world.rotate(["hangar"], only)["hangar"]
    assert outcome.code == Exit.OFFLINE
    assert "1 of 2 know the new key, not yet EC-TAB" in outcome.detail
    world.away = set()
    world.sound()
    assert world.rotate(["hangar"], only)["hangar"].code == Exit.DONE
    world.sound()


def test_an_aircraft_that_is_away_keeps_no_other_from_its_new_key(world: World) -> None:
    world.away = {"EC-TAB"}
    outcomes = world.rotate(["EC-TAA", "EC-TAB"], "tower,sync")
    assert (outcomes["EC-TAA"].code, outcomes["EC-TAB"].code) == (Exit.DONE, Exit.OFFLINE)
    assert outcomes["EC-TAA"].data["keys"] == ["tower key", "ssh key"]
    world.away = set()
    world.sound()


def test_a_sync_key_that_the_hangar_does_not_take_is_not_used(world: World) -> None:
    world.learn = lambda host, inventory: None  # type: ignore[method-assign]
    before = world.public("EC-TAA", "sync_ed25519")
    outcome = world.rotate(["EC-TAA"], "sync")["EC-TAA"]
    assert outcome.code == Exit.FAILED
    assert "the hangar does not take the new key: Permission denied" in outcome.detail
    assert world.public("EC-TAA", "sync_ed25519") == before


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize(("name", "only", "file", "fact"), KINDS)
def test_a_host_whose_power_goes_between_two_commands_goes_on(
    world: World, name: str, only: str, file: str, fact: str, at: int
) -> None:
    before = world.settled(name, file, fact)
    fakes = {tool: world.folder / tool for tool in ("sync", "mv")}
    count = world.folder / "count"
    for tool, path in fakes.items():
        left = f'[ "$(wc -l <{count})" -lt {at} ]'
        path.write_text(
            f'#!/bin/sh\necho >>{count}\n{left} && exec /bin/{tool} "$@"\nkill -9 $PPID\n'
        )
        path.chmod(0o755)
    world.rotate([name], only)
    for path in fakes.values():
        path.unlink()
    world.sound()
    if world.public(name, file) == before or load(world.path).hosts[name].facts.get(f"{fact}_next"):
        assert world.rotate([name], only)[name].code == Exit.DONE
    assert world.settled(name, file, fact) != before
    world.sound()


@pytest.mark.parametrize(
    ("targets", "only", "said"),
    [
        (["EC-TAA"], "dispatch", "none of EC-TAA has such a key"),
        (["hangar"], "hsot", "no kind of key 'hsot'"),
    ],
)
def test_wrong_words_touch_nothing(world: World, targets: list[str], only: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        world.rotate(targets, only)
    assert world.count in (0, 10**6)


def test_a_fact_of_a_key_that_comes_is_read_as_the_key_itself() -> None:
    for fact in ("ssh_key", "dispatch_key", "tower_key"):
        assert FACTS[f"{fact}_next"] == FACTS[fact]
