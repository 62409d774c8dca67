"""What our units are shut out from: asked of systemd, and tried from inside their walls."""

from __future__ import annotations

import pytest
from testinfra.host import Host

pytestmark = pytest.mark.hosts

WORST = 3.0


def services(host: Host) -> list[str]:
    """All our services, whether they run or not; a template by an instance that nobody has."""
    said = host.check_output("systemctl list-unit-files --no-legend 'turnaround-*.service'")
    names = [line.split()[0] for line in said.splitlines()]
    return [name.replace("@.", "@check.") for name in names]


def exposed(said: str) -> dict[str, float]:
    """How exposed each of our units is, by what `systemd-analyze security` prints: 0 is best, 10 worst."""
    rows = [line.split() for line in said.splitlines() if line.startswith("turnaround-")]
    return {row[0]: float(row[1]) for row in rows}


def test_no_service_of_ours_is_exposed(host: Host) -> None:
    names = services(host)
    assert "turnaround-aboard-recover.service" in names, "it runs as root, and is no exception"
    # As JSON it would list each wall of each unit, not what they come to.
    found = exposed(host.check_output(f"systemd-analyze security --no-pager {' '.join(names)}"))
    assert sorted(found) == sorted(names)
    assert {name: figure for name, figure in found.items() if figure > WORST} == {}


def of_process(host: Host, unit: str, command: str) -> str:
    """What a command says of the process of a unit, whose folder in /proc it finds in $proc.

    What serves people is a unit of its version.
    """
    loaded = host.check_output(
        f"systemctl list-units --plain --no-legend {unit}.service '{unit}@*'"
    )
    (name,) = [line.split()[0] for line in loaded.splitlines()]
    pid = host.check_output("systemctl show -p MainPID --value %s", name)
    assert pid != "0"
    return str(host.run(f"proc=/proc/{pid}; {command}").stdout)


@pytest.mark.parametrize("unit", ["turnaround-api", "turnaround-avionics"])
def test_passengers_and_avionics_have_no_network(aircraft: Host, unit: str) -> None:
    links = of_process(aircraft, unit, "cat $proc/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in links] == ["lo"]


def reads(host: Host, unit: str, path: str) -> bool:
    """Whether a unit finds anything where a file of the host is."""
    assert host.file(path).size > 0
    return of_process(host, unit, f"head -c 1 $proc/root{path}") != ""


@pytest.mark.parametrize(
    ("unit", "path"),
    [
        ("api", "/etc/turnaround/keys/sync_ed25519"),
        ("avionics", "/etc/turnaround/keys/secret_key"),
        ("avionics", "/var/lib/turnaround/aboard/state.json"),
    ],
)
def test_what_an_aircraft_unit_does_not_use_it_does_not_see(
    aircraft: Host, unit: str, path: str
) -> None:
    assert reads(aircraft, "turnaround-agent", path)
    assert not reads(aircraft, f"turnaround-{unit}", path)


def test_the_keys_to_the_fleet_are_seen_by_who_calls_it_only(hangar: Host) -> None:
    keys = ("dispatch_ed25519", "age.key")
    seen = {
        name: [
            key
            for key in keys
            if reads(hangar, f"turnaround-{name}", f"/etc/turnaround/keys/{key}")
        ]
        for name in (
            "web",
            "worker-media",
            "worker-dispatch",
            "worker-campaign",
            "worker-converge",
        )
    }
    assert seen == {
        "web": [],
        "worker-media": [],
        "worker-dispatch": ["dispatch_ed25519"],
        "worker-campaign": ["dispatch_ed25519"],
        "worker-converge": ["dispatch_ed25519", "age.key"],
    }


@pytest.mark.parametrize(("name", "seconds"), [("avionics", "10s"), ("agent", "3min")])
def test_who_gives_signs_of_life_is_watched(aircraft: Host, name: str, seconds: str) -> None:
    shown = aircraft.check_output("systemctl show -p WatchdogUSec --value turnaround-%s", name)
    assert shown == seconds
    assert aircraft.check_output("systemctl show -p NRestarts --value turnaround-%s", name) == "0"


def test_what_one_process_may_take_is_bounded(host: Host) -> None:
    limits = "-p MemoryMax -p CPUQuotaPerSecUSec -p TasksMax -p LimitCORE"
    shown = host.check_output(f"systemctl show {limits} {' '.join(services(host))}")
    for unit in shown.split("\n\n"):
        found = dict(line.split("=", 1) for line in unit.splitlines())
        assert len(found) == 4
        assert "infinity" not in found.values()
        assert found["LimitCORE"] == "0"
