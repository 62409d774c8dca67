"""What the hangar must be."""

from __future__ import annotations

import pytest
import requests
from testinfra.host import Host

from ci.checks.conftest import one_serves
from ci.story.world import World

pytestmark = pytest.mark.hosts


QUEUES = ("dispatch", "sync", "publish", "media", "converge", "campaign")


def test_one_version_serves_as_our_account_and_the_link_names_it(hangar: Host) -> None:
    one_serves(hangar, "hangar", "web")


@pytest.mark.parametrize("name", [f"turnaround-worker-{queue}" for queue in QUEUES])
def test_our_units_run_as_our_account(hangar: Host, name: str) -> None:
    assert hangar.service(name).is_running
    assert hangar.service(name).is_enabled
    assert "User=turnaround\n" in hangar.run("systemctl show -p User %s", name).stdout


def test_the_release_is_a_link_to_a_whole_directory(hangar: Host) -> None:
    assert "/releases/hangar/" in hangar.file("/opt/turnaround/current/hangar").linked_to


def test_every_aircraft_is_a_peer_with_its_own_address_only(hangar: Host, world: World) -> None:
    allowed = hangar.run("wg show wg0 allowed-ips").stdout.strip().splitlines()
    assert sorted(line.split("\t")[1] for line in allowed) == sorted(
        f"{world.inventory['hosts'][name]['tower']}/32" for name in world.aircraft
    )


def test_an_aircraft_key_opens_its_own_folder_only(hangar: Host, world: World) -> None:
    lines = hangar.file("/var/lib/turnaround/fleet/.ssh/authorized_keys").content_string
    for name in world.aircraft:
        assert f'-m sync.gate {name}",restrict ssh-ed25519 ' in lines
    inbox = hangar.file(f"/var/lib/turnaround/sync/inbox/{world.aircraft[0]}")
    outbox = hangar.file(f"/var/lib/turnaround/sync/outbox/{world.aircraft[0]}")
    assert (inbox.user, inbox.mode) == ("fleet", 0o2770)
    assert (outbox.user, outbox.mode) == ("turnaround", 0o750)


def test_heartbeats_are_not_taken_on_the_public_side(world: World) -> None:
    answer = requests.post(f"{world.portal('hangar')}/tower/v1/heartbeat", json={}, timeout=20)
    assert answer.status_code == 404


def test_the_fleet_page_is_behind_a_login(world: World) -> None:
    answer = requests.get(f"{world.portal('hangar')}/", timeout=20, allow_redirects=False)
    assert answer.status_code == 302
    assert "/login" in answer.headers["Location"]
