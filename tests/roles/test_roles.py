"""Roles declare without asking anything, and say the same whatever order the inventory is in."""

from __future__ import annotations

import os
import re
import subprocess
from base64 import b64encode
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import require
from fleet.aboard.envelope import CONFIGURATION, RELEASE
from fleet.aboard.serving import DRAIN_S, START_S
from fleet.build import APPLICATIONS
from fleet.context import RoleContext, contexts
from fleet.inventory import Host, Inventory
from hangar_app import ingest
from hangar_app.work import KINDS
from roles import services
from roles.context import in_group

TOP = Path(__file__).resolve().parents[2]
ROLES = {
    "hangar": ("base", "aboard", "tower", "hangar"),
    "EC-TAA": ("base", "aboard", "tower", "aircraft", "modem"),
}


def fleet(*, enrolled: bool = True) -> dict[str, RoleContext]:
    def facts(name: str) -> dict[str, str]:
        names = ("host_key", "ssh_key", "dispatch_key")
        tower_key = b64encode(name.encode().ljust(32)).decode()
        known = {key: f"{key}-of-{name}" for key in names} | {"tower_key": tower_key}
        return known if enrolled else {}

    shared = {
        "airline": "TA",
        "airline_name": "Turnaround Air",
        "tower_network": "10.1.64.0/24",
        "release_signers": ["ssh-ed25519 AAAA eva", "ssh-ed25519 BBBB"],
    }
    hosts = [
        Host(
            "hangar",
            ("hangar",),
            (),
            "10.1.2.2",
            tower="10.1.64.1",
            vars={**shared, "public_address": "10.1.2.2"},
            facts=facts("hangar"),
        ),
        *(
            Host(
                name,
                ("aircraft",),
                (),
                f"10.1.64.{number}",
                tower=f"10.1.64.{number}",
                vars={
                    **shared,
                    "cabin_address": f"10.1.{number}.1",
                    "cabin_network": f"10.1.{number}.0/24",
                    "tower_endpoint": "10.1.2.1:51811",
                },
                facts=facts(name),
            )
            for number, name in ((11, "EC-TAA"), (12, "EC-TAB"))
        ),
    ]
    return contexts(Inventory("lab", Path(), hosts={host.name: host for host in hosts}))


def declared(host: RoleContext) -> require.Catalog:
    with require.declare(templates=TOP / "templates") as catalog:
        for role in ROLES[host.name]:
            with require.declare(role=role):
                import_module(f"roles.{role}").apply(host)
    return catalog


def content(catalog: require.Catalog, path: str) -> str:
    resource: Any = catalog[f"file:{path}"]
    return str(resource.content.decode())


@pytest.mark.parametrize("name", ROLES)
@pytest.mark.parametrize("enrolled", [True, False])
def test_every_role_declares_in_an_order_that_exists(name: str, enrolled: bool) -> None:
    catalog = declared(fleet(enrolled=enrolled)[name])
    assert len(catalog.ordered()) == len(catalog) > 25


def test_each_variable_that_may_be_left_out_is_in_the_inventorys_table() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (TOP / "inventory/README.md").read_text(), re.MULTILINE)
    told = set(re.findall(r"`(\w+)`", " ".join(rows)))
    for path in (TOP / "roles").glob("*.py"):
        asked = re.findall(r'vars\.\w+\(\s*"(\w+)",', path.read_text())
        assert set(asked) <= told, path.name


def test_an_aircraft_has_the_hangar_as_its_only_peer() -> None:
    text = content(declared(fleet()["EC-TAA"]), "/etc/wireguard/wg0.conf")
    assert text.count("[Peer]") == 1
    assert "AllowedIPs = 10.1.64.1/32" in text
    assert "Endpoint = 10.1.2.1:51811" in text
    assert "PrivateKey" not in text


def test_the_hangar_knows_only_aircraft_that_are_enrolled() -> None:
    assert content(declared(fleet()["hangar"]), "/etc/wireguard/wg0.conf").count("[Peer]") == 2
    hosts = fleet(enrolled=False)
    assert "[Peer]" not in content(declared(hosts["hangar"]), "/etc/wireguard/wg0.conf")


def changing(name: str, **facts: str) -> dict[str, RoleContext]:
    """The fleet while a key of one host is being changed."""
    hosts = fleet()
    hosts[name].facts.update(facts)  # type: ignore[attr-defined]
    return hosts


def test_an_aircraft_comes_in_over_the_tower_only() -> None:
    hosts = fleet()
    user: Any = declared(hosts["hangar"])["user:fleet"]
    for line, name in zip(user.authorized_keys, ("EC-TAA", "EC-TAB"), strict=True):
        assert line.startswith(f'from="{hosts[name].tower}",command=')
        assert f' {name}",restrict ' in line


def test_ssh_keys_are_taken_side_by_side_while_one_is_changed() -> None:
    hangar = declared(changing("EC-TAA", ssh_key_next="ssh_key-that-comes")["hangar"])
    fleet_user: Any = hangar["user:fleet"]
    assert [line.rsplit(" ", 1)[1] for line in fleet_user.authorized_keys] == [
        "ssh_key-of-EC-TAA",
        "ssh_key-that-comes",
        "ssh_key-of-EC-TAB",
    ]
    aircraft = declared(changing("hangar", dispatch_key_next="dispatch_key-that-comes")["EC-TAA"])
    dispatch: Any = aircraft["user:dispatch"]
    assert len(dispatch.authorized_keys) == 2


def test_the_hangar_calls_an_aircraft_by_the_tower_key_that_comes() -> None:
    comes = b64encode(b"comes".ljust(32)).decode()
    hosts = changing("EC-TAA", tower_key_next=comes)
    text = content(declared(hosts["hangar"]), "/etc/wireguard/wg0.conf")
    assert f"PublicKey = {comes}\n" in text
    assert hosts["EC-TAA"].facts["tower_key"] not in text


def test_an_aircraft_learns_the_hangars_next_tower_key_and_keeps_the_present_one() -> None:
    comes = b64encode(b"comes".ljust(32)).decode()
    hosts = changing("hangar", tower_key_next=comes)
    aircraft = declared(hosts["EC-TAA"])
    assert content(aircraft, "/etc/turnaround/keys/tower.hangar.next") == f"{comes}\n"
    assert hosts["hangar"].facts["tower_key"] in content(aircraft, "/etc/wireguard/wg0.conf")
    taken = changing("hangar", tower_key=comes, tower_key_next=comes)
    gone: Any = declared(taken["EC-TAA"])["file:/etc/turnaround/keys/tower.hangar.next"]
    assert gone.kind == "absent"


def modem(port: str | None) -> require.Catalog:
    hosts = fleet()
    if port is not None:
        hosts["EC-TAA"].vars["modem_at_port"] = port
    return declared(hosts["EC-TAA"])


def test_nobody_but_the_agent_touches_the_modem() -> None:
    catalog = modem(None)
    assert "apt.absent:modemmanager,network-manager" in catalog
    for name in ("ModemManager", "NetworkManager"):
        mask: Any = catalog[f"systemd.mask:{name}.service"]
        assert mask.masked
    rules: Any = catalog["file:/etc/udev/rules.d/70-turnaround-modem.rules"]
    assert rules.kind == "absent"


def test_the_modem_has_a_name_that_stays() -> None:
    text = content(modem("2c7c:0125:02"), "/etc/udev/rules.d/70-turnaround-modem.rules")
    assert 'ATTRS{idVendor}=="2c7c", ATTRS{idProduct}=="0125"' in text
    assert 'ENV{ID_USB_INTERFACE_NUM}=="02", SYMLINK+="ttyMODEM"' in text


@pytest.mark.parametrize("port", ["2c7c", "2c7c:0125", '2c7c:0125:02"'])
def test_a_modem_that_cannot_be_is_refused(port: str) -> None:
    with pytest.raises(require.DeclarationError, match="modem_at_port: expected"):
        modem(port)


def test_passengers_are_answered_on_the_web_ports_only() -> None:
    text = content(declared(fleet()["EC-TAA"]), "/etc/nftables.conf")
    taken = [line for line in text.splitlines() if '"cabin0"' in line and "accept" in line]
    assert [line.strip().removeprefix('iifname "cabin0" meta nfproto ipv4 ') for line in taken] == [
        "udp sport 68 udp dport 67 limit rate 100/second burst 200 packets accept",
        "tcp dport { 80 } accept",
        "udp dport { 53 } accept",
        'oifname "cabin0" ct state established,related accept',
        'oifname "cabin0" meta nfproto ipv4 udp sport 67 udp dport 68 accept',
    ]
    assert text.count("policy drop") == 2


def test_one_passenger_cannot_hold_all_connections() -> None:
    text = content(declared(fleet()["EC-TAA"]), "/etc/nftables.conf")
    rules = [line.split() for line in text.splitlines() if '"cabin0" tcp dport' in line]
    assert [rule[-1] for rule in rules] == ["drop", "drop"], "before what is accepted"
    assert "add @present { ip saddr ct count over 128 } drop" in " ".join(rules[1])


def test_an_aircraft_key_is_forced_into_its_own_folder() -> None:
    resource: Any = declared(fleet()["hangar"])["user:fleet"]
    assert [line.split(",restrict ")[0].rsplit(" ", 1)[1] for line in resource.authorized_keys] == [
        'EC-TAA"',
        'EC-TAB"',
    ]


@pytest.mark.parametrize("name", ROLES)
def test_each_host_knows_its_fleet_and_whose_releases_it_takes(name: str) -> None:
    catalog = declared(fleet()[name])
    assert content(catalog, "/etc/turnaround/fleet_name") == "lab\n"
    first = f'release namespaces="{RELEASE},{CONFIGURATION}"'
    assert content(catalog, "/etc/turnaround/keys/release_signers") == (
        f"{first} ssh-ed25519 AAAA eva\n{first} ssh-ed25519 BBBB\n"
    )


def test_settings_name_this_host() -> None:
    text = content(declared(fleet()["EC-TAA"]), "/etc/turnaround/app.env")
    assert 'TURNAROUND_NODE="EC-TAA"\n' in text
    assert 'TURNAROUND_HANGAR_URL="http://10.1.64.1"\n' in text


@pytest.mark.parametrize("name", ["L'Avion", 'The "Best" Air', "$HOME `id` \\\\ Air"])
def test_a_setting_is_read_by_a_shell_as_it_was_written(name: str) -> None:
    line = f'NAME="{services.quoted(name)}"; printf %s "$NAME"'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == name


def units(host: Host, kind: str) -> dict[str, str]:
    """The texts of the units that run a release of that kind, by their names."""
    catalog, folder = declared(host), "/etc/systemd/system/"
    paths = [one.key.removeprefix("file:") for one in catalog if f"file:{folder}" in one.key]
    texts = {path.removeprefix(folder): content(catalog, path) for path in paths}
    return {
        name: text for name, text in texts.items() if f"/opt/turnaround/current/{kind}/" in text
    }


def workers() -> dict[str, str]:
    """The units that work on the hangar's queues."""
    runs = units(fleet()["hangar"], "hangar")
    return {name: text for name, text in runs.items() if "celery" in text}


def test_each_queue_has_one_worker_of_its_own() -> None:
    served = [
        (name, *re.findall(r" -Q (\S+) -n (\S+)@hangar ", text)) for name, text in workers().items()
    ]
    assert sorted(served) == sorted(
        (f"turnaround-worker-{kind.queue}.service", (kind.queue, kind.queue))
        for kind in KINDS.values()
    )


@pytest.mark.parametrize(("name", "kind"), [("hangar", "hangar"), ("EC-TAA", "onboard")])
def test_a_release_restarts_all_that_runs_it(name: str, kind: str) -> None:
    running = {
        unit for unit, text in units(fleet()[name], kind).items() if "Type=oneshot" not in text
    }
    assert set(APPLICATIONS[kind].units) == running


@pytest.mark.parametrize(("name", "kind"), [("hangar", "hangar"), ("EC-TAA", "onboard")])
def test_what_serves_is_a_unit_of_each_version_on_a_socket_of_its_own(name: str, kind: str) -> None:
    beside = APPLICATIONS[kind].beside
    text = content(declared(fleet()[name]), f"/etc/systemd/system/{beside.unit}")
    assert f"ExecStart=/opt/turnaround/releases/{kind}/%i/bin/python -m gunicorn " in text
    assert f" --bind unix:{beside.own('%i')} " in text
    assert "Type=notify\n" in text
    stop_s = int(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[0])
    graceful_s = int(re.findall(r" --graceful-timeout (\d+) ", text)[0])
    assert graceful_s < stop_s < DRAIN_S


@pytest.mark.parametrize(
    ("name", "unit"), [("hangar", "turnaround-web"), ("EC-TAA", "turnaround-api")]
)
def test_the_one_unit_that_served_before_does_not_start_again(name: str, unit: str) -> None:
    plain: Any = declared(fleet()[name])[f"systemd.service:{unit}.service"]
    assert (plain.enabled, plain.running) == (False, None)


def test_a_worker_that_is_stopped_may_finish_what_is_short() -> None:
    for name, text in workers().items():
        seconds = int(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[0])
        assert 0 < seconds < START_S, name
        # What it started, such as ssh or ffmpeg, is not told to stop before it.
        assert "KillMode=mixed\n" in text, name


def blocks(text: str, kind: str) -> dict[str, str]:
    """The blocks of that kind in an nginx file which hold no block, by what they are for."""
    return dict(re.findall(rf"^ *{kind} ([^{{]+?) {{([^{{}}]*)}}", text, re.MULTILINE))


def test_a_request_that_comes_slowly_holds_no_thread_of_the_hangar() -> None:
    text = content(declared(fleet()["hangar"]), "/etc/nginx/conf.d/turnaround.conf")
    unbuffered = blocks(text, "location")[f"= {ingest.blueprint.url_prefix}"]
    assert "proxy_request_buffering off;" in unbuffered
    assert "client_max_body_size 4g;" in unbuffered
    rest = text.replace(unbuffered, "")
    assert "proxy_request_buffering" not in rest
    assert re.findall(r"client_max_body_size (\S+);", rest) == ["1m", "64k"]


def secret_key(folder: Path) -> tuple[str, str]:
    """What makes our apps' secret key, and its guard, in that folder instead of the host's."""
    command: Any = declared(fleet()["EC-TAA"])["command:secret key of our apps"]
    make, guard = (
        words[-1].replace("/etc/turnaround/keys", str(folder))
        for words in (command.argv, command.unless)
    )
    return make, guard


def test_the_secret_key_is_on_the_disk_before_it_has_its_name(tmp_path: Path) -> None:
    steps = "chgrp() { :; }; sync() { echo sync; }; mv() { echo mv; command mv $*; }; "
    make, _ = secret_key(tmp_path)
    done = subprocess.run(["sh", "-c", steps + make], capture_output=True, text=True, check=True)
    assert done.stdout == "sync\nmv\n"
    assert len((tmp_path / "secret_key").read_text()) == 64


@pytest.mark.parametrize(("text", "done"), [(None, False), ("", False), ("key", True)])
def test_a_secret_key_that_a_power_cut_left_empty_is_made_again(
    tmp_path: Path, text: str | None, done: bool
) -> None:
    if text is not None:
        (tmp_path / "secret_key").write_text(text)
    _, guard = secret_key(tmp_path)
    assert (subprocess.run(["sh", "-c", guard]).returncode == 0) is done


def test_the_hangars_age_key_is_made_where_a_power_cut_left_half_of_one(tmp_path: Path) -> None:
    command: Any = declared(fleet()["hangar"])["command:age key of the hangar"]
    make = command.argv[-1].replace("/etc/turnaround/keys", str(tmp_path))
    (tmp_path / "age.key.new").write_text("half")
    # As age-keygen does, this writes to no file that is there.
    (tmp_path / "age-keygen").write_text('#!/bin/sh\nset -C\necho key >"$2"\n')
    (tmp_path / "age-keygen").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", make], env={"PATH": path}, capture_output=True, check=True)
    assert (tmp_path / "age.key").read_text() == "key\n"


def test_a_setting_of_two_lines_is_refused() -> None:
    with pytest.raises(require.DeclarationError, match="line break"):
        services.quoted("two\nlines")


def test_groups_without_a_place_in_the_tower_are_left_out() -> None:
    hosts = fleet()
    assert list(in_group(hosts["hangar"], "aircraft")) == ["EC-TAA", "EC-TAB"]


@pytest.mark.parametrize("allowed", [False, True])
def test_the_hangar_is_root_aboard_only_where_the_inventory_says_so(allowed: bool) -> None:
    hosts = fleet()
    hosts["EC-TAA"].vars["converge_by_hangar"] = allowed
    catalog = declared(hosts["EC-TAA"])
    sudoers = content(catalog, "/etc/sudoers.d/turnaround-dispatch")
    dispatch = content(catalog, "/opt/turnaround/bin/dispatch")
    entry: Any = catalog["file:/opt/turnaround/bin/converge"]
    assert ('dispatch ALL=(root) NOPASSWD: /opt/turnaround/bin/converge ""' in sudoers) == allowed
    assert ("sudo -n /opt/turnaround/bin/converge" in dispatch) == allowed
    assert entry.kind == ("file" if allowed else "absent")
