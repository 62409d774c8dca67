"""What a lab writes: a host's files, its state, the inventory, the ssh_config."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ci.lab import inventory, ssh, state, tree
from ci.lab.addresses import Plan
from ci.lab.state import State
from fleet.inventory import load

PLAN = Plan("lab", 0)


def test_an_aircraft_leaves_by_the_ramp_alone():
    written = tree.files(PLAN.aircraft(1))
    assert "Gateway=10.100.1.1" in written["etc/systemd/network/10-ramp0.network"]
    assert "Gateway" not in written["etc/systemd/network/10-cell0.network"]
    assert "Gateway" not in written["etc/systemd/network/10-cabin0.network"]
    assert written["etc/hostname"] == "EC-TAA\n"


def test_ipv6_is_spoken_in_the_cabin_alone():
    written = tree.files(PLAN.aircraft(1))
    speaking = {
        path
        for path, text in written.items()
        if "Address=fd00:" in text and "LinkLocalAddressing=ipv6" in text
    }
    assert speaking == {"etc/systemd/network/10-cabin0.network"}
    assert sum("LinkLocalAddressing=no" in text for text in written.values()) == 2


def test_name_servers_on_the_machines_loopback_are_of_no_use_to_hosts():
    text = "# x\nnameserver 127.0.0.53\nsearch lan\nnameserver ::1\nnameserver 192.0.2.53\n"
    assert tree.nameservers(text) == ["192.0.2.53"]


def test_inner_mounts_are_unmounted_first():
    mounts = (
        "overlay /l/a/tree overlay rw 0 0\ntmpfs /l/a/tree/run tmpfs rw 0 0\nx /l2/b x rw 0 0\n"
    )
    assert tree.mounts_below(Path("/l"), mounts) == ["/l/a/tree/run", "/l/a/tree"]


def test_a_mount_point_with_a_space_is_found():
    assert tree.mounts_below(Path("/my lab"), "o /my\\040lab/tree overlay rw 0 0\n") == [
        "/my lab/tree"
    ]


def test_the_state_comes_back_as_it_was_kept(tmp_path: Path):
    kept = State(3, 2, "/base").with_ramp("EC-TAB", False).with_link("EC-TAA", {"rtt_ms": 300})
    state.write(tmp_path, kept)
    assert state.read(tmp_path) == kept
    assert kept.with_ramp("EC-TAB", True).unplugged == ()


def test_the_state_outlives_a_power_cut_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[str] = []
    monkeypatch.setattr(
        "os.fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}"))
    )
    state.write(tmp_path, State(3, 2, "/base"))
    assert len(synced) == 2
    assert synced[-1] == str(tmp_path), "the rename is durable only with its folder"


def test_a_folder_without_a_lab_has_no_state(tmp_path: Path):
    assert state.read(tmp_path) is None


def test_the_fleets_commands_can_read_the_inventory(tmp_path: Path):
    path = tmp_path / "inventory.yml"
    inventory.write(path, PLAN, 2, "ssh-ed25519 AAAA releases of the lab\n", {})
    hosts = {host.name: host for host in load(path).hosts.values()}
    assert list(hosts) == ["hangar", "EC-TAA", "EC-TAB"]
    second = hosts["EC-TAB"]
    assert (second.address, second.tower, second.via) == ("10.100.64.12", "10.100.64.12", "hangar")
    assert second.vars["cabin_address"] == "10.100.102.1"
    assert second.vars["tower_endpoint"] == "10.100.2.1:51812"
    assert second.vars["release_signers"] == ["ssh-ed25519 AAAA releases of the lab"]
    assert hosts["hangar"].vars["public_address"] == hosts["hangar"].address == "10.100.2.2"


def test_a_hangar_that_has_another_place_says_so_in_the_inventory(tmp_path: Path):
    path = tmp_path / "inventory.yml"
    inventory.write(
        path,
        PLAN,
        1,
        "ssh-ed25519 AAAA releases",
        {"backup_to": "a@10.0.0.1:22:/b", "backup_host_keys": ["x y"]},
    )
    hangar = load(path).hosts["hangar"]
    assert hangar.roles[-1] == "backup"
    assert (hangar.vars["backup_to"], hangar.vars["backup_host_keys"]) == (
        "a@10.0.0.1:22:/b",
        ["x y"],
    )


def door(number: int, *, enrolled: bool, ramp: bool) -> ssh.Door:
    plan = PLAN.hosts(number)[number]
    return ssh.Door(plan, "ssh-ed25519 AAAA", enrolled=enrolled, ramp=ramp)


def test_a_bare_aircraft_is_reached_over_the_ramp_as_root():
    text = ssh.config([door(1, enrolled=False, ramp=True)], Path("/k"), Path("/h"))
    assert "HostName 10.100.1.11\n" in text
    assert "User root\n" in text
    assert "ProxyJump" not in text


def test_an_aircraft_off_the_ramp_is_reached_through_the_hangar_as_ops():
    text = ssh.config([door(1, enrolled=True, ramp=False)], Path("/k"), Path("/h"))
    assert "HostName 10.100.64.11\n" in text
    assert "User ops\n" in text
    assert "ProxyJump hangar\n" in text


def test_host_keys_are_pinned_under_the_hosts_names():
    doors = [door(0, enrolled=True, ramp=True), door(1, enrolled=True, ramp=True)]
    assert ssh.known_hosts(doors) == "hangar ssh-ed25519 AAAA\nEC-TAA ssh-ed25519 AAAA\n"
    assert "StrictHostKeyChecking yes" in ssh.config(doors, Path("/k"), Path("/h"))


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path):
    path = tmp_path / "keys" / "ops_ed25519"
    public = ssh.make_key(path, "ops of the lab")
    assert public.startswith("ssh-ed25519 ")
    assert path.stat().st_mode & 0o777 == 0o600
    assert public.endswith(" ops of the lab\n")
    assert ssh.make_key(path, "ops of the lab") == public
