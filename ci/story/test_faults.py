"""What goes wrong in life, done to real hosts after the story: a clear word, and it goes on."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

import pytest
import requests
from PIL import Image

from ci.story.publish import aboard, editor, find
from ci.story.teller import eventually
from ci.story.under_load import revision_with
from ci.story.world import World
from fleet import envelope
from fleet.aboard import stream
from fleet.aboard.envelope import RELEASE, Envelope

pytestmark = pytest.mark.hosts

EVENTS = 40
SLOW_KBIT = 1500


def test_an_unknown_target_is_refused_with_the_names_that_exist(world: World) -> None:
    said = world.fab("converge", "--target", "EC-TAX", expect=64)
    assert "EC-TAX" in said
    assert "EC-TAA" in said


def test_a_malformed_inventory_is_refused_with_file_and_line(world: World, tmp_path: Path) -> None:
    bad = tmp_path / "inventory.yml"
    bad.write_text("fleet: x\ngroups: {}\nhosts:\n  EC-TAA: {groups: [], adress: 10.0.0.1}\n")
    said = world.fab("converge", "--target", "all", "--inventory", str(bad), expect=64)
    assert f"{bad}:4" in said
    assert "address" in said


def test_a_host_key_that_changed_is_refused_and_says_what_to_do(
    world: World, tmp_path: Path
) -> None:
    folder = world.lab.directory
    inventory = tmp_path / "inventory.yml"
    shutil.copy(folder / "inventory.yml", inventory)
    shutil.copytree(folder / "enrolled", tmp_path / "enrolled")
    for beside in ("keys", "secrets"):
        shutil.copytree(folder / beside, tmp_path / beside)
    enrolled = {name: (tmp_path / "enrolled" / f"{name}.yml") for name in ("hangar", "EC-TAB")}
    keys = {
        name: next(line for line in path.read_text().splitlines() if line.startswith("host_key:"))
        for name, path in enrolled.items()
    }
    text = enrolled["EC-TAB"].read_text()
    enrolled["EC-TAB"].write_text(text.replace(keys["EC-TAB"], keys["hangar"]))
    said = world.fab(
        "converge", "--target", "EC-TAB", "--inventory", str(inventory), "--check", expect=4
    )
    assert "EC-TAB" in said
    assert "SHA256:" in said


def test_an_off_line_host_is_not_a_failed_one(world: World) -> None:
    name = world.aircraft[1]
    with link_down(world, name):
        said = world.fab_json("converge", "--target", "all", "--check", expect=3)
    outcomes = {each["host"]: each for each in said}
    assert outcomes[name]["status"] == "off-line"
    assert outcomes[world.aircraft[0]]["status"] == "no change"


def test_an_artifact_with_a_wrong_hash_never_becomes_current(world: World) -> None:
    name = world.aircraft[1]
    before = world.ssh(name, "readlink /opt/turnaround/current/html5")
    manifest = json.loads(world.ssh(name, "cat /opt/turnaround/current/html5/manifest.json"))
    manifest["version"] = "20990101000000-" + "0" * 12
    body = b"not what the manifest says"
    manifest["files"][0] |= {"sha256": "0" * 64, "size": len(body)}
    refused = subprocess.run(
        [*world.ssh_argv(name), "sudo -n /opt/turnaround/bin/aboard accept"],
        input=artifact_stream(world, manifest, "0" * 64, body),
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert refused.returncode == 65, refused.stdout + refused.stderr
    said = refused.stderr.decode()
    assert manifest["files"][0]["path"] in said
    assert "expected" in said
    assert world.ssh(name, "readlink /opt/turnaround/current/html5") == before


def test_a_release_that_does_not_come_up_is_returned_from_with_its_reason(
    world: World, tmp_path: Path
) -> None:
    name = world.aircraft[1]
    before = world.ssh(name, "readlink /opt/turnaround/current/onboard")
    revision = broken_revision(tmp_path / "index")
    said = world.fab("deploy-aircraft", "--target", name, "--rev", revision, expect=4)
    assert "broken on purpose" in said
    assert world.ssh(name, "readlink /opt/turnaround/current/onboard") == before
    assert requests.get(f"{world.portal(name)}/health", timeout=20).json()["healthy"] is True


def test_a_change_set_that_its_aircraft_did_not_sign_waits_and_the_stream_goes_on(
    world: World,
) -> None:
    name = world.aircraft[1]
    # Everything is home and the aircraft is quiet: the next number is nobody's yet.
    expect_usage(world, watch_something(world, name, 3), 3)
    query = (
        "select left(replace(epoch::text, '-', ''), 8), seq from sync.cursor"
        f" where peer = '{name}' and stream = 'use'"
    )
    [[epoch_folder, last]] = world.sql("hangar", query)
    path = f"/var/lib/turnaround/sync/inbox/{name}/use/{epoch_folder}/{int(last) + 1:012d}.cs"
    world.ssh("hangar", f"echo spoiled | sudo -n -u fleet tee {path} > /dev/null")
    said = ingest(world, name)
    assert f"{name}/use" in said
    assert "it is not in the signed index of its sender" in said
    assert world.sql("hangar", query) == [[epoch_folder, last]]
    email = watch_something(world, name, 5)
    world.fab("sync", "--target", name)
    expect_usage(world, email, 5)


@pytest.mark.parametrize("fault", ["link", "power"])
def test_a_cut_in_the_middle_of_a_synchronisation_loses_and_doubles_nothing(
    world: World, fault: str, tmp_path: Path
) -> None:
    name = world.aircraft[1]
    marker = watch_something(world, name, EVENTS)
    world.lab.link(name, up=True, rtt_ms=60, jitter_ms=5, loss=0, kbit=SLOW_KBIT)
    before = world.link_bytes()[name][1]
    title = f"Second edition {secrets.token_hex(3)}"
    import_paper(world, title, noise(tmp_path / "paper.pdf"))
    pool = ThreadPoolExecutor(1)
    syncing = pool.submit(world.fab_anyhow, "sync", "--target", name)
    eventually(
        "a file is half aboard", lambda: world.link_bytes()[name][1] - before > 250_000, within_s=90
    )
    if fault == "link":
        world.lab.link(name, up=False)
    else:
        world.lab.power(name, on=False)
    cut = syncing.result(timeout=240)
    assert cut.returncode == 3, cut.stdout
    assert f"{name}: off-line" in cut.stdout
    if fault == "power":
        world.lab.power(name, on=True)
    world.lab.link(name, up=True, kbit=20_000)
    eventually(
        "ops reach it again", lambda: world.ssh(name, "true", timeout_s=30) == "", within_s=90
    )
    world.fab("sync", "--target", name)
    aboard(world, title)
    whole(world, name, title)
    expect_usage(world, marker, EVENTS)


def noise(path: Path) -> Path:
    """A PDF that no other is like: what is aboard already by its hash would not travel."""
    pages = [Image.frombytes("RGB", (600, 800), secrets.token_bytes(600 * 800 * 3)) for _ in "ab"]
    pages[0].save(path, save_all=True, append_images=pages[1:], quality=60)
    return path


def ingest(world: World, name: str) -> str:
    """Has the hangar take in what lies in an aircraft's inbox now, and returns what it found wrong."""
    program = (
        "from common.database import engine_for; from common.settings import Settings;"
        " from sync import hangar; settings = Settings.load();"
        f" print(hangar.ingest(engine_for(settings), settings, {name!r}).problems)"
    )
    shell = (
        f". /etc/turnaround/app.env; /opt/turnaround/current/hangar/bin/python -c {quote(program)}"
    )
    return world.ssh("hangar", f"cd / && sudo -n -u turnaround sh -c {quote('set -a; ' + shell)}")


def import_paper(world: World, title: str, paper: Path) -> None:
    browser = editor(world)
    page = browser.submit(
        "/ingest",
        {"kind": "newspaper", "title": title, "language": "en"},
        ("file", paper),
    )
    eventually(
        f"{title} is imported",
        lambda: browser.session.get(f"{page.url}.json", timeout=20).json()["state"] == "done",
        within_s=120,
    )


def whole(world: World, name: str, title: str) -> None:
    """Every file of an item aboard is the file that the hangar published."""
    item = find(world, name, title)
    assert item is not None
    rows = world.sql("hangar", f"select path, size from asset where item_id = '{item['id']}'")
    assert rows
    for path, size in rows:
        answer = requests.get(f"{world.portal(name)}/media/{item['id']}/{path}", timeout=60)
        assert (answer.status_code, len(answer.content)) == (200, int(size)), path


def watch_something(world: World, name: str, events: int) -> str:
    """A new passenger's phone says `events` times what it watches; returns the passenger's address."""
    email = f"p-{secrets.token_hex(4)}@example.com"
    api = f"{world.portal(name)}/api/v1"
    body = {"email": email, "name": "Bo", "language": "en", "password": secrets.token_urlsafe(12)}
    made = requests.post(f"{api}/users", json=body, timeout=20)
    assert made.status_code == 201, made.text
    headers = {"Authorization": f"Token {made.json()['token']}"}
    for _ in range(events):
        said = requests.post(f"{api}/stats", json={"kind": "play"}, headers=headers, timeout=20)
        assert said.status_code == 202, said.text
    return email


def expect_usage(world: World, email: str, events: int) -> None:
    """The hangar comes to know the passenger with exactly so many events, and no more later."""
    query = (
        "select count(e.id) from app_user u left join usage_event e on e.user_id = u.id"
        f" where u.email = '{email}' group by u.id"
    )
    eventually(
        f"{events} events of {email} are at the hangar",
        lambda: world.sql("hangar", query) == [[str(events)]],
        within_s=90,
    )
    # A second synchronisation has nothing left to send: the count stays.
    name = world.aircraft[1]
    world.fab("sync", "--target", name)
    ingest(world, name)
    assert world.sql("hangar", query) == [[str(events)]]


@contextmanager
def link_down(world: World, name: str) -> Iterator[None]:
    world.lab.link(name, up=False)
    try:
        yield
    finally:
        world.lab.link(name, up=True)


def broken_revision(index: Path) -> str:
    """A revision whose app raises when it is imported."""
    app = 'raise RuntimeError("broken on purpose")\n'
    return revision_with({"onboard_app/__init__.py": app}, index)


def artifact_stream(world: World, manifest: dict[str, Any], sha256: str, body: bytes) -> bytes:
    """What `fab deploy` would send, with a file whose bytes are not those that its hash promises."""
    frame = stream.pack(stream.FILE, body)
    lying = frame[:2] + bytes.fromhex(sha256) + frame[34:]
    text = json.dumps(manifest).encode()
    said = Envelope(
        fleet=world.lab.name,
        kind=manifest["kind"],
        version=manifest["version"],
        manifest=hashlib.sha256(text).hexdigest(),
        counter=int(time.time()),
        at=envelope.now(),
        by="story",
    )
    key = envelope.key_in(world.lab.directory / "keys")
    return b"".join(
        [
            stream.MAGIC,
            stream.pack(stream.MANIFEST, text),
            stream.pack(stream.ENVELOPE, envelope.signed(said, key, RELEASE)),
            lying,
            stream.pack(stream.END),
        ]
    )
