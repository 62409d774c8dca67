"""Chapters one and two: from bare hosts to a fleet, and from a fleet to one that runs our releases."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import requests

from ci.story.teller import NotSo, Step, eventually
from ci.story.world import TOP, World

ANSWER_S = 10
REACH_S = 60


def steps(world: World, aircraft: int) -> list[Step]:
    """The steps that end with every host provisioned and released."""
    hosts, tower, release = "Bare hosts", "Provisioning", "Releases"
    return [
        Step(hosts, f"a hangar and {aircraft} aircraft boot", lambda: boot(world, aircraft)),
        Step(hosts, "they stand at the gate, with a good link", lambda: at_the_gate(world)),
        Step(tower, "first contact pins their keys", lambda: first_contact(world)),
        Step(tower, "the roles make them what they are", lambda: converge(world)),
        Step(tower, "the hangar may open what aircraft need", lambda: open_to_hangar(world)),
        Step(tower, "a second look changes nothing", lambda: second_look(world)),
        Step(tower, "the ramp is unplugged; only the tower is left", lambda: unplug(world)),
        Step(release, "the hangar gets its app", lambda: deploy_hangar(world)),
        Step(release, "the aircraft get app and portal over the tower", lambda: deploy(world)),
        Step(release, "every app says it is healthy", lambda: healthy(world)),
    ]


def boot(world: World, aircraft: int) -> str:
    """Starts the lab, or finds it standing."""
    world.lab.up(aircraft)
    states = {host["name"]: host["state"] for host in world.lab.status()["hosts"]}
    if len(states) <= aircraft or set(states.values()) != {"running"}:
        raise NotSo(f"expected {aircraft + 1} hosts or more, all running, found {states}")
    return ", ".join(states)


def at_the_gate(world: World) -> str:
    """Mends the links, which a story that stopped aloft has left cut."""
    for name in world.aircraft:
        world.lab.link(name, up=True, rtt_ms=0, jitter_ms=0, loss=0, kbit=0)
        if world.enrolled(name):
            look = partial(world.ssh, name, "echo here", timeout_s=REACH_S)
            eventually(f"ops reach {name}", look, within_s=REACH_S)
    return ", ".join(world.aircraft)


def first_contact(world: World) -> str:
    """Takes every host that is not enrolled yet from bare Debian to a place in the tower."""
    fresh = [name for name in ("hangar", *world.aircraft) if not world.enrolled(name)]
    for name in fresh:
        world.fab(
            "init-machine",
            "--host",
            world.lab.first_contact(name),
            "--as",
            name,
            "--fingerprint",
            world.lab.fingerprint(name),
        )
    return f"{', '.join(fresh)} enrolled" if fresh else "all were enrolled before"


def converge(world: World) -> str:
    """Applies all roles to all hosts."""
    outcomes = world.fab_json("converge", "--target", "all")
    changed = sum(len(each["changes"]) for each in outcomes)
    return f"{changed} changes on {len(outcomes)} hosts"


def open_to_hangar(world: World) -> str:
    """Encrypts the aircraft's secrets to the hangar, too, which applies what waited for them."""
    path = world.lab.inventory.parent / "secrets" / "recipients.yml"
    key = world.ssh("hangar", "sudo age-keygen -y /etc/turnaround/keys/age.key").strip()
    if key not in path.read_text():
        with path.open("a") as recipients:
            recipients.write(f"hangar: {{ key: {key}, reads: [group-aircraft] }}\n")
    rekey = ["./inv", "secrets.rekey"]
    done = subprocess.run(
        rekey, cwd=TOP, env=world.environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotSo(f"{' '.join(rekey)} exited {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout.strip()


def second_look(world: World) -> str:
    """Looks again: there must be nothing to change, and one probe trip must be enough to know."""
    outcomes = world.fab_json("converge", "--target", "all", "--check")
    if len(outcomes) != len(world.aircraft) + 1:
        raise NotSo(f"expected a word on every host, found {outcomes}")
    for each in outcomes:
        if each["changes"] or each["engine_trips"] != 1:
            raise NotSo(
                f"{each['host']}: expected no change in one trip of the engine, found "
                f"{each['engine_trips']} trips and still to change: {each['changes']}"
            )
    return f"{len(outcomes)} hosts, no change, one probe trip each"


def unplug(world: World) -> str:
    """Takes the maintenance network away: from here on everything goes through the tower."""
    for name in world.aircraft:
        world.lab.ramp(name, up=False)
        world.ssh(name, "true")
        address = world.lab.host(name).plan.port("ramp0").ip
        with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout=1):
            raise NotSo(f"expected the ramp's cable of {name} to be out, and {address} answers")
    return "ssh reaches them through the hangar"


def deploy_hangar(world: World) -> str:
    """Builds and ships the hangar's app from this revision."""
    return _moved(world.fab_json("deploy-hangar", "--target", "hangar"))


def deploy(world: World) -> str:
    """Builds and ships the onboard app and the portal from this revision."""
    return _moved(world.fab_json("deploy", "--target", "all"))


def healthy(world: World) -> str:
    """Asks each app at the address that people use."""

    def ask(name: str) -> str:
        def look() -> str:
            answer = requests.get(f"{world.portal(name)}/health", timeout=ANSWER_S).json()
            return str(answer["revision"]) if answer["healthy"] else ""

        return str(eventually(f"{name} is healthy", look, within_s=30))

    with ThreadPoolExecutor() as pool:
        revisions = set(pool.map(ask, ["hangar", *world.aircraft]))
    if len(revisions) != 1:
        raise NotSo(f"expected one revision everywhere, found {', '.join(sorted(revisions))}")
    return f"revision {revisions.pop()[:12]} everywhere"


def _moved(said: list[dict[str, Any]]) -> str:
    releases = [each for one in said for each in one["releases"]]
    moved = sum(each["bytes"] for each in releases)
    kinds = " and ".join(sorted({each["kind"] for each in releases}))
    revisions = ", ".join(sorted({each["version"].partition("-")[2] for each in releases}))
    return f"{kinds} {revisions}, {moved / 1e6:.1f} MB on the link"
