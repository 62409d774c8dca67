"""A stolen aircraft box: what its keys open at the hangar, each attempt made from where it stands.

Whoever has the box is root on it, has every key in it, and its place in the tower, until `fab retire`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ci.story.teller import eventually
from ci.story.world import World

pytestmark = pytest.mark.hosts

KEYS = "/etc/turnaround/keys"
# Words that the attempts are written with; all of them run as root on the stolen box.
TOOLS = """
ssh="ssh -F /dev/null -i {keys}/sync_ed25519 -o BatchMode=yes -o IdentitiesOnly=yes -o ConnectTimeout=10"
ssh="$ssh -o UserKnownHostsFile={keys}/known_hosts -o GlobalKnownHostsFile=/dev/null"
rm -rf /tmp/loot /tmp/evil && mkdir /tmp/loot /tmp/evil && echo evil >/tmp/evil/letter
hangar=fleet@{hangar}
push() {{ timeout 60 rsync -rlt -e "$ssh" "$@"; }}
ask() {{  # ask METHOD PATH [BODY] [HEADER VALUE]: the status that the hangar's web server answers
    python3 - "$@" <<'END'
import http.client, sys
method, path, body, *header = [*sys.argv[1:], "", "", ""][:5] if len(sys.argv) < 4 else sys.argv[1:]
headers = {{header[0]: header[1]}} if header and header[0] else {{}}
line = http.client.HTTPConnection("{hangar}", timeout=10)
line.request(method, path, body.encode(), {{"Content-Type": "application/json", **headers}})
print("status", line.getresponse().status)
END
}}
"""


@dataclass(frozen=True)
class Attempt:
    """What is tried, in shell, and what must be said; `works` where the shell ends well all the same."""

    name: str
    script: str
    said: str
    works: bool = False


DENIED = "Permission denied (publickey)"
NO_SHELL = "turnaround: refused: this key runs rsync only"
FORWARDS = "administratively prohibited"
RRSYNC = "rrsync error"
BEAT = '{{"node": "{victim}", "at": "2026-01-01T00:00:00Z"}}'

ATTEMPTS = [
    Attempt("reads another's outbox", "push $hangar:../{victim}/ /tmp/loot/", RRSYNC),
    Attempt("reads another's inbox", "push $hangar:../../inbox/{victim}/ /tmp/loot/", RRSYNC),
    Attempt(
        "reads the hangar's settings", "push $hangar:/etc/turnaround/app.env /tmp/loot/", "rsync"
    ),
    Attempt(
        "reads by the bare protocol", "$ssh $hangar rsync --server --sender -r . /etc/passwd", ""
    ),
    Attempt("writes another's inbox", "push /tmp/evil/ $hangar:../{victim}/", RRSYNC),
    Attempt("writes what it is offered", "push /tmp/evil/ $hangar:../../outbox/{own}/", RRSYNC),
    Attempt("removes by a push", "push --delete /tmp/evil/ $hangar:./", "has been disabled"),
    Attempt("reserves room", "push --preallocate /tmp/evil/ $hangar:./", "--preallocate"),
    Attempt(
        "keeps what it replaces elsewhere",
        "push --backup --backup-dir=../{victim} /tmp/evil/ $hangar:./",
        RRSYNC,
    ),
    Attempt("writes parts elsewhere", "push --temp-dir=../{victim} /tmp/evil/ $hangar:./", RRSYNC),
    Attempt(
        "links to another's file", "push --link-dest=../{victim} /tmp/evil/ $hangar:./", RRSYNC
    ),
    Attempt(
        "writes a log elsewhere", "push -M--log-file=../{victim}/log /tmp/evil/ $hangar:./", RRSYNC
    ),
    Attempt(
        "writes through a link of its own",
        "ln -s ../../outbox/{victim} /tmp/evil/way && push /tmp/evil/ $hangar:./"
        " && push /tmp/evil/letter $hangar:way/letter",
        "rsync",
    ),
    Attempt("has a shell", "$ssh $hangar </dev/null", NO_SHELL),
    Attempt("has a terminal", "$ssh -tt $hangar </dev/null", "PTY allocation request failed"),
    Attempt("runs a command", "$ssh $hangar id", NO_SHELL),
    Attempt("runs one behind rsync", "$ssh $hangar 'rsync --server . .; id'", ""),
    Attempt("copies by sftp", "echo ls | sftp -b - ${{ssh#ssh }} $hangar", "Connection closed"),
    Attempt("copies by scp", "$ssh $hangar scp -f /etc/passwd", NO_SHELL),
    Attempt("reaches the database", "$ssh -W 127.0.0.1:5432 $hangar", FORWARDS),
    Attempt("reaches the cache", "$ssh -W 127.0.0.1:6379 $hangar", FORWARDS),
    Attempt("reaches another aircraft through SSH", "$ssh -W {victim_tower}:22 $hangar", FORWARDS),
    Attempt(
        "opens a port at the hangar",
        "$ssh -N -o ExitOnForwardFailure=yes -R 9999:127.0.0.1:22 $hangar",
        "remote port forwarding failed",
    ),
    Attempt("comes in as ops", "$ssh ops@{hangar} id", DENIED),
    Attempt("comes in as root", "$ssh root@{hangar} id", DENIED),
    Attempt("comes in as our account", "$ssh turnaround@{hangar} id", DENIED),
    Attempt(
        "reaches another aircraft over the tower",
        # Its own end sends to nobody but the hangar; whoever is root there changes that first.
        "peer=$(wg show wg0 peers); trap 'wg set wg0 peer $peer allowed-ips {hangar}/32' EXIT\n"
        "wg set wg0 peer $peer allowed-ips {hangar}/32,{victim_tower}/32\n"
        "timeout 5 bash -c '</dev/tcp/{victim_tower}/22'; test $? = 124 && echo no answer; exit 1",
        "no answer",
    ),
    Attempt(
        "sends from another's address",
        "trap 'ip address del {victim_tower}/32 dev wg0' EXIT; ip address add {victim_tower}/32 dev wg0\n"
        'python3 -c \'import socket; socket.create_connection(("{hangar}", 80), 5, ("{victim_tower}", 0))\'',
        "timed out",
    ),
    Attempt(
        "beats in another's name",
        f"ask POST /tower/v1/heartbeat '{BEAT}'",
        "status 403",
        works=True,
    ),
    Attempt(
        "says that it comes from there",
        f"ask POST /tower/v1/heartbeat '{BEAT}' X-Real-IP {{victim_tower}}",
        "status 403",
        works=True,
    ),
    Attempt("sees the pages of editors", "ask GET /", "status 404", works=True),
    Attempt("signs in", "ask POST /login x", "status 404", works=True),
    Attempt("imports", "ask POST /ingest x", "status 404", works=True),
    Attempt("signs in by another way", "ask GET /tower/../login", "status 404", works=True),
    Attempt("signs in by a hidden way", "ask GET /tower/..%2flogin", "status 404", works=True),
    Attempt("asks for another door", "ask GET /login '' Host {public}", "status 404", works=True),
]


@dataclass(frozen=True)
class Thief:
    """The stolen box, whom it would harm, and what of theirs was there before."""

    world: World
    before: str

    @property
    def own(self) -> str:
        return self.world.aircraft[1]

    @property
    def victim(self) -> str:
        return self.world.aircraft[0]

    def words(self) -> dict[str, str]:
        hosts = self.world.inventory["hosts"]
        return {
            "keys": KEYS,
            "own": self.own,
            "victim": self.victim,
            "victim_tower": hosts[self.victim]["tower"],
            "hangar": hosts["hangar"]["tower"],
            "public": hosts["hangar"]["vars"]["public_address"],
        }

    def tries(self, script: str) -> tuple[int, str]:
        """Runs a script as root on the stolen box; its exit code and all that it said."""
        words = self.words()
        text = f'({TOOLS.format(**words)}\n{script.format(**words)}\n) 2>&1\necho "exit $?"\n'
        said = self.world.ssh(self.own, "sudo -n sh -s", stdin=text, timeout_s=180)
        body, _, code = said.strip().rpartition("exit ")
        return int(code), body


@pytest.fixture(scope="module")
def thief(world: World) -> Iterator[Thief]:
    made = Thief(world, shared(world))
    yield made
    world.ssh(
        "hangar", f"sudo rm -rf /var/lib/turnaround/sync/inbox/{made.own}/{{letter,way,flood}}*"
    )


def shared(world: World) -> str:
    """What every aircraft reads at the hangar, and what the other one owns there."""
    return world.ssh(
        "hangar",
        "cd /var/lib/turnaround && sudo find content sync/outbox "
        f"sync/inbox/{world.aircraft[0]} -printf '%p %u %m %s %l\\n' | sort | sha256sum",
    )


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name.replace(" ", "-"))
def test_a_stolen_box_is_refused(thief: Thief, attempt: Attempt) -> None:
    code, said = thief.tries(attempt.script)
    assert (code == 0) == attempt.works, said
    assert attempt.said in said
    assert "uid=" not in said
    assert "root:" not in said
    assert thief.tries("ls -A /tmp/loot")[1].strip() == ""


def test_nothing_that_is_read_can_be_written_by_whoever_comes_in_with_an_aircraft_key(
    thief: Thief,
) -> None:
    writable = thief.world.ssh(
        "hangar",
        "sudo -u fleet find /var/lib/turnaround /opt/turnaround /etc/turnaround -writable "
        "-not -path '/var/lib/turnaround/sync/inbox/*' -not -path '/var/lib/turnaround/fleet*' "
        "-not -type l 2>/dev/null || true",
    )
    assert writable == ""


def test_a_push_without_end_is_stopped_before_it_fills_the_disk(thief: Thief) -> None:
    inbox = f"/var/lib/turnaround/sync/inbox/{thief.own}"

    def pushed(make: str) -> tuple[str, int]:
        code, said = thief.tries(
            f"{make}; push -z /tmp/evil/ $hangar:./ || {{{{ rm -r /tmp/evil; exit 1; }}}}"
        )
        assert code != 0
        return said, int(thief.world.ssh("hangar", f"sudo du -sm {inbox}").split()[0])

    said, size = pushed("truncate -s 3G /tmp/evil/flood")
    assert "File too large" in said
    assert size < 1100
    # Small enough each, and without end together.
    said, size = pushed("for n in $(seq 30); do truncate -s 100M /tmp/evil/flood$n; done")
    assert "turnaround: refused: the inbox holds" in said
    assert size < 2000
    # How much of them was whole, and counts at the next push, is chance.
    thief.world.ssh("hangar", f"sudo -u fleet fallocate -l 1G {inbox}/flood")
    assert "the inbox holds" in thief.tries("push /tmp/evil/ $hangar:./")[1]
    thief.world.ssh("hangar", f"sudo find {inbox} -name '*flood*' -delete")


def test_nothing_that_others_share_or_own_has_changed(thief: Thief) -> None:
    assert shared(thief.world) == thief.before


def test_a_box_that_is_retired_is_shut_out_and_a_new_one_takes_its_place(thief: Thief) -> None:
    world, name = thief.world, thief.own
    world.fab("retire", "--target", name)
    world.fab("retire", "--target", name)
    assert name not in [row["name"] for row in world.fab_json("status")]
    assert name in world.fab("converge", "--target", name, expect=64)
    assert [each["host"] for each in world.fab_json("converge", "--target", "all", "--check")] == [
        "hangar",
        thief.victim,
    ]
    keys = world.ssh(
        "hangar",
        "sudo wg show wg0 allowed-ips; sudo cat /var/lib/turnaround/fleet/.ssh/authorized_keys",
    )
    assert world.inventory["hosts"][name]["tower"] not in keys
    assert name not in keys
    old = by_hand(world, name, "sudo timeout 8 bash -c '</dev/tcp/{hangar}/22'", thief.words())
    assert old.returncode == 124, "it is still in the tower"

    world.lab.replace(name)
    world.lab.ramp(name, up=True)
    place, fingerprint = world.lab.first_contact(name), world.lab.fingerprint(name)
    world.fab("init-machine", "--host", place, "--as", name, "--fingerprint", fingerprint)
    world.fab("converge", "--target", f"hangar,{name}")
    world.lab.ramp(name, up=False)
    world.fab("deploy", "--target", name)

    def even() -> bool:
        rows = {row["name"]: row for row in world.fab_json("status")}
        return bool(rows[name]["standing"] == "even")

    eventually("the new box has what the others have", even, within_s=120, every_s=5)
    world.fab("converge", "--target", "all", "--check")
    noted = [each["what"] for each in world.fab_json("audit") if name in each["targets"]]
    assert {"retire", "init-machine", "deploy"} <= set(noted)


def by_hand(
    world: World, name: str, command: str, words: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a command on a box as somebody who stands beside it, with a cable on its ramp."""
    world.lab.ramp(name, up=True)
    argv = ["ssh", "-i", str(world.lab.ops_key), "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"]
    argv += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    place = f"ops@{world.lab.host(name).plan.port('ramp0').ip}"
    return subprocess.run(
        [*argv, place, command.format(**words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
