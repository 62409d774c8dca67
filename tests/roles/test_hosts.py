"""What production asks of every host: kernel, clock, updates, stores."""

from __future__ import annotations

from typing import Any

import pytest

import require
from tests.roles.test_roles import ROLES, content, declared, fleet

MACHINE_WIDE = ("vm.dirty_bytes", "kernel.kptr_restrict", "net.core.default_qdisc")


def catalog(name: str, **variables: object) -> require.Catalog:
    host = fleet()[name]
    host.vars.update(variables)
    return declared(host)


@pytest.mark.parametrize("shared", [False, True])
def test_a_container_leaves_the_kernel_to_whose_it_is(shared: bool) -> None:
    found = catalog("EC-TAA", kernel_shared=shared)
    for name in MACHINE_WIDE:
        setting: Any = found[f"sysctl:{name}"]
        assert setting.now is not shared
    own: Any = found["sysctl:net.ipv4.conf.*.rp_filter"]
    assert (own.now, own.value) == (True, "1")


def test_aircraft_ask_the_hangar_for_the_time_and_the_hangar_the_world() -> None:
    aircraft = content(catalog("EC-TAA"), "/etc/systemd/timesyncd.conf.d/turnaround.conf")
    assert "NTP=10.1.64.1\nFallbackNTP=\n" in aircraft
    hangar = catalog("hangar", ntp_servers="a.example b.example")
    text = content(hangar, "/etc/chrony/chrony.conf")
    assert "pool a.example iburst\npool b.example iburst\n" in text
    assert "bindaddress 10.1.64.1\nallow 10.1.64.0/24\n" in text
    assert 'iifname "wg0" meta nfproto ipv4 udp dport { 123 } accept' in content(
        hangar, "/etc/nftables.conf"
    )


@pytest.mark.parametrize("shared", [False, True])
def test_a_clock_that_is_anothers_is_told_and_not_set(shared: bool) -> None:
    service: Any = catalog("EC-TAA", kernel_shared=shared)[
        "systemd.service:systemd-timesyncd.service"
    ]
    assert service.running is (None if shared else True)
    drop_in = "file:/etc/systemd/system/chrony.service.d/container.conf"
    assert (drop_in in [one.key for one in catalog("hangar", kernel_shared=shared)]) is shared


@pytest.mark.parametrize(
    ("name", "variables", "daily"),
    [
        ("hangar", {}, True),
        ("EC-TAA", {}, False),
        ("hangar", {"upgrade_daily": False}, False),
        ("EC-TAA", {"upgrade_daily": True}, True),
    ],
)
def test_an_aircraft_is_not_upgraded_by_a_timer(
    name: str, variables: dict[str, bool], daily: bool
) -> None:
    found = catalog(name, **variables)
    timer: Any = found["systemd.service:apt-daily-upgrade.timer"]
    assert (timer.enabled, timer.running) == (daily, daily)
    text = content(found, "/etc/apt/apt.conf.d/99turnaround-upgrades")
    assert f'Unattended-Upgrade "{int(daily)}";' in text
    assert 'Automatic-Reboot "false";' in text
    assert ("file:/opt/turnaround/bin/upgrade" in [one.key for one in found]) is (name != "hangar")


@pytest.mark.parametrize("name", ROLES)
def test_the_size_of_a_box_is_the_inventorys(name: str) -> None:
    found = catalog(name, postgres_buffers="1GB", postgres_wal_max="4GB", redis_memory="256mb")
    postgres: Any = found["postgres.settings"]
    values = dict(postgres.values)
    assert (values["shared_buffers"], values["max_wal_size"]) == ("1GB", "4GB")
    assert (values["fsync"], values["full_page_writes"], values["synchronous_commit"]) == (
        "on",
    ) * 3
    redis = content(found, "/etc/redis/turnaround.conf")
    assert f'maxmemory "{256 << 20}"\nmaxmemory-policy "noeviction"\nsave ""\n' in redis


@pytest.mark.parametrize("name", ROLES)
def test_who_is_not_of_this_host_is_not_let_into_the_database(name: str) -> None:
    hba: Any = catalog(name)["postgres.hba"]
    assert all(rule.startswith("local ") and rule.endswith(" peer") for rule in hba.rules)
