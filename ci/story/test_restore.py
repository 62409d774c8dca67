"""The hangar destroyed in the middle of its day, and restored: nobody else in the fleet is told."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from ci.checks.test_sandbox import WORST, exposed
from ci.story.publish import aboard, editor
from ci.story.teller import eventually
from ci.story.test_faults import expect_usage, import_paper, noise, watch_something, whole
from ci.story.world import World

pytestmark = pytest.mark.hosts

STATE = "/var/lib/turnaround/backup"
OUTBOX = "/var/lib/turnaround/sync/outbox/use"
KEPT_S = 120
ACKED_S = 180


@pytest.fixture(scope="module")
def backed_up(world: World) -> World:
    """The world with another place, which has the hangar as it is now."""
    world.lab.vault()
    world.fab("converge", "--target", "hangar")
    for what in ("database", "files"):
        world.ssh("hangar", f"sudo systemctl start turnaround-backup-{what}", timeout_s=KEPT_S)
    return world


def test_what_keeps_the_hangar_is_closed_and_goes_on(backed_up: World) -> None:
    world, units = backed_up, "turnaround-backup-database turnaround-backup-files"
    found = exposed(world.ssh("hangar", f"systemd-analyze security --no-pager {units}"))
    assert len(found) == 2
    assert max(found.values()) <= WORST
    begins = "turnaround-backup-database.timer turnaround-backup-files.timer"
    active = world.ssh("hangar", f"systemctl is-active {begins} turnaround-backup-files.path")
    assert active.split() == ["active"] * 3
    paths = " ".join(f"/etc/turnaround/backup/{one}" for one in ("key", "passphrase"))
    modes = world.ssh(
        "hangar", f"sudo stat -c '%U %a' {paths} /etc/turnaround/backup/pgbackrest.conf"
    )
    assert modes.splitlines() == ["postgres 600", "root 600", "root 640"]
    there = world.lab.vault().files
    assert (there / "database/archive/turnaround/archive.info").read_bytes()[:8] == b"Salted__"
    assert b"repository" not in (there / "files/config").read_bytes()


def unacknowledged(world: World, name: str) -> str:
    return world.ssh(name, f"sudo find {OUTBOX} -name '*.cs' | wc -l").strip()


def entries(world: World) -> list[dict[str, Any]]:
    """The whole audit log, the oldest entry first."""
    return world.fab_json("audit", "--last", "1000")


def test_a_destroyed_hangar_comes_back_and_nothing_is_lost(
    backed_up: World, tmp_path: Path
) -> None:
    world, name = backed_up, backed_up.aircraft[1]
    early = watch_something(world, name, 5)
    world.fab("sync", "--target", name)
    eventually(
        "the archive has it, so the aircraft may forget it",
        lambda: unacknowledged(world, name) == "0",
        within_s=ACKED_S,
    )
    # It is applied at the hangar when that is destroyed, and nowhere else but aboard.
    late = watch_something(world, name, 7)
    world.fab("sync", "--target", name)
    expect_at_hangar(world, late, 7)
    before, written = world.fab_json("status"), entries(world)
    assert written
    world.lab.replace("hangar")
    world.fab(
        "restore",
        "--host",
        world.lab.first_contact("hangar"),
        "--fingerprint",
        world.lab.fingerprint("hangar"),
    )
    then = entries(world)
    assert then[: len(written)] == written
    assert [(each["what"], each["event"]) for each in then[len(written) :]] == [
        ("restore", "issued"),
        ("restore", "ended"),
    ]
    assert then[len(written)]["counter"] > max(each.get("counter", 0) for each in written)
    expect_usage(world, early, 5)
    expect_usage(world, late, 7)
    eventually(
        "the aircraft forgets what the restored hangar's archive has",
        lambda: unacknowledged(world, name) == "0",
        within_s=ACKED_S,
    )
    assert [row["name"] for row in world.fab_json("status")] == [row["name"] for row in before]
    title = f"The day after {secrets.token_hex(3)}"
    import_paper(world, title, noise(tmp_path / "paper.pdf"))
    aboard(world, title)
    whole(world, name, title)


def test_a_hangar_that_lives_is_not_restored(backed_up: World) -> None:
    world = backed_up
    said = world.fab("restore", "--host", world.lab.first_contact("hangar"), "--yes", expect=64)
    assert "its database was left alone" in said
    editor(world)


def test_a_restored_hangar_is_as_declared(backed_up: World) -> None:
    backed_up.fab("converge", "--target", "all", "--check")


def expect_at_hangar(world: World, email: str, events: int) -> None:
    query = (
        "select count(*) from usage_event e join app_user u on e.user_id = u.id"
        f" where u.email = '{email}'"
    )
    eventually(
        f"{events} events of {email} are at the hangar",
        lambda: world.sql("hangar", query) == [[str(events)]],
        within_s=60,
    )
