"""The walls around our units: what each one may reach, and that none is without them."""

from __future__ import annotations

import re

import pytest

from tests.roles.test_roles import ROLES, content, declared, fleet

KEYS = "/etc/turnaround/keys"


def services(name: str) -> dict[str, str]:
    """The texts of a host's services of ours, by their names."""
    catalog, folder = declared(fleet()[name]), "file:/etc/systemd/system/"
    # What serves addresses or moves the tower needs rights that others do not, and has walls of its own.
    ours = rf"{folder}turnaround-(?!dnsmasq|tower-follow).*\.service"
    keys = [one.key for one in catalog if re.fullmatch(ours, one.key)]
    return {
        key.removeprefix(folder).removesuffix(".service").removesuffix("@"): content(
            catalog, key.removeprefix("file:")
        )
        for key in keys
    }


def values(text: str, setting: str) -> list[str]:
    return re.findall(rf"^{setting}=(.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("host", ROLES)
def test_every_service_of_ours_has_walls_and_limits(host: str) -> None:
    found = services(host)
    assert len(found) > 3
    for name, text in found.items():
        assert values(text, "CapabilityBoundingSet") == [""], name
        assert values(text, "SystemCallFilter")[:2] == [
            "@system-service",
            "~@privileged @resources",
        ], name
        for limit in ("MemoryMax", "CPUQuota", "TasksMax", "LimitCORE"):
            assert values(text, limit), (name, limit)


@pytest.mark.parametrize("host", ROLES)
def test_where_a_service_may_write_is_there_before_it_starts(host: str) -> None:
    catalog = declared(fleet()[host])
    for name, text in services(host).items():
        for path in " ".join(values(text, "ReadWritePaths")).split():
            assert f"file:{path}" in catalog, (name, path)


def test_only_who_speaks_to_other_hosts_has_a_network_at_all() -> None:
    reach = {
        name: values(text, "IPAddressAllow")
        for host in ROLES
        for name, text in services(host).items()
        if "PrivateNetwork=yes\n" not in text
    }
    local, tower = ["localhost"], ["localhost 10.1.64.0/24"]
    assert reach == {
        "turnaround-agent": ["10.1.64.1/32"],
        "turnaround-web": local,
        "turnaround-worker-sync": local,
        "turnaround-worker-publish": local,
        "turnaround-worker-media": local,
        "turnaround-worker-dispatch": tower,
        "turnaround-worker-converge": tower,
        "turnaround-worker-campaign": tower,
    }


def test_a_key_is_seen_by_those_who_use_it() -> None:
    hidden = {
        name: values(text, "InaccessiblePaths")
        for host in ROLES
        for name, text in services(host).items()
    }
    assert hidden["turnaround-agent"] == []
    assert hidden["turnaround-api"] == [f"-{KEYS}/sync_ed25519"]
    assert f"-{KEYS}" in hidden["turnaround-avionics"]
    # Some open secrets, some call aircraft, some sign what these come for.
    age, calls, signs = (
        f"-{KEYS}/{key}" for key in ("age.key", "dispatch_ed25519", "sync_ed25519")
    )
    for name, kept in (
        ("web", {age, calls, signs}),
        ("worker-media", {age, calls, signs}),
        ("worker-sync", {age, calls}),
        ("worker-publish", {age, calls}),
        ("worker-dispatch", {age, signs}),
        ("worker-converge", {signs}),
    ):
        assert set(hidden[f"turnaround-{name}"]) == kept, name


def test_the_serial_port_is_the_one_device_that_anybody_opens() -> None:
    allowed = {
        name: values(text, "DeviceAllow")
        for host in ROLES
        for name, text in services(host).items()
        if "PrivateDevices=yes\n" not in text
    }
    assert allowed == {"turnaround-avionics": ["/dev/ttyAVIONICS rw"]}


@pytest.mark.parametrize("name", ["turnaround-agent", "turnaround-aboard-recover"])
def test_who_asks_for_the_name_of_this_boot_can_read_it(name: str) -> None:
    assert "ProcSubset" not in services("EC-TAA")[name]
