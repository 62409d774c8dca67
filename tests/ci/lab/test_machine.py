"""What the lab asks of the machine: mirror, device, disk, subnets, firewall."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ci.lab import base, cgroup, firewall, machine, mirror
from ci.lab.addresses import Plan
from ci.lab.errors import LabFault

TARGETS = """\
http://deb.example/debian/ bookworm
http://deb.example/debian/ bookworm-updates
http://security.example/debian-security/ bookworm-security
http://node.example/ nodistro
"""


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_the_mirrors_are_the_machines_own():
    found = mirror.parse(TARGETS, "")
    assert found.sources("trixie") == [
        "deb http://deb.example/debian/ trixie main",
        "deb http://deb.example/debian/ trixie-updates main",
        "deb http://security.example/debian-security/ trixie-security main",
    ]


def test_a_mirror_named_in_a_file_is_found():
    found = mirror.parse(
        "mirror+file:/etc/apt/mirrors/debian.list bookworm\n",
        "",
        read=lambda path: {"/etc/apt/mirrors/debian.list": "# ours\nhttps://m.example/d\n"}[
            str(path)
        ],
    )
    assert (found.archive, found.security) == ("https://m.example/d", "")


def test_a_machine_without_debian_is_told_what_is_wanted():
    with pytest.raises(LabFault, match="no Debian mirror"):
        mirror.parse("http://archive.example/ubuntu/ noble\n", "")


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        ("", ["indextargets", "update", "indextargets", "dump"]),
        (
            "http://deb.example/debian/ bookworm\n",
            ["indextargets", "update", "indextargets", "dump"],
        ),
        (TARGETS, ["indextargets", "dump"]),
    ],
    ids=["no source", "not all sources", "all sources"],
)
def test_a_machine_that_was_never_updated_is_updated_first(known: str, asked: list[str]):
    ran: list[str] = []

    def run(argv, timeout_s=60.0):
        ran.append(argv[1])
        if argv[1] != "indextargets":
            return ""
        return TARGETS if "update" in ran else known

    found = mirror.of_this_machine(run)
    assert found.archive == "http://deb.example/debian/"
    assert found.security == "http://security.example/debian-security/"
    assert ran == asked


def test_proxy_and_dates_are_passed_on_and_paths_are_not():
    config = (
        'Acquire::http::Proxy "http://p:3142";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::https::CaInfo "/etc/x.pem";\n'
    )
    assert mirror.parse(TARGETS, config).settings == (
        'Acquire::http::Proxy "http://p:3142";',
        'Acquire::Check-Valid-Until "false";',
    )


def test_the_base_tree_is_named_after_its_recipe():
    here = mirror.Mirror("http://a/", "http://s/")
    same, other = base.Recipe(here), base.Recipe(here, waiting=("nginx",))
    assert base.Recipe(here).key == same.key != other.key


def test_programs_that_cannot_be_had_are_a_fault_of_the_lab(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(LabFault, match=r"the lab needs the Debian packages .*\n.*Debian machine"):
        machine.install(lambda line: None)


def test_a_full_disk_is_a_sentence(tmp_path: Path):
    with pytest.raises(LabFault, match=r"GB free, and the lab needs .* GB there\n.*make room"):
        base.check_disk(tmp_path, 1 << 60)


@pytest.mark.usefixtures("as_root")
def test_a_machine_without_tunnels_is_told_how_to_get_them(tmp_path: Path):
    with pytest.raises(LabFault, match="modprobe tun"):
        machine.check(tun=tmp_path / "tun")


def test_without_root_there_is_no_lab(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabFault, match="only root may"):
        machine.check()


def test_a_machine_without_control_groups_is_told_so(tmp_path: Path):
    with pytest.raises(LabFault, match=r"needs control groups \(version 2\)"):
        cgroup.hierarchy(tmp_path)


def test_control_groups_may_be_mounted_one_level_down(tmp_path: Path):
    (tmp_path / "unified").mkdir()
    for name in ("cgroup.procs", "cgroup.controllers"):
        (tmp_path / "unified" / name).touch()
    assert cgroup.hierarchy(tmp_path) == tmp_path / "unified"


@pytest.mark.parametrize(
    ("routes", "taken"),
    [
        ('[{"dst": "10.100.0.0/16"}]', True),
        ('[{"dst": "10.100.7.1"}]', True),
        ('[{"dst": "default"}, {"dst": "10.0.0.0/8"}, {"dst": "10.101.0.0/24"}]', False),
        ("", False),
    ],
)
def test_a_subnet_is_taken_when_a_route_leads_into_it(routes: str, taken: bool):
    assert machine.overlaps(0, routes) is taken


def test_the_firewall_takes_back_exactly_what_it_gave():
    saved = (
        "*filter\n:FORWARD ACCEPT [0:0]\n"
        "-A FORWARD -o docker0 -j DOCKER\n"
        "-A FORWARD -o lab-+ -m comment --comment turnaround-lab-lab -j DROP\n"
        '-A FORWARD -o lab-+ -m comment --comment "turnaround-lab-lab" -j ACCEPT\n'
        "-A FORWARD -o lab2-+ -m comment --comment turnaround-lab-lab2 -j DROP\n"
        "COMMIT\n"
    )
    assert firewall.removal("lab", saved).splitlines() == [
        "*filter",
        "-D FORWARD -o lab-+ -m comment --comment turnaround-lab-lab -j DROP",
        '-D FORWARD -o lab-+ -m comment --comment "turnaround-lab-lab" -j ACCEPT',
        "COMMIT",
    ]
    assert firewall.removal("other", saved) == ""


def test_every_rule_names_its_lab():
    lines = firewall.rules(Plan("lab", 0), 2).splitlines()
    rules = [line for line in lines if line.startswith("-")]
    assert rules
    assert all("--comment turnaround-lab-lab " in rule for rule in rules)


def test_only_the_hangar_gets_anything_into_the_cellular_bridge_and_that_to_the_vault():
    lines = firewall.rules(Plan("lab", 0), 2).splitlines()
    into = [line for line in lines if "-o lab-cell" in line and "ACCEPT" in line]
    assert [line.split(" -m ")[0] for line in into] == [
        "-I FORWARD 1 -i lab-cell -o lab-cell -s 10.100.2.2 -d 10.100.2.3"
    ]


@pytest.mark.parametrize(("before", "after"), [("128", "4096"), ("8192", "8192")])
def test_a_low_limit_is_raised_and_a_high_one_kept(tmp_path: Path, before: str, after: str):
    limit = tmp_path / "max_user_instances"
    limit.write_text(before)
    machine.raise_limits(limit)
    assert limit.read_text() == after
